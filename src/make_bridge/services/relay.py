"""The relay of events: no routes, its loops only. Every process has one, whatever else it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from make_bridge.platform.bus.relay import Relay


@asynccontextmanager
async def relaying(relay: Relay) -> AsyncIterator[None]:
    """Run the loops; they end last, so that what a process does while it drains is still told."""
    await relay.start()
    try:
        yield
    finally:
        await relay.stop()
