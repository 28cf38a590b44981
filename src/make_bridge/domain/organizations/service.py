"""Making organizations, and destroying what they sealed: what the operator's command line does.

An organization begins in the directory (placement, origins, data key, first portal key, first API
token: one transaction) and is finished by its root team on its shard. Whoever dies in between has
shown the credentials to nobody; asked again, the same organization is finished with fresh ones.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from make_bridge.domain.organizations import rotation_store, store
from make_bridge.domain.organizations.keys import add_data_key, portal_key_place, ring_of
from make_bridge.domain.organizations.messages import NewOrganization, OrganizationCreated
from make_bridge.domain.organizations.model import (
    EVERYTHING,
    NewKey,
    checked_name,
    checked_origins,
    checked_timezone,
)
from make_bridge.domain.organizations.rotation_messages import OrganizationShredded
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.security.key_wrapping import Wrapping
from make_bridge.platform.security.sealing import KeyRing
from make_bridge.platform.security.secrets import digest_of, new_api_token, new_key_id, new_secret

_OPERATOR: Final = Actor(kind=ActorKind.SYSTEM, reference="operator")
_FIRST_TOKEN: Final = "First token"  # noqa: S105  a label
_ABANDONED_AFTER: Final = timedelta(seconds=60)
_FIRST_SLOT: Final = 1
_FIRST_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """An organization in the directory, with the credentials nobody has seen yet."""

    organization_id: OrganizationId
    shard: int
    key: NewKey
    api_token: str

    def __repr__(self) -> str:
        return f"_Begun({self.organization_id})"


class OrganizationService:
    """The operator's acts on organizations."""

    def __init__(self, directory: Directory, shards: Shards, roots: Wrapping, clock: Clock) -> None:
        """``roots`` holds the root key, which wraps the organizations' data keys."""
        self._directory = directory
        self._shards = shards
        self._roots = roots
        self._clock = clock

    async def create(self, new: NewOrganization) -> OrganizationCreated:
        """Make an organization; raises InvalidInput for a wrong name, origin or time zone.

        An attempt of the same name that was broken off at least a minute ago is finished instead.
        """
        checked = NewOrganization(
            name=checked_name(new.name),
            origins=checked_origins(new.origins),
            timezone=checked_timezone(new.timezone),
            is_demo=new.is_demo,
        )
        begun = await self._begin(checked)
        shard = self._shards.numbered(begun.shard)
        async with shard.write(begun.organization_id) as tx:
            team_id = await store.ensure_root_team(tx, begun.organization_id, checked.name)
        async with self._directory.write() as tx:
            await store.set_root_team(tx, begun.organization_id, team_id)
        return OrganizationCreated(
            organization_id=begun.organization_id,
            team_id=team_id,
            key_id=begun.key.key_id,
            secret=begun.key.secret,
            api_token=begun.api_token,
        )

    async def shred(self, organization_id: OrganizationId) -> None:
        """Destroy an organization's keys for good; raises NotFound. May be repeated, and then finishes what broke off.

        What was sealed stays as bytes that nothing opens, in this database and in every backup that is younger than
        its keys; who restores an older backup has the keys again.
        """
        async with self._directory.write() as tx:
            if not await rotation_store.shred(tx, organization_id):
                raise NotFound("There is no such organization.")
            await _record(tx, organization_id, "organization.shred", f"organization/{organization_id}")
        context = _operator_of(organization_id)
        shard = await self._shards.of(organization_id)
        async with shard.write(organization_id) as tx:
            await rotation_store.stop_everything(tx, organization_id)
            work = UnitOfWork(tx, context)
            work.emit(OrganizationShredded(organization_id=organization_id), subject=f"organization/{organization_id}")
            work.touch(f"organization/{organization_id}")
            await work.write_record("shard", "organization.shred")

    async def note_minted(self, organization_id: OrganizationId, key_id: str, sub: str) -> None:
        """Write into the audit that the operator is about to use an integrator's key."""
        async with self._directory.write() as tx:
            await _record(tx, organization_id, "portal_token.mint", f"portal_key/{key_id}", sub=sub)

    async def note(self, organization_id: OrganizationId, action: str) -> None:
        """Write into the audit what the operator did with an organization as a whole."""
        async with self._directory.write() as tx:
            await _record(tx, organization_id, action, f"organization/{organization_id}")

    async def _begin(self, new: NewOrganization) -> _Begun:
        async with self._directory.write() as tx:
            abandoned = self._clock.now() - _ABANDONED_AFTER
            organization_id = await store.take_unfinished(tx, new, abandoned) or await store.insert(tx, new)
            shard = await store.place(tx, organization_id, self._shards.propose(organization_id))
            await store.add_origins(tx, organization_id, new.origins)
            await add_data_key(tx, self._roots, organization_id, _FIRST_VERSION)
            ring = await self._ring(tx, organization_id)
            key = await _add_key(tx, ring, organization_id, _FIRST_SLOT, EVERYTHING)
            api_token = new_api_token()
            await store.add_token(
                tx, organization_id, digest=digest_of(api_token), label=_FIRST_TOKEN, permissions=EVERYTHING
            )
            await _record(tx, organization_id, "organization.create", f"organization/{organization_id}")
        return _Begun(organization_id=organization_id, shard=shard, key=key, api_token=api_token)

    async def _ring(self, tx: WriteTx, organization_id: OrganizationId) -> KeyRing:
        return await ring_of(self._roots, organization_id, await store.data_keys(tx, organization_id))


async def _add_key(
    tx: WriteTx, ring: KeyRing, organization_id: OrganizationId, slot: int, permissions: frozenset[str]
) -> NewKey:
    key = NewKey(organization_id=organization_id, key_id=new_key_id(), secret=new_secret())
    sealed = ring.seal(portal_key_place(organization_id, key.key_id), key.secret.encode()).text
    await store.add_key(tx, organization_id, kid=key.key_id, slot=slot, sealed=sealed, permissions=permissions)
    return key


async def _record(tx: WriteTx, organization_id: OrganizationId, action: str, subject: str, **detail: object) -> None:
    work = UnitOfWork(tx, _operator_of(organization_id))
    work.touch(subject, **detail)
    await work.write_record("directory", action)


def _operator_of(organization_id: OrganizationId) -> Context:
    return Context(organization_id=organization_id, actor=_OPERATOR, permissions=frozenset(), request_id="operator")
