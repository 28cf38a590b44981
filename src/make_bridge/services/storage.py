"""Care of stored runs, and the look at who is silent: no routes, their loops only; one process leads on each shard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from make_bridge.domain.gaps.looking import GapWatch
from make_bridge.domain.storage.keeping import StorageCare


@asynccontextmanager
async def watching(storage: StorageCare, gaps: GapWatch) -> AsyncIterator[None]:
    """Run the loops; both may end between any two batches."""
    await storage.start()
    await gaps.start()
    try:
        yield
    finally:
        await gaps.stop()
        await storage.stop()
