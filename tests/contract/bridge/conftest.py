"""Both APIs at once, whole, over a real PostgreSQL."""

import pytest

from support.bridge import open_bridge


@pytest.fixture(scope="module")
async def bridge(postgres, tmp_path_factory):
    async with open_bridge(postgres, tmp_path_factory.mktemp("bridge")) as opened:
        yield opened
