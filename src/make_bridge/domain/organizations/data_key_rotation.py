"""Rotating an organization's data key as a job: a new version, then every kept secret sealed anew, piece by piece.

Each slice that keeps secrets tells how its rows are sealed anew (``SealedRows``); a row names the key that sealed it,
so a job that died goes on with what is left. Nodes remember keys for seconds, and may seal with the version before
until then: the rows are gone through once more after that. Nothing is unreadable at any time, for older versions stay:
what is kept of runs (payloads of confidential scenarios, the journal, parked bundles, stored answers) goes on under the
version it was sealed with and ends with its own retention.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from make_bridge.domain.organizations import rotation_store, store
from make_bridge.domain.organizations.keys import RING_SECONDS, DataKeys, add_data_key, portal_key_place
from make_bridge.domain.organizations.rotation_messages import DataKeyRotated, RotateDataKey
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import Gone, NotFound
from make_bridge.kernel.ids import JobId, OrganizationId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import Done, Failed, JobResult, JobType, Later, NewJob, RunningJob
from make_bridge.platform.queue.leases import LOW
from make_bridge.platform.security.key_wrapping import Wrapping, data_key_name
from make_bridge.platform.security.sealing import KeyRing, Place, Sealed

ROTATE: Final = "organizations.rotate_data_key"
PIECE: Final = 200
_SECONDS: Final = 600.0
# Longer than any node remembers a key, and than a transaction under way then may last.
_SETTLED_AFTER: Final = RING_SECONDS + 30.0


class SealedRows(Protocol):
    """The secrets of one slice."""

    async def left(self, tx: WriteTx, organization_id: OrganizationId, key: str) -> int:
        """Return how many rows are sealed by another key than this one."""
        ...

    async def reseal(self, tx: WriteTx, organization_id: OrganizationId, ring: KeyRing, most: int) -> int:
        """Seal at most so many rows anew with the ring's current key; return how many. None are left after 0."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RotatingDataKeys:
    """The command that asks for a rotation, and the work of the job."""

    shards: Shards
    sealing: DataKeys
    roots: Wrapping
    jobs: JobQueue
    rows: Sequence[SealedRows]
    settled_after: float = _SETTLED_AFTER

    async def ask(self, work: UnitOfWork, command: RotateDataKey) -> JobId:
        """Enqueue the job, or return the one that is under way."""
        del command
        organization_id = work.context.organization_id
        job = NewJob(type=ROTATE, organization_id=organization_id, unique_key="data_key")
        job_id = await self.jobs.enqueue(work.tx, job)
        work.touch(f"organization/{organization_id}", job=job_id)
        return job_id

    def commands(self) -> list[CommandRegistration[RotateDataKey, JobId]]:
        """Return the command for the composition root."""
        return [
            CommandRegistration(
                command=RotateDataKey,
                handler=self.ask,
                result=str,
                permission="organizations:write",
                action="organization.rotate_data_key",
            )
        ]

    def type(self) -> JobType:
        """Return the job's type for the composition root."""
        return JobType(name=ROTATE, run=self.run, queue_class=LOW, seconds=_SECONDS, tells=True)

    async def run(self, job: RunningJob) -> JobResult:
        """Make the new version if no try before has, seal everything anew, and look once more when nodes know it."""
        organization_id = job.organization_id
        try:
            version = await self._version(job)
            ring = await self.sealing.newest_ring(organization_id)
        except (Gone, NotFound) as error:
            return Failed(why=error.message)
        shard = await self.shards.of(organization_id)
        async with shard.write(organization_id) as tx:
            left = sum([await rows.left(tx, organization_id, data_key_name(version)) for rows in self.rows])
        done = 0
        for rows in self.rows:
            while True:
                async with shard.write(organization_id) as tx:
                    count = await rows.reseal(tx, organization_id, ring, PIECE)
                if not count:
                    break
                done += count
                await job.progress(min(99, done * 100 // max(left, done)), f"{done} of {max(left, done)} sealed anew")
        await self._reseal_directory(organization_id, ring)
        async with self.shards.directory.read() as tx:
            age = await rotation_store.seconds_since(tx, organization_id, version)
        if age < self.settled_after:
            return Later(after_seconds=self.settled_after - age, why="Nodes learn of the new key.", counts=False)
        await self._tell(organization_id, job.id, version)
        return Done(result=msgspec.json.encode({"version": version}))

    async def _version(self, job: RunningJob) -> int:
        """Return the version this job is about: made here by its first try."""
        organization_id = job.organization_id
        async with self.shards.directory.write() as tx:
            await store.lock(tx, organization_id)
            newest = await rotation_store.newest_version(tx, organization_id)
            if newest is None:
                raise Gone("The keys of this organization were destroyed.")
            version, made_at = newest
            if made_at >= job.created_at:
                return version
            await add_data_key(tx, self.roots, organization_id, version + 1)
            await rotation_store.date_version(tx, organization_id, version + 1, job.created_at)
            return version + 1

    async def _reseal_directory(self, organization_id: OrganizationId, ring: KeyRing) -> None:
        key = ring.current.name
        async with self.shards.directory.write() as tx:
            for row in await rotation_store.take_portal_keys(tx, organization_id, key):
                place = portal_key_place(organization_id, row["kid"])
                sealed = ring.reseal(place, Sealed(row["secret_sealed"])).text
                await rotation_store.seal_portal_key(tx, organization_id, row["kid"], sealed)
            for row in await rotation_store.take_facts(tx, organization_id, key):
                place = Place(organization_id=organization_id, kind="fact", object_id=0, field=row["name"])
                sealed = ring.reseal(place, Sealed(row["value"].partition(" ")[2])).text
                await store.write_fact(tx, row["name"], f"{organization_id} {sealed}")

    async def _tell(self, organization_id: OrganizationId, job_id: JobId, version: int) -> None:
        actor = Actor(kind=ActorKind.SYSTEM, reference=f"job {job_id}")
        context = Context(organization_id=organization_id, actor=actor, permissions=frozenset(), request_id=str(job_id))
        async with (await self.shards.of(organization_id)).write(organization_id) as tx:
            work = UnitOfWork(tx, context)
            subject = f"organization/{organization_id}"
            work.touch(subject, version=version)
            work.emit(DataKeyRotated(version=version), subject=subject)
            await work.write_record("shard", "organization.data_key_rotated")


async def all_organizations(shards: Shards) -> list[OrganizationId]:
    """Return every organization that has keys."""
    found: list[OrganizationId] = []
    while True:
        last = found[-1] if found else 0
        async with shards.directory.read() as tx:
            piece = await rotation_store.organizations_after(tx, last, PIECE)
        if not piece:
            return found
        found += piece
