"""A scenario that is switched on, with nothing in the queue."""

import pytest

from support.endings import make_place


@pytest.fixture
async def place(shards):
    return await make_place(shards)
