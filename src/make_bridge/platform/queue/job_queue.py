"""The way in for jobs: what the rest of the program calls to have something done later.

Everything happens in the caller's transaction, so a job exists exactly when its reason does. Any worker sees it after
the commit, at the latest with its next look (half a second). How to declare a type stands in ``jobs``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import BatchId, JobId, OrganizationId, TeamId, new_batch_id
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.queue import job_store
from make_bridge.platform.queue.jobs import JobLimits, JobTypes, NewJob, check


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch that was just enqueued: its id, and its jobs in the order they were given."""

    id: BatchId
    jobs: tuple[JobId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQueue:
    """See the module."""

    types: JobTypes
    limits: JobLimits = field(default_factory=JobLimits)

    async def enqueue(self, tx: WriteTx, job: NewJob) -> JobId:
        """Store a job, or return the unfinished one of its key.

        Raises ConfigurationError for an unknown type, InvalidInput for what is too large, Conflict for a batch that
        has ended.
        """
        job_id, made = await self._enqueue(tx, job)
        if made and job.batch_id is not None:
            await job_store.join_batch(tx, job.batch_id, job.organization_id, 1)
        return job_id

    async def enqueue_batch(self, tx: WriteTx, jobs: Sequence[NewJob]) -> Batch:
        """Store jobs of one organization together; ``batch.completed`` is told when the last of them has ended.

        A job whose key is taken is named by its id, and is none of the batch. Raises as ``enqueue`` does.
        """
        if not 0 < len(jobs) <= self.limits.batch_jobs:
            raise InvalidInput(f"A batch has 1 to {self.limits.batch_jobs} jobs.", code="batch_too_large")
        if len({job.organization_id for job in jobs}) > 1:
            raise InvalidInput("The jobs of a batch belong to one organization.")
        batch_id, organization_id = new_batch_id(), jobs[0].organization_id
        teams = {job.team_id for job in jobs}
        tells = any(self.types.named(job.type).tells for job in jobs)
        await job_store.new_batch(tx, batch_id, organization_id, teams.pop() if len(teams) == 1 else None, tells=tells)
        stored = [await self._enqueue(tx, replace(job, batch_id=batch_id)) for job in jobs]
        made = sum(is_new for _, is_new in stored)
        await job_store.join_batch(tx, batch_id, organization_id, made)
        if not made:
            await job_store.tell(tx, await job_store.count_down(tx, batch_id, organization_id, 0))
        return Batch(id=batch_id, jobs=tuple(job_id for job_id, _ in stored))

    async def cancel(
        self, tx: WriteTx, organization_id: OrganizationId, job_id: JobId, team_id: TeamId | None = None
    ) -> str:
        """End a waiting job at once; a running one is asked to and ends within about five seconds. Returns its state.

        With ``team_id`` only a job of that team is found. Raises NotFound, and Conflict for one that has ended.
        """
        return await job_store.cancel(tx, organization_id, team_id, job_id)

    async def retry(
        self, tx: WriteTx, organization_id: OrganizationId, job_id: JobId, team_id: TeamId | None = None
    ) -> None:
        """Begin a failed or cancelled job again, with all its tries. Raises NotFound, Conflict."""
        await job_store.revive(tx, organization_id, team_id, job_id)

    async def _enqueue(self, tx: WriteTx, job: NewJob) -> tuple[JobId, bool]:
        kind = self.types.named(job.type)
        check(job, self.limits)
        queue_class = kind.queue_class if job.queue_class is None else job.queue_class
        return await job_store.enqueue(tx, job, queue_class)


async def forget_jobs(shards: Shards, days: int) -> int:
    """Drop jobs that ended so many days ago, on every shard; return how many."""

    async def forget(shard: Shard) -> int:
        async with shard.engine_write() as tx:
            return await job_store.forget(tx, days)

    return await shards.everywhere("jobs_forgotten", forget)
