"""How long the oldest work has waited that a worker could begin: what an autoscaler looks at."""

import pytest

from make_bridge.platform.queue import oldest
from make_bridge.platform.queue.oldest import oldest_waiting
from support.organizations import make_organization

_ADD = """
INSERT INTO shard.queue (id, organization_id, team_id, scenario_id, kind, class, ready_at, ordering_key, lease_until)
VALUES (gen_random_uuid(), 1, %(team)s, 1, %(kind)s, %(class)s, now() - make_interval(secs => %(waits)s), %(key)s,
        now() + %(lease)s * interval '1 second')
"""
_MANY = """
INSERT INTO shard.queue (id, organization_id, team_id, scenario_id, kind, class)
SELECT gen_random_uuid(), 1, 1 + n %% 50, 1, 'scenario.execute', 1 FROM generate_series(1, 50000) n
"""
_FETCHED = """
SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0)::bigint AS fetched FROM pg_stat_xact_user_tables
WHERE relname = 'queue'
"""


@pytest.fixture
async def shard(shards):
    organization = await make_organization(shards)
    opened = await shards.of(organization.organization_id)
    async with opened.engine_write() as tx:
        await tx.execute("DELETE FROM shard.queue")
    return opened


async def add(shard, waits, *, team=7, queue_class=1, key=None, lease=None, kind="scenario.execute"):
    row = {"team": team, "class": queue_class, "waits": waits, "key": key, "lease": lease, "kind": kind}
    async with shard.engine_write() as tx:
        await tx.execute(_ADD, row)


async def test_nothing_waits_in_an_empty_queue(shards, shard):
    assert await oldest_waiting(shards) == {"high": 0.0, "default": 0.0, "low": 0.0}


async def test_the_oldest_of_each_class_is_told_over_all_teams(shards, shard):
    for team, waits in ((7, 30), (8, 90), (9, 60)):
        await add(shard, waits, team=team)
        await add(shard, waits / 10, team=team)
    await add(shard, 500, queue_class=2)
    await add(shard, 5, queue_class=0)
    found = await oldest_waiting(shards)
    assert found["default"] == pytest.approx(90, abs=20)
    assert found["low"] == pytest.approx(500, abs=20)
    assert found["high"] == pytest.approx(5, abs=20)


async def test_what_more_workers_would_not_help_is_left_out(shards, shard):
    await add(shard, 900, lease=15)
    await add(shard, 900, key="order-1")
    await add(shard, 900, kind="incomplete.retry")
    await add(shard, 900, queue_class=3)
    await add(shard, -900)
    assert await oldest_waiting(shards) == {"high": 0.0, "default": 0.0, "low": 0.0}


async def test_it_reads_a_row_for_each_team_however_many_wait(shards, shard):
    async with shard.engine_write() as tx:
        await tx.execute(_MANY)
    assert (await oldest_waiting(shards))["default"] > 0.0
    # The same statement where its reads can be counted.
    async with shard.engine_write() as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        await tx.all(oldest._OLDEST, (1000,))  # noqa: SLF001
        row = await tx.one(_FETCHED)
    assert row["fetched"] <= 200
    async with shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.queue")
