"""What a claim costs, in rows and pages: the same with a million waiting rows of one team as with two thousand.

A module of its own: its database is thrown away with the million rows.
"""

import pytest

from make_bridge.platform.database.pools import Shard
from support.organizations import make_organization

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")

BUSY = 11
_FILL = """
INSERT INTO shard.queue (id, organization_id, team_id, scenario_id, kind, ordering_key)
SELECT lpad(to_hex(n), 32, '0')::uuid, 1, %s, 1 + n %% 7, 'scenario.execute', CASE WHEN n %% 20 = 0 THEN '' END
FROM generate_series(%s::integer, %s::integer) n
"""
_OTHERS = """
INSERT INTO shard.queue (id, organization_id, team_id, scenario_id, kind, class)
SELECT gen_random_uuid(), 1, 100 + n %% 30, 50, 'scenario.execute', n %% 3 FROM generate_series(1, 3000) n
"""
_HISTORY = """
INSERT INTO shard.executions (retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed)
SELECT 0, (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '0' || lpad(to_hex(n), 19, '0'))::uuid,
       1, 1, 1, 1, 'webhook', 1
FROM generate_series(1, 20000) n
"""
_COST = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM shard.claim('node', 50, '15 s', 1000000, '10 s')"
_TOUCHED = """
SELECT coalesce(sum(seq_scan), 0) AS scans, coalesce(sum(idx_tup_fetch), 0) AS fetched
FROM pg_stat_xact_user_tables WHERE schemaname = 'shard'
"""


async def fill(shard: Shard, first: int, last: int) -> None:
    async with shard.engine_write() as tx:
        await tx.execute("SET LOCAL statement_timeout = 0")
        await tx.execute(_FILL, (BUSY, first, last))


async def cost(shard: Shard) -> tuple[int, int]:
    """Claim once; return how many rows were fetched and how many pages were looked at."""
    async with shard.engine_write() as tx:
        before = await tx.one(_TOUCHED)
        row = await tx.one(_COST)
        after = await tx.one(_TOUCHED)
    assert before is not None
    assert row is not None
    assert after is not None
    plan = row["QUERY PLAN"][0]["Plan"]
    assert plan["Actual Rows"] == 50
    # The only table that is read whole is the one with the turns: one row.
    assert after["scans"] - before["scans"] <= 2
    return int(after["fetched"] - before["fetched"]), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


async def test_a_claim_costs_the_same_whether_thousands_wait_or_a_million(shards):
    organization = await make_organization(shards)
    shard = await shards.of(organization.organization_id)
    async with shard.engine_write() as tx:
        await tx.execute(_HISTORY)
        await tx.execute(_OTHERS)
    await fill(shard, 1, 2_000)
    few = [await cost(shard) for _ in range(4)]
    await fill(shard, 2_001, 1_000_000)
    many = [await cost(shard) for _ in range(4)]
    assert max(fetched for fetched, _ in few + many) < 3_000
    assert max(pages for _, pages in many[1:]) < 2 * max(pages for _, pages in few[1:])
