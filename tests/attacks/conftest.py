"""What the attacks meet: a real PostgreSQL with the API over it, one organization per test."""

import os

import pytest

from make_bridge.platform.database.embedded import EmbeddedConfig, EmbeddedPostgres
from support.api_v2 import Api
from support.postgres import PostgresServer, open_shards

# Nothing of a test outlives a power cut, so its server need not wait for the disk.
HASTE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory):
    """One server for the session (with xdist: for the worker), or the owner's address of one that is there."""
    shared = os.environ.get("MAKE_BRIDGE_TEST_DATABASE")
    if shared is not None:
        server = PostgresServer(owner_dsn=shared, is_shared=True)
        yield server
        await server.close()
        return
    config = EmbeddedConfig(data_dir=tmp_path_factory.mktemp("postgres"), settings=HASTE)
    async with EmbeddedPostgres(config, lambda event: None) as facts:
        yield PostgresServer(owner_dsn=facts.admin_dsn, is_shared=False)


@pytest.fixture(scope="module")
async def shards(postgres):
    async with open_shards(postgres, "one") as opened:
        yield opened


@pytest.fixture(scope="module")
def api(shards):
    return Api(shards)


@pytest.fixture
async def acme(api):
    return await api.integrator()
