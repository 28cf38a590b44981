"""Each role has time-outs of its own, held by PostgreSQL: the one that is set is the one that fires."""

import contextlib
import time

import psycopg
import pytest

from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.opening import DatabaseAddress, DatabasePlan, open_databases
from make_bridge.platform.database.pools import PoolLimits

NOBODY = OrganizationId(0)
LIMITS = PoolLimits(
    max_size=2,
    statement_timeout=0.2,
    directory_statement_timeout=0.3,
    engine_statement_timeout=0.4,
    report_statement_timeout=0.6,
    lock_timeout=0.25,
    idle_in_transaction=7.0,
)
SHOWN = "SELECT current_setting(%s) AS shown"


@pytest.fixture
async def opened(postgres):
    database = await postgres.clone(("directory", "shard"), 0)
    url = postgres.dsn(database)
    plan = DatabasePlan(directory=DatabaseAddress(url=url), shards={})
    async with contextlib.AsyncExitStack() as stack:
        yield await open_databases(stack, plan, {url: postgres.serving_dsn(database)}, LIMITS, SystemClock())
    await postgres.drop(database)


def readings(shards):
    [shard] = shards.all()
    return {
        "app": (shard.read(NOBODY), "200ms"),
        "directory": (shards.directory.read(), "300ms"),
        "engine": (shard.engine_write(), "400ms"),
        "report": (shard.read_report(NOBODY), "600ms"),
    }


@pytest.mark.parametrize("role", ["app", "directory", "engine", "report"])
async def test_the_statements_of_each_role_are_given_up_after_its_own_time(opened, role):
    reading, timeout = readings(opened)[role]
    settings = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    shown: list[str] = []
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await dawdle(reading, settings, shown)
    assert shown == [timeout, "250ms", "7s"]
    assert time.monotonic() - began < 5


async def dawdle(reading, settings, shown):
    async with reading as tx:
        shown += [(await tx.one(SHOWN, (name,)))["shown"] for name in settings]
        await tx.one("SELECT pg_sleep(30)")


async def test_what_a_report_may_take_is_no_setting_of_the_connection(opened):
    [shard] = opened.all()
    for _ in range(2):
        async with shard.read_report(NOBODY) as tx:
            await tx.one("SELECT 1")
        async with shard.read(NOBODY) as tx:
            assert await tx.one(SHOWN, ("statement_timeout",)) == {"shown": "200ms"}


async def test_a_wait_for_a_lock_is_given_up_before_the_statement(opened):
    [shard] = opened.all()
    async with shard.engine_write() as holding:
        await holding.execute("LOCK TABLE shard.queue IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unavailable) as refused:
            await look(shard)
    assert isinstance(refused.value.__cause__, psycopg.errors.LockNotAvailable)


async def look(shard):
    async with shard.engine_statement() as tx:
        await tx.one("SELECT 1 FROM shard.queue")
