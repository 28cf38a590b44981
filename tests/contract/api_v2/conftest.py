"""The API over a real PostgreSQL, one organization per test."""

import pytest

from support.api_v2 import Api
from support.postgres import open_shards


@pytest.fixture(scope="module")
async def api(postgres):
    async with open_shards(postgres, "two") as shards:
        api = Api(shards)
        yield api
        api.close()


@pytest.fixture
async def acme(api):
    return await api.integrator()
