"""Renewing idle connections: no routes, its loops only. Every process has them; one leads on each shard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from make_bridge.domain.oauth.idle_renewal import IdleRenewal


@asynccontextmanager
async def renewing(renewal: IdleRenewal) -> AsyncIterator[None]:
    """Run the loops; what they have begun, the keeper of tokens ends before the database closes."""
    await renewal.start()
    try:
        yield
    finally:
        await renewal.stop()
