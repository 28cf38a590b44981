"""The worker: no routes; its own loops, the scheduler's, the watch over limits, and the care of the tables."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from make_bridge.domain.executions.ingest import Ingest
from make_bridge.domain.executions.scheduler import Scheduler
from make_bridge.domain.executions.upkeep import Care, ensure_partitions, keep_up
from make_bridge.domain.executions.worker import Worker
from make_bridge.domain.usage.watch import QuotaWatch
from make_bridge.platform.database.shards import Shards


@dataclass(frozen=True, slots=True, kw_only=True)
class Loops:
    """What runs beside requests."""

    worker: Worker
    ingest: Ingest
    scheduler: Scheduler
    watch: QuotaWatch


@asynccontextmanager
async def running(loops: Loops, shards: Shards, cares: Mapping[str, Care]) -> AsyncIterator[None]:
    """Run the loops; on the way out drain: no new work, finish or hand back, write every outcome."""
    await ensure_partitions(shards)
    await loops.watch.start()
    await loops.worker.start()
    await loops.scheduler.start()
    upkeep = asyncio.create_task(keep_up(shards, cares), name="upkeep")
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
