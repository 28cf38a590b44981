"""The sealing of the audit trail: no routes, its loops only. Every process has them; one leads on each shard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from make_bridge.platform.audit.sealer import Sealer


@asynccontextmanager
async def sealing(sealer: Sealer) -> AsyncIterator[None]:
    """Run the loops; they end last, so that what a process does while it drains is still chained."""
    await sealer.start()
    try:
        yield
    finally:
        await sealer.stop()
