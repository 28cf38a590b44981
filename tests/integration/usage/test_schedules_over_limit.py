"""Schedules of a team that is over its limit: no run, the tick counted, and the next run tells of it."""

import pytest

from integration.usage.conftest import process_of
from make_bridge.domain.executions.scheduler import DUTY, Scheduler, SchedulerConfig
from make_bridge.domain.organizations.zones import Zones
from make_bridge.platform.coordination.leadership import Leadership
from make_bridge.platform.observability.metrics import Metrics
from support.organizations import organizations_of
from support.scheduling import make_scene, tick_of

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")

_LIMIT = """
INSERT INTO shard.usage_limits (organization_id, operations) VALUES (%s, %s)
ON CONFLICT (organization_id) DO UPDATE SET operations = excluded.operations
"""


async def test_a_tick_over_the_limit_is_left_out_and_the_next_run_tells_of_it(shards):
    scene = await make_scene(shards)
    organization_id = scene.context.organization_id
    scenario = await scene.scenario()
    process = process_of(shards)
    zones = Zones(organizations=organizations_of(shards))
    scheduler = Scheduler(shards, zones, Metrics(), SchedulerConfig(node="one"), lambda: None, process.quotas)
    leadership = Leadership(scene.shard, DUTY, "one")
    fence = await leadership.hold()
    assert fence is not None

    async def tick(limit):
        async with scene.shard.write(organization_id) as tx:
            await tx.execute(_LIMIT, (organization_id, limit))
        await process.look(scene.shard)
        await scene.come_due(scenario.id)
        assert await scheduler.step(scene.shard, leadership, fence) == 1

    await tick(0)
    assert await scene.runs(scenario.id) == []
    await tick(100)
    [run] = await scene.runs(scenario.id)
    assert tick_of(run).skipped == 1
