"""What a pool makes of connections that break or take too long: it reads again, and never writes twice."""

import contextlib

import psycopg
import pytest

from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import ConfigurationError, Unavailable
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.budget import KEPT_FREE
from make_bridge.platform.database.opening import DatabaseAddress, DatabasePlan, open_databases
from make_bridge.platform.database.pools import Directory, PoolLimits, open_pool
from make_bridge.platform.database.transactions import ConnectionLost

PID = "SELECT pg_backend_pid() AS pid"
NOBODY = OrganizationId(0)


@pytest.fixture(scope="module")
def layout():
    return "one"


@pytest.fixture
async def owner(postgres):
    async with await psycopg.AsyncConnection.connect(postgres.owner_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
async def database(postgres):
    name = await postgres.clone(("directory", "shard"), 0)
    yield name
    await postgres.drop(name)


@pytest.fixture
def breaking(owner):
    """A question under which the connection breaks so many times."""

    def question(times):
        asked = []

        async def ask(tx):
            asked.append((await tx.one(PID))["pid"])
            if len(asked) <= times:
                await owner.execute("SELECT pg_terminate_backend(%s, 5000)", (asked[-1],))
            return await tx.one("SELECT 1 AS one")

        return ask, asked

    return question


async def test_a_reading_whose_connection_breaks_is_done_again_on_another(shards, breaking):
    for reader in (shards.directory.ask, lambda ask: shards.all()[0].ask(NOBODY, ask)):
        ask, asked = breaking(times=1)
        assert await reader(ask) == {"one": 1}
        assert len(set(asked)) == 2


async def test_a_reading_is_done_three_times_at_most(shards, breaking):
    ask, asked = breaking(times=2)
    assert await shards.directory.ask(ask) == {"one": 1}
    ask, asked = breaking(times=9)
    with pytest.raises(ConnectionLost):
        await shards.directory.ask(ask)
    assert len(asked) == 3


async def test_a_writing_whose_connection_breaks_is_not_done_again(shards, breaking):
    ask, asked = breaking(times=1)
    with pytest.raises(ConnectionLost):
        async with shards.directory.write() as tx:
            await ask(tx)
    assert len(asked) == 1


async def test_a_transaction_that_did_nothing_for_too_long_is_a_lost_connection(postgres, database, owner):
    limits = PoolLimits(max_size=1, idle_in_transaction=0.1)
    async with open_pool(postgres.serving_dsn(database), "bridge_directory", limits) as pool:
        idle = []

        async def dawdle(tx):
            idle.append((await tx.one(PID))["pid"])
            while len(idle) == 1 and await is_there(owner, idle[0]):
                pass
            return await tx.one("SELECT 1 AS one")

        assert await Directory(pool).ask(dawdle) == {"one": 1}
        assert len(set(idle)) == 2


async def is_there(owner, pid):
    found = await owner.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,))
    return await found.fetchone() is not None


async def test_a_statement_that_takes_too_long_is_refused_once_and_harms_nobody(postgres, database):
    limits = PoolLimits(max_size=1, statement_timeout=0.1)
    async with open_pool(postgres.serving_dsn(database), "bridge_directory", limits) as pool:
        asked = []

        async def slow(tx):
            asked.append((await tx.one(PID))["pid"])
            return await tx.one("SELECT pg_sleep(30)")

        with pytest.raises(Unavailable) as refused:
            await Directory(pool).ask(slow)
        assert not isinstance(refused.value, ConnectionLost)
        assert len(asked) == 1, "what took too long would take too long again"
        assert await Directory(pool).ask(lambda tx: tx.one(PID)) == {"pid": asked[0]}


async def test_a_server_that_could_use_up_all_connections_does_not_start(postgres, database, owner):
    [allowed] = await (await owner.execute("SELECT current_setting('max_connections')::int")).fetchone()
    url = postgres.dsn(database)
    plan = DatabasePlan(directory=DatabaseAddress(url=url), shards={})
    serving = {url: postgres.serving_dsn(database)}
    # Three pools, six connections of the loops, one that listens: 3 × size + 7 have to fit.
    most = (allowed - KEPT_FREE - 7) // 3
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(ConfigurationError, match="lower MAKE_BRIDGE_DATABASE_CONNECTIONS"):
            await open_databases(stack, plan, serving, PoolLimits(max_size=most + 1), SystemClock())
        await open_databases(stack, plan, serving, PoolLimits(max_size=most), SystemClock())
