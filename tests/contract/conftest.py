"""What contract tests may ask for: a real PostgreSQL for the session, where an adapter or a face needs one."""

import os

import pytest

from make_bridge.platform.database.embedded import EmbeddedConfig, EmbeddedPostgres
from support.postgres import PostgresServer

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
