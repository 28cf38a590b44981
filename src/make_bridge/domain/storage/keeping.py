"""The care of runs: what is past goes, what is too much goes, and what there is gets measured.

One process leads on each shard. A round measures the runs that were accepted since the last one, drops the partitions
that nobody keeps any more, and removes in batches what single organizations keep for a shorter time or have too much
of: first payloads, logs and journals, the oldest day first, then whole runs. After each batch it rests for as long as
it takes to be at work for a small share of the time only, so a busy database is left alone for longer; what it does
not answer is put off to the next round. Every step is one statement and safe to do twice.

A dropped partition is given back to the machine at once. What goes in batches is marked free: PostgreSQL's autovacuum
lets new rows use its place, and the files do not shrink before their partition is dropped.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from make_bridge.domain.storage import store
from make_bridge.domain.storage.model import KINDS, OTHER, StorageConfig, rest_after
from make_bridge.domain.storage.store import Past
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.coordination.port import CandidacyOf
from make_bridge.platform.coordination.tenure import Tenure
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.observability.metrics.storage import StorageGauges
from make_bridge.platform.sharding.following import ShardTasks

DUTY: Final = "storage"
_DAYS_AT_ONCE: Final = 1
_PAST_AT_ONCE: Final = 100
# The lead is kept between two rounds, too: its term is shorter than the time between them.
_KEEP_SECONDS: Final = 3.0
T = TypeVar("T")
_log = structlog.get_logger(__name__)


class StorageCare:
    """See the module."""

    def __init__(
        self, shards: Shards, gauges: StorageGauges, clock: Clock, config: StorageConfig, candidacy_of: CandidacyOf
    ) -> None:
        """``candidacy_of`` decides which process does it."""
        self._shards = shards
        self._gauges = gauges
        self._clock = clock
        self._config = config
        self._candidacy_of = candidacy_of
        self._loops = ShardTasks("storage", (self._keep,))

    async def start(self) -> None:
        """Begin where nobody does it."""
        await self._shards.follow(self._loops)

    async def stop(self) -> None:
        """Stop between two batches."""
        await self._shards.leave(self._loops)

    async def round(self, shard: Shard, leads: Callable[[], Awaitable[bool]]) -> None:
        """Do all that is to be done at this moment, for as long as this process leads; raises Unavailable."""
        work = _Round(shard, self._gauges, self._config, self._clock, leads)
        await work.measure()
        await work.drop()
        await work.forget_past()
        await work.forget_over()
        await self._tell(shard)

    async def _keep(self, shard: Shard) -> None:
        tenure = Tenure(self._candidacy_of(shard, DUTY))

        async def leads() -> bool:
            return await tenure.fence() is not None

        next_round = 0.0
        try:
            while True:
                if await self._turn(shard, tenure, leads, next_round):
                    next_round = self._clock.monotonic() + self._config.look_seconds
                await asyncio.sleep(min(self._config.look_seconds, _KEEP_SECONDS))
        finally:
            await tenure.end()

    async def _turn(
        self, shard: Shard, tenure: Tenure, leads: Callable[[], Awaitable[bool]], next_round: float
    ) -> bool:
        """Do a round when it is time and this process leads; say whether one was begun."""
        try:
            if not await leads():
                self._gauges.forget(shard.number)
                return False
            if self._clock.monotonic() < next_round:
                return False
            async with tenure.acting():
                await self.round(shard, leads)
        except Unavailable as error:
            _log.info("storage_care_put_off", shard=shard.number, error=error.message)
        except Exception:  # noqa: BLE001
            # The care of every tenant's tables hangs on this loop: it tells and goes on.
            _log.exception("storage_care_failed", shard=shard.number)
        return True

    async def _tell(self, shard: Shard) -> None:
        """Say what the tables take, by kind."""
        async with shard.engine_statement() as tx:
            tables = await store.tables(tx)
        async with shard.engine_statement() as tx:
            oldest = await store.oldest_rows(tx)
        sizes: dict[str, int] = dict.fromkeys((*KINDS.values(), OTHER), 0)
        for table in tables:
            sizes[KINDS.get(table.name, OTHER)] += table.bytes
        now = self._clock.now()
        ages = {kind: max((now - at).total_seconds(), 0.0) for kind, at in oldest.items()}
        self._gauges.show(shard.number, sizes, ages)


class _Round:
    """One round on one shard: its batches, each followed by a rest."""

    def __init__(
        self,
        shard: Shard,
        gauges: StorageGauges,
        config: StorageConfig,
        clock: Clock,
        leads: Callable[[], Awaitable[bool]],
    ) -> None:
        self._shard = shard
        self._gauges = gauges
        self._config = config
        self._clock = clock
        self._leads = leads

    async def measure(self) -> None:
        """Measure what was accepted since the last round."""
        async with self._shard.engine_statement() as tx:
            classes = await store.classes(tx)
        for retention in classes:
            while await self._leads() and await self._step(self._measuring(retention)) == self._config.batch:
                pass

    def _measuring(self, retention: int) -> Callable[[WriteTx], Awaitable[int]]:
        return lambda tx: store.measure(
            tx, retention, settle_seconds=self._config.settle_seconds, most=self._config.batch
        )

    async def drop(self) -> None:
        """Drop partitions that nobody keeps any more, those of one day and class at a time."""
        while await self._leads():
            dropped, size = await self._step(lambda tx: store.drop_partitions(tx, self._config.days, _DAYS_AT_ONCE))
            if not dropped:
                return
            self._gauges.partitions_dropped.inc(dropped)
            _log.info("run_partitions_dropped", shard=self._shard.number, partitions=dropped, bytes=size)

    async def forget_past(self) -> None:
        """Remove runs of organizations that keep them for a shorter time than others on the shard."""
        async with self._shard.engine_statement() as tx:
            days = await store.past(tx, self._config.days, _PAST_AT_ONCE)
        for day in days:
            await self._forget_day(day)

    async def forget_over(self) -> None:
        """Free the bytes by which organizations are over what they may take."""
        async with self._shard.engine_statement() as tx:
            found = await store.over(tx, self._config.bytes, _PAST_AT_ONCE)
        for organization_id, over in found.items():
            left, freed = over, 0
            while left > 0 and await self._leads():
                async with self._shard.engine_statement() as tx:
                    chosen = await store.oldest(tx, organization_id)
                if chosen is None:
                    _log.warning("storage_still_over", organization_id=organization_id, bytes=left)
                    break
                day, has_bodies = chosen
                size = await self._forget(Past(organization_id=organization_id, day=day), bodies_only=has_bodies)
                left, freed = left - size, freed + size
            _log.info("storage_bytes_freed", organization_id=organization_id, bytes=freed)

    async def _forget_day(self, day: Past) -> None:
        while await self._leads():
            gone = await self._step(lambda tx: store.forget(tx, day, self._config.batch, bodies_only=False))
            self._gauges.removed["by_age"].inc(gone.runs)
            if gone.is_through:
                return

    async def _forget(self, day: Past, *, bodies_only: bool) -> int:
        gone = await self._step(lambda tx: store.forget(tx, day, self._config.batch, bodies_only=bodies_only))
        self._gauges.removed["bodies_by_size" if bodies_only else "by_size"].inc(gone.runs)
        return gone.bytes

    async def _step(self, act: Callable[[WriteTx], Awaitable[T]]) -> T:
        """Do one statement, then rest."""
        began = self._clock.monotonic()
        async with self._shard.engine_statement() as tx:
            done = await act(tx)
        await asyncio.sleep(rest_after(self._clock.monotonic() - began, self._config.busy_percent))
        return done
