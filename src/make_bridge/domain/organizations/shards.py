"""What the operator does with shards: adding one beside servers that run, weighing, pinning, removing.

A shard joins in steps that may be repeated when they break off: its row (``joining``, nobody knows where it is), its
migration, its sealed address (from now on every server opens it), and, when all have, ``active``: from then on the ring
proposes it. It leaves when nobody lives on it; its number is never given again, since ids that were born there live on.
"""

from dataclasses import dataclass
from typing import Final

from make_bridge.domain.organizations import shard_store, store
from make_bridge.domain.organizations.keys import ROOT_IN_FORCE
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import Conflict, InvalidInput, NotFound
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.opening import occupied
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.security.key_wrapping import Wrapping
from make_bridge.platform.sharding.map import MOST_WEIGHT
from make_bridge.platform.sharding.opening import ShardOpening, address_place

LAST_NUMBER: Final = 1023
_OPERATOR: Final = Actor(kind=ActorKind.SYSTEM, reference="operator")
_INSTALLATION: Final = OrganizationId(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardService:
    """The operator's acts on shards."""

    directory: Directory
    opening: ShardOpening
    roots: Wrapping

    async def join(self, number: int, url: str, weight: int) -> None:
        """Make a database a shard that servers open; raises Conflict where database or number are taken."""
        _require_number(number)
        _require_weight(weight)
        found = await occupied(url)
        async with self.directory.write() as tx:
            known = await shard_store.lock(tx, number)
            _require_free_number(number, None if known is None else known["state"])
            is_resumed = known is not None and found.shard == number and not found.has_directory
            if not found.is_free and not is_resumed:
                raise Conflict(_taken(found.has_directory, found.shard))
            if known is None:
                await shard_store.begin(tx, number, weight)
        dsn = await self.opening.prepare_new(number, url)
        async with self.directory.write() as tx:
            check = await store.hold_fact(tx, ROOT_IN_FORCE)
            sealed = await self.roots.wrap(address_place(number), dsn.encode(), check)
            await shard_store.write_address(tx, number, sealed.text)
            await _record(tx, "shard.join", number, weight=weight)

    async def activate(self, number: int) -> None:
        """Let the ring propose a shard: one that every server has opened, or one that was drained."""
        async with self.directory.write() as tx:
            if await _require(tx, number) == "active":
                raise Conflict(f"Shard {number} takes organizations already.")
            await shard_store.set_state(tx, number, "active")
            await _record(tx, "shard.activate", number)

    async def drain(self, number: int) -> None:
        """Let a shard take nobody any more; raises Conflict where others are missing, or somebody is pinned to it."""
        async with self.directory.write() as tx:
            state = await _require(tx, number)
            _, pinned = await shard_store.count_here(tx, number)
            if pinned:
                raise Conflict(
                    f"{pinned} organizations are pinned to shard {number}: 'make-bridge shards unpin' first."
                )
            if not await shard_store.count_others(tx, number):
                raise Conflict(f"Without shard {number} no shard would take organizations.")
            if state != "draining":
                await shard_store.set_state(tx, number, "draining")
                await _record(tx, "shard.drain", number)

    async def weigh(self, number: int, weight: int) -> None:
        """Give a shard another weight: it says what is proposed from now on, and what a rebalance moves."""
        _require_weight(weight)
        async with self.directory.write() as tx:
            await _require(tx, number)
            await shard_store.set_weight(tx, number, weight)
            await _record(tx, "shard.weigh", number, weight=weight)

    async def pin(self, organization_id: OrganizationId, number: int | None) -> int:
        """Say where an organization is to live, or leave it to the ring again; return where it lives now."""
        async with self.directory.write() as tx:
            if number is not None and await _require(tx, number) != "active":
                raise Conflict(f"Shard {number} takes no organizations: pin to one that is active.")
            lives = await shard_store.pin(tx, organization_id, number)
            if lives is None:
                raise NotFound("There is no such organization.")
            work = UnitOfWork(tx, _operator(organization_id))
            work.touch(f"organization/{organization_id}", shard=number)
            await work.write_record("directory", "organization.pin" if number is not None else "organization.unpin")
        return lives

    async def remove(self, number: int) -> None:
        """Mark an empty shard as removed: servers close it; raises Conflict while anybody lives there."""
        async with self.directory.write() as tx:
            await _require(tx, number)
            placed, pinned = await shard_store.count_here(tx, number)
            if placed:
                raise Conflict(
                    f"{placed} organizations live on shard {number}: "
                    f"move them with 'make-bridge shards drain {number}' first."
                )
            if pinned:
                raise Conflict(
                    f"{pinned} organizations are pinned to shard {number}: 'make-bridge shards unpin' first."
                )
            if not await shard_store.count_others(tx, number):
                raise Conflict(f"Without shard {number} no shard would take organizations.")
            await shard_store.forget(tx, number)
            await _record(tx, "shard.remove", number)

    async def counts(self) -> dict[int, int]:
        """Return how many organizations live on each shard."""
        async with self.directory.read() as tx:
            return await shard_store.counts(tx)


async def _require(tx: WriteTx, number: int) -> str:
    """Return the state of a shard that is there, held until the commit."""
    known = await shard_store.lock(tx, number)
    if known is None or known["state"] == "removed":
        raise NotFound(f"There is no shard {number}: see 'make-bridge shards list'.")
    return str(known["state"])


def _require_number(number: int) -> None:
    if not 0 <= number <= LAST_NUMBER:
        raise InvalidInput(f"A shard has a number from 0 to {LAST_NUMBER}.")


def _require_weight(weight: int) -> None:
    if not 0 <= weight <= MOST_WEIGHT:
        raise InvalidInput(f"A weight is a number from 0 (takes nothing new) to {MOST_WEIGHT}; 100 is usual.")


def _require_free_number(number: int, state: str | None) -> None:
    if state == "removed":
        raise Conflict(
            f"Number {number} had a shard that was removed. Ids that were born there live on, so it is never given "
            "again: take another number."
        )
    if state not in {None, "joining"}:
        raise Conflict(f"There is a shard {number} already: take another number.")


def _taken(has_directory: bool, shard: int | None) -> str:  # noqa: FBT001  one sentence for each
    if has_directory:
        return "This database holds the directory of an installation: a shard needs a database of its own."
    return f"This database is shard {shard} of an installation already: a new shard needs an empty database."


async def _record(tx: WriteTx, action: str, number: int, **detail: object) -> None:
    work = UnitOfWork(tx, _operator(_INSTALLATION))
    work.touch(f"shard/{number}", **detail)
    await work.write_record("directory", action)


def _operator(organization_id: OrganizationId) -> Context:
    return Context(organization_id=organization_id, actor=_OPERATOR, permissions=frozenset(), request_id="operator")
