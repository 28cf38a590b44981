"""Slow statements are known by fingerprint and plan: never by a value, and nothing is carried out for it."""

import asyncio
import json

import pytest
import structlog

from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database.pools import Directory, PoolLimits, open_pool
from make_bridge.platform.database.slow_statements import SlowStatements
from support.waiting import until_async

SECRET = "tok-3f9a-secret-value"
FIND = "SELECT id FROM directory.organizations WHERE name = %s"
ADD = "INSERT INTO directory.facts (name, value) VALUES (%s, %s)"


@pytest.fixture
async def database(postgres):
    name = await postgres.clone(("directory", "shard"), 0)
    yield name
    await postgres.drop(name)


@pytest.fixture
async def directory(postgres, database):
    limits = PoolLimits(max_size=3, statement_timeout=0.3)
    async with open_pool(postgres.serving_dsn(database), "bridge_directory", limits) as pool:
        yield Directory(pool)


def slow_after(seconds, most=10):
    return SlowStatements(seconds=seconds, most=most, clock=SystemClock())


async def planned(slow, number=1):
    async def is_planned():
        return sum(bool(entry.plan) for entry in slow.all()) >= number

    await until_async(is_planned, "the plan is there", within=10)


async def test_a_statement_is_known_by_its_text_and_not_by_its_values(directory):
    slow = slow_after(0)
    directory.watch(slow)
    with structlog.testing.capture_logs() as logs:
        async with slow.planning():
            for value in (SECRET, "another"):
                async with directory.read() as tx:
                    await tx.all(FIND if value == SECRET else FIND.replace(" FROM", "\n   FROM"), (value,))
            await planned(slow)
    [entry] = slow.all()
    assert (entry.count, entry.failed) == (2, 0)
    assert entry.worst > 0
    assert "organizations" in {node.relation for node in entry.plan}
    told = json.dumps([entry.shown(), logs], default=str)
    assert SECRET not in told
    assert "another" not in told
    assert [log["event"] for log in logs] == ["slow_statement", "slow_statement_plan"], "once a minute"


async def test_what_is_quick_is_not_known(directory):
    slow = slow_after(5)
    directory.watch(slow)
    async with directory.read() as tx:
        await tx.all(FIND, ("x",))
    assert slow.all() == []


async def test_a_statement_that_was_given_up_is_known_too(directory):
    slow = slow_after(0.2)
    directory.watch(slow)
    with pytest.raises(Unavailable):
        await directory.ask(lambda tx: tx.one("SELECT pg_sleep(30)"))
    [entry] = slow.all()
    assert (entry.count, entry.failed) == (1, 1)
    assert 0.2 < entry.worst < 5


async def test_a_plan_carries_nothing_out(directory):
    slow = slow_after(0)
    directory.watch(slow)
    async with slow.planning():
        async with directory.write() as tx:
            await tx.execute(ADD, ("slow-statement", SECRET))
        await planned(slow)
    [entry] = slow.all()
    assert entry.plan[0].kind == "ModifyTable"
    async with directory.read() as tx:
        assert len(await tx.all("SELECT 1 FROM directory.facts WHERE name = 'slow-statement'")) == 1
    assert SECRET not in json.dumps(entry.shown())


async def test_no_more_are_kept_than_the_settings_say_and_the_least_recent_goes(directory):
    slow = slow_after(0, most=3)
    directory.watch(slow)
    async with directory.read() as tx:
        for number in range(6):
            await tx.one(f"SELECT 1 AS column_{number}")
    assert {entry.statement for entry in slow.all()} == {f"SELECT 1 AS column_{number}" for number in (3, 4, 5)}


async def test_a_plan_that_can_not_be_made_ends_nothing(directory):
    slow = slow_after(0)
    directory.watch(slow)
    async with slow.planning():
        async with directory.write() as tx:
            await tx.execute("CREATE TEMPORARY TABLE gone (id int) ON COMMIT DROP")
            await tx.all("SELECT id FROM gone")
        async with directory.read() as tx:
            await tx.all(FIND, ("x",))
        await planned(slow)
        await asyncio.sleep(0)
    assert {entry.statement: bool(entry.plan) for entry in slow.all()}[FIND]
