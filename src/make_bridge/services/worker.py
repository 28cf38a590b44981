"""The worker: no routes; its own loops, the scheduler's, and the care of the tables."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from make_bridge.domain.executions.ingest import Ingest
from make_bridge.domain.executions.scheduler import Scheduler
from make_bridge.domain.executions.upkeep import Care, ensure_partitions, keep_up
from make_bridge.domain.executions.worker import Worker
from make_bridge.platform.database.shards import Shards


@asynccontextmanager
async def running(
    worker: Worker, ingest: Ingest, scheduler: Scheduler, shards: Shards, cares: Mapping[str, Care]
) -> AsyncIterator[None]:
    """Run the loops; on the way out drain: no new work, finish or hand back, write every outcome."""
    await ensure_partitions(shards)
    await worker.start()
    await scheduler.start()
    upkeep = asyncio.create_task(keep_up(shards, cares), name="upkeep")
    try:
        yield
    finally:
        upkeep.cancel()
        with suppress(asyncio.CancelledError):
            await upkeep
        await scheduler.stop()
        await ingest.close()
        await worker.stop()
