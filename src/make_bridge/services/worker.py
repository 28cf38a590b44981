"""The worker: no routes; its own loops, the scheduler's, the watch over limits, and the care of the tables.

A process without this role accepts: it stores what comes, and leaves carrying it out to others (``accepting``).
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from make_bridge.domain.executions.ingest import Ingest
from make_bridge.domain.executions.scheduler import Scheduler
from make_bridge.domain.executions.upkeep import Care, ensure_partitions_of, keep_up
from make_bridge.domain.executions.worker import Worker
from make_bridge.domain.usage.watch import QuotaWatch
from make_bridge.platform.coordination.locks import Lock
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics.loops import LoopTurns


@dataclass(frozen=True, slots=True, kw_only=True)
class Loops:
    """What runs beside requests."""

    worker: Worker
    ingest: Ingest
    scheduler: Scheduler
    watch: QuotaWatch
    turns: LoopTurns


@asynccontextmanager
async def running(loops: Loops, shards: Shards, cares: Mapping[str, Care], turn: Lock) -> AsyncIterator[None]:
    """Run the loops; on the way out drain: no new work, finish or hand back, write every outcome.

    Under ``turn`` one process at a time takes care of the tables.
    """
    partitions = _Partitions()
    await shards.follow(partitions)
    await loops.watch.start()
    await loops.worker.start()
    await loops.scheduler.start()
    upkeep = asyncio.create_task(keep_up(shards, cares, loops.turns, turn), name="upkeep")
    try:
        yield
    finally:
        upkeep.cancel()
        with suppress(asyncio.CancelledError):
            await upkeep
        await loops.watch.stop()
        await loops.scheduler.stop()
        await loops.ingest.close()
        await loops.worker.stop()
        await shards.leave(partitions)


@asynccontextmanager
async def accepting(loops: Loops, shards: Shards) -> AsyncIterator[None]:
    """Run what a process without the worker's role needs; on the way out write everything that was accepted."""
    partitions = _Partitions()
    await shards.follow(partitions)
    await loops.watch.start()
    try:
        yield
    finally:
        await loops.watch.stop()
        await loops.ingest.close()
        await shards.leave(partitions)


class _Partitions:
    """Has a shard's partitions made before anything is written to it by this process; they outlive it."""

    async def begin(self, shard: Shard) -> None:
        """Make those of the coming days; raises Unavailable."""
        await ensure_partitions_of(shard)

    async def end(self, shard: Shard) -> None:
        """Leave them."""
