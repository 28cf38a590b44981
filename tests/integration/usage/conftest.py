"""A team with a customer, a scenario that is switched on, nothing in the queue, and processes that watch limits."""

from dataclasses import dataclass, field

import pytest

from make_bridge.domain.executions.deferring import Deferring
from make_bridge.domain.usage.model import QuotaConfig
from make_bridge.domain.usage.quotas import Quotas
from make_bridge.domain.usage.watch import QuotaWatch
from make_bridge.platform.observability.metrics import Metrics
from support.endings import make_place

_USE = """
INSERT INTO shard.usage_daily AS u
VALUES (%s, %s, date_trunc('month', now() AT TIME ZONE 'UTC')::date, %s, %s, %s) ON CONFLICT (scenario_id, day)
DO UPDATE SET executions = excluded.executions, operations = excluded.operations,
    data_transfer = excluded.data_transfer
"""
_LIMIT = """
INSERT INTO shard.customers AS c (organization_id, external_id, team_id, name, operations_limit)
VALUES (%s, 'dana', %s, 'Dana', %s) ON CONFLICT (organization_id, external_id)
DO UPDATE SET operations_limit = excluded.operations_limit
"""


@dataclass
class Process:
    """What one process knows of limits and does about them."""

    watch: QuotaWatch
    quotas: Quotas
    deferring: Deferring
    released: list[None] = field(default_factory=list)

    async def look(self, shard):
        await self.watch.look(shard, now=True)


def process_of(shards, *, most=10_000, near=80.0):
    quotas, metrics = Quotas(), Metrics()
    released: list[None] = []
    config = QuotaConfig(look_seconds=1.0, near_percent=near, most_deferred=most)
    watch = QuotaWatch(shards, quotas, metrics, config, lambda: released.append(None))
    return Process(watch, quotas, Deferring(shards, quotas, metrics, most=most), released)


@pytest.fixture
async def place(shards):
    made = await make_place(shards)
    async with made.shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.usage_states")
    yield made
    await made.execute("UPDATE shard.customers SET operations_limit = NULL")
    await made.execute("UPDATE shard.teams SET operations_limit = NULL, transfer_limit = NULL")
    await made.execute("DELETE FROM shard.usage_limits")


@pytest.fixture
def process(shards):
    return process_of(shards)


@pytest.fixture
def used(place):
    """Let the place's scenario have used something earlier this month."""

    async def use(operations, executions=0, transfer=0, scenario_id=None):
        scenario = scenario_id or place.scenario_id
        await place.execute(_USE, place.organization_id, scenario, executions, operations, transfer)

    return use


@pytest.fixture
def limit(place):
    """Give the team's customer a limit of operations."""

    async def give(operations):
        await place.execute(_LIMIT, place.organization_id, place.team_id, operations)

    return give
