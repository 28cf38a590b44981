"""The console over a real PostgreSQL, one organization per test."""

import pytest

from make_bridge.kernel.ids import OrganizationId
from support.api_v2 import Api
from support.people import Console, People
from support.postgres import open_shards


@pytest.fixture(scope="module")
async def console(postgres):
    async with open_shards(postgres, "two") as shards:
        people = People(shards)
        yield Console(Api(shards), people)
        await people.signing_in.close()


@pytest.fixture
async def acme(console):
    """A new organization's id."""
    return OrganizationId((await console.api.integrator()).facts.organization_id)
