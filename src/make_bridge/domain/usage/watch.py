"""The watch over limits: sums up what was used, says what is near or reached, lets runs wait and go.

Every process renews its knowledge (``quotas.py``) once a second; the sums themselves are read by one of them at a time,
under the lock of one row, so ten processes cost one sum. There is no leader to be missed: whoever finds that the last
look is too long ago takes the turn. Nothing is counted here. What was used stands in ``usage_daily``, written by the
statement that settles a run, so a run that is settled twice or carried out twice is counted once.

What may be used beyond a limit: what begins between the run that reaches it and the end of the next look (a second and
the time the sums take), and what is under way by then. Runs that wait are let go no more at a time than is left.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Final

import structlog

from make_bridge.domain.usage import store
from make_bridge.domain.usage.messages import UsageLimitNear, UsageLimitReached
from make_bridge.domain.usage.model import WHOLE, QuotaConfig, Scope, Standing, State
from make_bridge.domain.usage.quotas import Quotas
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.messages import Event
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import Row, WriteTx
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.observability.metrics.loops import LATE_AFTER
from make_bridge.platform.sharding.following import PerShard, ShardTasks

MOST_LET_GO: Final = 500
_TOGETHER: Final = 5000
_BYTES: Final = "dataTransfer"
_log = structlog.get_logger(__name__)


class QuotaWatch:
    """See the module."""

    def __init__(
        self, shards: Shards, quotas: Quotas, metrics: Metrics, config: QuotaConfig, released: Callable[[], None]
    ) -> None:
        """``released`` is told that runs became ready, so that a worker of this process takes them at once."""
        self._shards = shards
        self._quotas = quotas
        self._metrics = metrics
        self._config = config
        self._released = released
        self._awake: PerShard[asyncio.Event] = PerShard(lambda _shard: asyncio.Event())
        self._loops = ShardTasks("quota watch", (self._keep_looking,))
        self._by_shard: dict[int, dict[Scope, Standing]] = {}

    def wake(self) -> None:
        """Look at once: a limit was set. A hint, never needed for correctness."""
        for awake in self._awake.values():
            awake.set()

    async def start(self) -> None:
        """Begin to look at every shard."""
        await self._shards.follow(self)

    async def stop(self) -> None:
        """Stop between two looks."""
        await self._shards.leave(self)

    async def begin(self, shard: Shard) -> None:
        """Look once, so that nothing is accepted unknowing, then again and again."""
        await self._look_safely(shard, now=False)
        await self._loops.begin(shard)

    async def end(self, shard: Shard) -> None:
        """Stop looking at a shard."""
        await self._loops.end(shard)

    async def look(self, shard: Shard, *, now: bool = False) -> None:
        """Renew what is known of one shard; ``now`` sums up even if somebody has just done it."""
        async with shard.engine_statement() as reading:
            is_limited = await store.is_limited(reading)
        reached: dict[Scope, Standing] = {}
        released = 0
        if is_limited:
            async with shard.engine_write() as tx:
                if await store.take_turn(tx, seconds=self._config.look_seconds * 0.9, wait=now):
                    released = await self._sum_up(tx)
            async with shard.engine_statement() as reading:
                reached = await store.reached(reading)
        self._by_shard[shard.number] = reached
        known: dict[Scope, Standing] = {}
        for found in self._by_shard.values():
            known |= found
        self._quotas.know(known)
        self._metrics.usage.reached.set(self._quotas.count)
        if released:
            self._metrics.usage.let_go.inc(released)
            self._released()

    async def _keep_looking(self, shard: Shard) -> None:
        awake = self._awake[shard]
        with self._metrics.loops.turning("limits of usage", shard.number, within=LATE_AFTER) as turned:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._config.look_seconds):
                        await awake.wait()
                now = awake.is_set()
                awake.clear()
                if await self._look_safely(shard, now=now):
                    turned()

    async def _look_safely(self, shard: Shard, *, now: bool) -> bool:
        try:
            await self.look(shard, now=now)
            return True
        except Unavailable as error:
            _log.warning("quota_look_failed", shard=shard.number, error=error.message)
        except Exception:  # noqa: BLE001
            # Limits of every tenant hang on this loop: it tells and goes on with what it knew.
            _log.exception("quota_look_failed", shard=shard.number)
        return False

    async def _sum_up(self, tx: WriteTx) -> int:
        """Do one look's work; return how many runs were let go."""
        standings = await store.look(tx, self._config.near_percent)
        before = await store.told(tx)
        told = [_told_for_now(standing, before) for standing in standings]
        facts = [(s.scope, fact) for s, known in zip(standings, told, strict=True) for fact in _news(s, known)]
        after = [max(known, int(standing.state)) for standing, known in zip(standings, told, strict=True)]
        await store.note(tx, standings, after)
        await store.tell(tx, facts)
        if any(standing.state is State.REACHED for standing in standings):
            put_off = await store.put_off(tx)
            if put_off:
                self._metrics.usage.deferred["waiting"].inc(put_off)
        teams = await store.deferred_teams(tx, MOST_LET_GO)
        counts = let_go_of(teams, standings)
        return await store.let_go(tx, counts) if counts else 0


def _told_for_now(standing: Standing, before: Mapping[Scope, tuple[date, int]]) -> int:
    """Return which state was told this month."""
    first_day, told = before.get(standing.scope, (standing.first_day, 0))
    return told if first_day == standing.first_day else 0


def _news(standing: Standing, told: int) -> Iterable[Event]:
    """Return what is to be told; who goes from normal to reached between two looks is told both."""
    team_id = None if standing.team_id == WHOLE else standing.team_id
    for state, kind in ((State.NEAR, UsageLimitNear), (State.REACHED, UsageLimitReached)):
        if told < state <= standing.state:
            yield kind(
                team_id=team_id,
                measure=standing.measure,
                used=standing.used,
                limit=standing.most,
                month=standing.first_day.isoformat()[:7],
            )


def let_go_of(teams: Sequence[Row], standings: Sequence[Standing]) -> dict[Scope, int]:
    """Say how many waiting runs of each team may go: no more than is left once what is under way has been counted.

    A run is taken for one operation. One that needs more may go beyond the limit, as any run under way may.
    """
    left = {standing.scope: _room(standing) for standing in standings}
    for row in teams:
        whole = (row["organization_id"], WHOLE)
        if whole in left:
            left[whole] -= row["under_way"]
    counts: dict[Scope, int] = {}
    together = _TOGETHER
    for row in teams:
        own, whole = (row["organization_id"], row["team_id"]), (row["organization_id"], WHOLE)
        room = min(left.get(own, together + row["under_way"]) - row["under_way"], left.get(whole, together))
        count = min(room, MOST_LET_GO, together)
        if count <= 0:
            continue
        counts[own] = count
        together -= count
        if whole in left:
            left[whole] -= count
    return counts


def _room(standing: Standing) -> int:
    """Return how many runs there is room for; of bytes nobody knows before a run."""
    if standing.state is State.REACHED:
        return 0
    return _TOGETHER * 2 if standing.measure == _BYTES else standing.left
