"""A scenario that is switched on, with nothing in the queue."""

import pytest

from support.endings import make_place
from support.scheduling import make_scene


@pytest.fixture
async def place(shards):
    return await make_place(shards)


@pytest.fixture
async def scene(shards):
    """An organization with the commands on scenarios, and nothing in the queue."""
    made = await make_scene(shards)
    async with made.shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.queue")
    return made
