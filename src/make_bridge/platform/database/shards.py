"""Where an organization lives: the placement row in the directory, and nothing else, decides.

Every organization has a placement from its creation. Look-ups are cached for a few seconds, but not while the
organization moves: so at the moment of the move no process reads where it was. A writer that was on its way there is
refused by the shard (``OrganizationMoved``), looks again and writes once more (``elsewhere``). Moves are the only
writers of placements.

Which shards are open changes while a process runs: ``platform/sharding/watching`` admits those that were added or
answer again, and dismisses those that were removed. Whoever has something to do for each of them follows
(``platform/sharding/following``).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Final, TypeVar

import structlog

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import NotFound, OrganizationMoved, Unavailable
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.pools import Directory, Shard
from make_bridge.platform.database.transactions import Refusal, WriteTx
from make_bridge.platform.sharding.following import Follower
from make_bridge.platform.sharding.map import ShardMap
from make_bridge.platform.sharding.scatter import scatter

_FIND_PLACEMENT = """
SELECT p.shard, EXISTS (SELECT FROM directory.moves m WHERE m.organization_id = p.organization_id
                        AND m.finished_at IS NULL) AS is_moving
FROM directory.placements p WHERE p.organization_id = %s
"""
_SIGN_OF_LIFE = "SELECT 1 AS alive"
_CACHE_SECONDS = 5.0
_CACHE_ENTRIES = 10_000
# How long a writer waits for an organization that moves, and how often it looks: a move closes it for 1.5 s at most.
_MOVE_PATIENCE: Final = 5.0
_MOVE_PAUSE: Final = 0.03
T = TypeVar("T")
# Care of tables goes on for minutes on a large shard; what takes longer than this hangs.
_CARE_SECONDS = 300.0
_PULSE_SECONDS = 1.0
_NO_PULSE = "It does not answer."
_RETRY_SECONDS = 2.0
_log = structlog.get_logger(__name__)


class Shards:
    """The open shards, and the way from an organization to its own."""

    def __init__(
        self, directory: Directory, shards: Mapping[int, Shard], clock: Clock, shard_map: ShardMap | None = None
    ) -> None:
        """``shards`` maps a shard's number to its open database; without a map they are all there are, and equal."""
        self.directory = directory
        self.map = shard_map or ShardMap.of_numbers(shards.keys())
        self._shards = dict(shards)
        self._clock = clock
        self._placements: dict[OrganizationId, tuple[int, float]] = {}
        self._followers: list[Follower] = []
        self._pools: dict[int, AsyncExitStack] = {}
        self._refused: Callable[[Refusal], None] | None = None
        self._silent: Mapping[int, str] = {}
        self._cut: frozenset[int] = frozenset()
        self._felt: set[Shard] = set()
        self._feeling = asyncio.Lock()
        self.pulses: dict[int, float] = {}
        """How many seconds each shard took to give its last sign of life."""

    def all(self) -> list[Shard]:
        """Return every shard this process has open."""
        return list(self._shards.values())

    def listen_for_refusals(self, refused: Callable[[Refusal], None]) -> None:
        """Tell each time why a database could not do something."""
        self._refused = refused
        self.directory.listen_for_refusals(refused)
        for shard in self.all():
            shard.listen_for_refusals(refused)

    def away(self) -> dict[int, str]:
        """Return which shards of the map this process cannot reach, as far as it has looked, with the reason."""
        closed = dict.fromkeys(self.map.shards.keys() - self._shards.keys(), "It is not open here.")
        return dict(sorted((closed | dict(self._silent)).items()))

    async def reach(self) -> None:
        """Ask the directory and every shard for a sign of life; raises Unavailable unless one of the shards has any."""
        await self.feel_directory()
        await self.feel_pulses()
        if not self._shards or len(self._silent) == len(self._shards):
            message = "No shard answers."
            raise Unavailable(message)

    async def feel_directory(self, seconds: float = _PULSE_SECONDS) -> None:
        """Ask the directory for a sign of life, within so many seconds; raises Unavailable."""
        try:
            async with asyncio.timeout(seconds), self.directory.read() as tx:
                await tx.one(_SIGN_OF_LIFE)
        except TimeoutError:
            message = "The database does not answer."
            raise Unavailable(message) from None

    async def feel_pulses(self) -> None:
        """Find out which of the open shards answer; what does not is not proposed to anybody."""
        # One after the other: who is being asked by somebody else is not silent.
        async with self._feeling:
            # Who is still being asked since the last time is not asked again, and has not answered.
            pending = [shard for shard in self.all() if shard in self._felt]
            resting = [shard for shard in self.all() if shard not in self._felt]
            found = await scatter(resting, self._pulse, seconds=_PULSE_SECONDS, at_once=len(resting) or 1)
            still = {shard.number: _NO_PULSE for shard in pending if self._shards.get(shard.number) is shard}
            self._silent = still | dict(found.silent)
            # A shard that is only slow, or has no connection free, is waited for as ever.
            self._cut = frozenset(shard.number for shard in self.all() if shard.number in self._silent and shard.is_cut)

    async def everywhere(self, name: str, act: Callable[[Shard], Coroutine[None, None, int]]) -> int:
        """Do something on every open shard and return the sum; one that does not answer is told of and left out."""
        found = await scatter(self.all(), act, seconds=_CARE_SECONDS)
        for number, reason in found.silent.items():
            _log.warning("shard_left_out", act=name, shard=number, reason=reason)
        return sum(found.answers.values())

    def numbered(self, number: int) -> Shard:
        """Return a shard by its number; raises Unavailable at once for one that is away, or not heard of yet."""
        shard = self._shards.get(number)
        # A connection that was made since the last look shows that somebody answers again.
        if shard is None or (number in self._cut and shard.is_cut):
            message = "The part of the database where this lives does not answer at the moment: try again."
            raise Unavailable(message, code="database_unavailable", retry_after=_RETRY_SECONDS)
        return shard

    async def of(self, organization_id: OrganizationId) -> Shard:
        """Return the organization's shard; raises NotFound for an unknown organization, Unavailable."""
        known = self._placements.get(organization_id)
        if known is not None and known[1] > self._clock.monotonic():
            return self.numbered(known[0])
        row = await self.directory.ask(lambda tx: tx.one(_FIND_PLACEMENT, (organization_id,)))
        if row is None:
            message = "There is no such organization."
            raise NotFound(message)
        if row["is_moving"]:
            self._placements.pop(organization_id, None)
            return self.numbered(row["shard"])
        if len(self._placements) >= _CACHE_ENTRIES:
            self._placements.clear()
        self._placements[organization_id] = (row["shard"], self._clock.monotonic() + _CACHE_SECONDS)
        return self.numbered(row["shard"])

    def forget(self, organization_id: OrganizationId) -> None:
        """Look again where an organization lives, the next time somebody asks."""
        self._placements.pop(organization_id, None)

    async def elsewhere(self, organization_id: OrganizationId, write: Callable[[Shard], Awaitable[T]]) -> T:
        """Do a write again that was refused because its organization moves, where it lives by now.

        Raises OrganizationMoved when that is not decided in time, and whatever the write raises.
        """
        deadline = self._clock.monotonic() + _MOVE_PATIENCE
        while True:
            self.forget(organization_id)
            shard = await self.of(organization_id)
            try:
                return await write(shard)
            except OrganizationMoved:
                if self._clock.monotonic() > deadline:
                    raise
            await asyncio.sleep(_MOVE_PAUSE)

    async def write(self, organization_id: OrganizationId, act: Callable[[WriteTx], Awaitable[T]]) -> T:
        """Do one transaction of an organization where it lives, once more elsewhere when it moves meanwhile."""

        async def written(shard: Shard) -> T:
            async with shard.write(organization_id) as tx:
                return await act(tx)

        try:
            return await written(await self.of(organization_id))
        except OrganizationMoved:
            return await self.elsewhere(organization_id, written)

    def propose(self, organization_id: OrganizationId) -> int:
        """Propose a shard for a new organization: the ring's, or among those that answer; raises Unavailable."""
        proposed = self.map.proposal(organization_id, self._shards.keys() - self._silent.keys())
        if proposed is None:
            message = "No shard takes new organizations at the moment: see 'make-bridge shards list'."
            raise Unavailable(message, retry_after=_RETRY_SECONDS)
        return proposed

    async def follow(self, follower: Follower) -> None:
        """Have something begun for every open shard, and for each that comes; one that fails meanwhile is closed.

        Raises Unavailable where none is left.
        """
        self._followers.append(follower)
        for shard in self.all():
            try:
                await follower.begin(shard)
            except Unavailable as error:
                if len(self._shards) == 1:
                    self._followers.remove(follower)
                    raise
                _log.warning("shard_closed", shard=shard.number, reason=error.message)
                await self.dismiss(shard.number)

    async def leave(self, follower: Follower) -> None:
        """End what was begun for a follower, on every shard."""
        if follower in self._followers:
            self._followers.remove(follower)
            for shard in self.all():
                await follower.end(shard)

    async def admit(self, shard: Shard, pools: AsyncExitStack) -> None:
        """Take in a shard that was opened, and begin everything that goes on for each; raises Unavailable.

        ``pools`` closes it when it is dismissed, and at the end.
        """
        if self._refused is not None:
            shard.listen_for_refusals(self._refused)
        begun: list[Follower] = []
        try:
            for follower in self._followers:
                await follower.begin(shard)
                begun.append(follower)
        except BaseException:
            for follower in reversed(begun):
                await follower.end(shard)
            await pools.aclose()
            raise
        self._pools[shard.number] = pools
        self._shards[shard.number] = shard

    async def dismiss(self, number: int) -> None:
        """Let go of a shard: what goes on for it ends, then its connections."""
        shard = self._shards.pop(number, None)
        if shard is None:
            return
        for follower in reversed(self._followers):
            await follower.end(shard)
        pools = self._pools.pop(number, None)
        if pools is not None:
            await pools.aclose()

    async def close(self) -> None:
        """Close every shard that was admitted."""
        for pools in self._pools.values():
            await pools.aclose()
        self._pools.clear()

    async def _pulse(self, shard: Shard) -> None:
        """Ask for a sign of life; one that froze is asked by one connection and no more."""
        self._felt.add(shard)
        began = self._clock.monotonic()
        try:
            async with shard.engine_statement() as tx:
                await tx.one(_SIGN_OF_LIFE)
            self.pulses[shard.number] = self._clock.monotonic() - began
        finally:
            self._felt.discard(shard)
