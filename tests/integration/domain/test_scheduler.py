"""The scheduler on a real database: each tick once, whoever leads, whenever it dies, whatever the clock does."""

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest

from make_bridge.domain.executions import store
from make_bridge.domain.executions.scheduler import DUTY, Scheduler, SchedulerConfig
from make_bridge.domain.organizations.zones import Zones
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.messages import (
    ActivateScenario,
    CreateScenario,
    DeactivateScenario,
    EditScenario,
    SaveBlueprint,
)
from make_bridge.kernel.errors import Conflict, InvalidInput, Unavailable
from make_bridge.kernel.ids import ExecutionId, TeamId
from make_bridge.platform.coordination.leadership import Leadership
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.queue import leases
from support.blueprints import blueprint, module, webhook
from support.organizations import make_organization, organizations_of
from support.scheduling import EVERY_MINUTE, make_scene, seconds_between, tick_of


@pytest.fixture
async def scene(shards):
    made = await make_scene(shards)
    async with made.shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.queue")
        await tx.execute("UPDATE shard.scenarios SET next_run_at = NULL")
        await tx.execute("UPDATE shard.leaders SET until = now()")
    return made


def scheduler_of(scene, node="one", zones=None, **config):
    zones = zones or Zones(organizations=organizations_of(scene.shards))
    return Scheduler(scene.shards, zones, Metrics(), SchedulerConfig(node=node, **config), lambda: None)


async def lead(scene, node="one"):
    leadership = Leadership(scene.shard, DUTY, node)
    fence = await leadership.hold()
    assert fence is not None
    return leadership, fence


async def step(scene, node="one", **config):
    leadership, fence = await lead(scene, node)
    return await scheduler_of(scene, node, **config).step(scene.shard, leadership, fence)


async def expire_leadership(scene):
    async with scene.shard.engine_write() as tx:
        await tx.execute("UPDATE shard.leaders SET until = now() - interval '1 second'")


async def end(scene, run):
    """Take a run out of the queue, as a worker does that settles it."""
    async with scene.shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.queue WHERE id = %s", (run["id"],))


# --- switching on


async def test_switching_on_an_interval_lets_it_run_at_once(scene):
    scenario = await scene.scenario(EVERY_MINUTE)
    row = await scene.row(scenario.id)
    assert row["next_run_at"] == row["schedule_anchor"]
    assert await step(scene) == 1
    [run] = await scene.runs(scenario.id)
    assert (run["origin"], run["queued"]) == ("schedule", True)
    assert seconds_between(row["next_run_at"], (await scene.row(scenario.id))["next_run_at"]) == 60


async def test_a_daily_schedule_is_meant_in_the_organization_s_time_zone(scene):
    async with scene.shards.directory.write() as tx:
        await tx.execute(
            "UPDATE directory.organizations SET timezone = 'Asia/Kathmandu' WHERE id = %s",
            (scene.context.organization_id,),
        )
    scenario = await scene.scenario({"type": "daily", "time": "06:10"})
    next_run = (await scene.row(scenario.id))["next_run_at"].astimezone(UTC)
    assert (next_run.hour, next_run.minute) == (0, 25)
    assert next_run > datetime.now(UTC)


async def test_switching_off_takes_the_schedule_away(scene):
    scenario = await scene.scenario()
    await scene.bus.execute(scene.context, DeactivateScenario(scenario_id=scenario.id))
    assert (await scene.row(scenario.id))["next_run_at"] is None
    assert await step(scene) == 0


async def test_a_scenario_that_some_rule_has_switched_off_or_paused_is_not_due(scene):
    paused, stopped = await scene.scenario(), await scene.scenario()
    async with scene.shard.write(scene.context.organization_id) as tx:
        await tx.execute("UPDATE shard.scenarios SET is_paused = true WHERE id = %s", (paused.id,))
        await tx.execute("UPDATE shard.scenarios SET state = 'inactive' WHERE id = %s", (stopped.id,))
    assert await step(scene) == 0
    async with scene.shard.read(scene.context.organization_id) as tx:
        for scenario in (paused, stopped):
            assert (await scenario_store.get(tx, scene.context.organization_id, scenario.id)).next_run_at is None


async def test_switching_on_again_what_is_on_does_not_run_it_again(scene):
    scenario = await scene.scenario()
    await step(scene)
    before = (await scene.row(scenario.id))["next_run_at"]
    await scene.bus.execute(scene.context, ActivateScenario(scenario_id=scenario.id))
    assert (await scene.row(scenario.id))["next_run_at"] == before


async def test_a_new_schedule_counts_from_now(scene):
    scenario = await scene.scenario({"type": "yearly", "months": [1], "days": [1], "time": "00:00"})
    assert await step(scene) == 0
    edited = await scene.bus.execute(scene.context, EditScenario(scenario_id=scenario.id, scheduling=EVERY_MINUTE))
    assert edited.scheduling == EVERY_MINUTE
    assert edited.next_run_at is not None
    assert await step(scene) == 1


@pytest.mark.parametrize(
    ("scheduling", "flow", "interface", "words"),
    [
        (EVERY_MINUTE, (webhook(1),), None, "begins with a webhook"),
        ({"type": "immediately"}, (module(1, "util:ComposeTransformer", {"value": "x"}),), None, "on-demand"),
        (EVERY_MINUTE, (module(1, "scenario-service:StartSubscenario", {}),), None, "takes inputs"),
        (
            {"type": "daily", "time": "06:00"},
            (module(1, "util:ComposeTransformer", {"value": "x"}),),
            {"input": [{"name": "a", "type": "text"}], "output": None},
            "takes inputs",
        ),
        ({"type": "once", "date": "2020-01-01T00:00:00Z"}, (), None, "never comes due"),
    ],
)
async def test_a_schedule_that_does_not_fit_is_refused_when_it_is_switched_on(
    scene, scheduling, flow, interface, words
):
    document = blueprint(*(flow or (module(1, "util:ComposeTransformer", {"value": "x"}),)))
    document |= {} if interface is None else {"interface": interface}
    command = CreateScenario(team_id=TeamId(scene.organization.team_id), blueprint=document, scheduling=scheduling)
    scenario = await scene.bus.execute(scene.context, command)
    with pytest.raises(Conflict, match=words) as refused:
        await scene.bus.execute(scene.context, ActivateScenario(scenario_id=scenario.id))
    assert refused.value.reason == "scheduling_mismatch"


async def test_a_schedule_that_is_none_is_refused_when_it_is_written(scene):
    with pytest.raises(InvalidInput, match="at least 60 seconds"):
        await scene.scenario({"type": "indefinitely", "interval": 30})
    scenario = await scene.scenario()
    with pytest.raises(InvalidInput, match="time of day"):
        await scene.bus.execute(
            scene.context, EditScenario(scenario_id=scenario.id, scheduling={"type": "daily", "time": "noon"})
        )


async def test_a_blueprint_that_does_not_fit_the_running_schedule_is_refused(scene):
    scenario = await scene.scenario()
    with pytest.raises(Conflict, match="begins with a webhook"):
        await scene.bus.execute(scene.context, SaveBlueprint(scenario_id=scenario.id, blueprint=blueprint(webhook(1))))


# --- each tick once


async def test_many_steps_at_once_fire_each_tick_once(scene):
    scenarios = [await scene.scenario() for _ in range(12)]
    leadership, fence = await lead(scene)
    scheduler = scheduler_of(scene, batch=5)
    handled = await asyncio.gather(*(scheduler.step(scene.shard, leadership, fence) for _ in range(6)))
    while left := await scheduler.step(scene.shard, leadership, fence):
        handled.append(left)
    assert sum(handled) == 12
    assert max(handled) <= 5
    for scenario in scenarios:
        assert len(await scene.runs(scenario.id)) == 1


async def test_two_schedulers_on_one_database_fire_each_tick_once(scene):
    scenarios = [await scene.scenario() for _ in range(8)]
    fired = asyncio.Event()
    both = [scheduler_of(scene, node) for node in ("one", "two")]
    for scheduler in both:
        scheduler._started = fired.set  # noqa: SLF001  the signal to wait for
        await scheduler.start()
    await asyncio.wait_for(fired.wait(), 10)
    for scheduler in both:
        await scheduler.stop()
    for scenario in scenarios:
        assert len(await scene.runs(scenario.id)) == 1


async def test_one_that_led_once_changes_nothing_any_more(scene):
    scenario = await scene.scenario()
    old, old_fence = await lead(scene, "old")
    assert await Leadership(scene.shard, DUTY, "new").hold() is None
    await expire_leadership(scene)
    new, new_fence = await lead(scene, "new")
    assert new_fence > old_fence
    assert await scheduler_of(scene, "old").step(scene.shard, old, old_fence) == 0
    assert await scene.runs(scenario.id) == []
    assert await scheduler_of(scene, "new").step(scene.shard, new, new_fence) == 1
    assert await old.hold() is None
    await new.resign()
    assert await old.hold() == new_fence + 1


class DyingBetween:
    """Ends the step's connection after the due rows are locked and before the run is written."""

    def __init__(self, postgres, inner):
        self.postgres = postgres
        self.inner = inner
        self.deaths = 0

    async def of(self, organization_id):
        if not self.deaths:
            self.deaths += 1
            async with await psycopg.AsyncConnection.connect(self.postgres.owner_dsn, autocommit=True) as connection:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"
                    " AND application_name LIKE '%%bridge_engine%%' AND query LIKE '%%shard.scenarios%%'"
                )
        return await self.inner.of(organization_id)


async def test_a_scheduler_that_dies_between_looking_and_writing_has_done_nothing(scene, postgres):
    scenario = await scene.scenario()
    before = await scene.row(scenario.id)
    leadership, fence = await lead(scene)
    zones = DyingBetween(postgres, Zones(organizations=organizations_of(scene.shards)))
    dying = scheduler_of(scene, zones=zones)
    with pytest.raises(Unavailable):
        await dying.step(scene.shard, leadership, fence)
    assert zones.deaths == 1
    assert await scene.runs(scenario.id) == []
    assert (await scene.row(scenario.id))["next_run_at"] == before["next_run_at"]
    assert await dying.step(scene.shard, leadership, fence) == 1
    assert len(await scene.runs(scenario.id)) == 1


# --- late, missed, overlapping


async def test_a_clock_that_jumps_ahead_makes_one_run_and_tells_what_was_left_out(scene):
    scenario = await scene.scenario()
    await scene.come_due(scenario.id, 3600)
    assert await step(scene) == 1
    assert await step(scene) == 0
    [run] = await scene.runs(scenario.id)
    assert 59 <= tick_of(run).missed <= 60
    assert (await scene.row(scenario.id))["ticks_missed"] == 0


async def test_a_clock_that_jumps_back_fires_nothing_twice(scene):
    scenario = await scene.scenario()
    await step(scene)
    await scene.come_due(scenario.id, -3600)
    assert await step(scene) == 0
    assert len(await scene.runs(scenario.id)) == 1


async def test_without_catching_up_the_next_run_tells_what_was_missed(scene):
    scenario = await scene.scenario()
    await scene.come_due(scenario.id, 600)
    assert await step(scene, catch_up="none") == 1
    assert await scene.runs(scenario.id) == []
    missed = (await scene.row(scenario.id))["ticks_missed"]
    assert missed in (10, 11)
    await scene.come_due(scenario.id)
    await step(scene, catch_up="none")
    [run] = await scene.runs(scenario.id)
    assert tick_of(run).missed == missed


async def test_a_tick_is_left_out_while_the_run_before_is_going_and_the_next_run_says_so(scene):
    scenario = await scene.scenario()
    await step(scene)
    for _ in range(2):
        await scene.come_due(scenario.id)
        assert await step(scene) == 1
    [first] = await scene.runs(scenario.id)
    assert (await scene.row(scenario.id))["ticks_skipped"] == 2
    await end(scene, first)
    await scene.come_due(scenario.id)
    await step(scene)
    [_, second] = await scene.runs(scenario.id)
    assert tick_of(second).skipped == 2
    assert (await scene.row(scenario.id))["ticks_skipped"] == 0


async def test_a_scenario_that_runs_in_order_lets_one_tick_wait_behind_the_run_that_is_going(scene):
    scenario = await scene.scenario(sequential=True)
    await step(scene)
    [lease] = await leases.claim(scene.shard, "worker", 10)
    for _ in range(3):
        await scene.come_due(scenario.id)
        await step(scene)
    runs = await scene.runs(scenario.id)
    assert [run["ordering_key"] for run in runs] == ["", ""]
    assert (await scene.row(scenario.id))["ticks_skipped"] == 2
    assert lease.id == runs[0]["id"].hex
    assert await leases.claim(scene.shard, "worker", 10) == []


async def test_a_schedule_that_cannot_be_read_holds_nobody_up(scene):
    broken, whole = await scene.scenario(), await scene.scenario()
    await scene.come_due(broken.id, 5)
    async with scene.shard.write(scene.context.organization_id) as tx:
        await tx.execute("UPDATE shard.scenarios SET scheduling = '{}' WHERE id = %s", (broken.id,))
    assert await step(scene) == 2
    assert len(await scene.runs(whole.id)) == 1
    assert await scene.runs(broken.id) == []
    assert (await scene.row(broken.id))["next_run_at"] is None


async def test_a_scheduled_run_reads_back_as_one(scene):
    scenario = await scene.scenario()
    await step(scene)
    [run] = await scene.runs(scenario.id)
    async with scene.shard.read(scene.context.organization_id) as tx:
        row = await store.read_run(tx, scene.context.organization_id, ExecutionId(run["id"].hex))
    assert row is not None
    assert row["origin"] == "schedule"


# --- what the engine's role may see


async def test_the_engine_s_role_sees_schedules_and_nothing_else_of_scenarios(shards, scene):
    scheduled, by_hand = await scene.scenario(), await scene.scenario({"type": "on-demand"})
    async with scene.shard.engine_write() as tx:
        seen = {row["id"] for row in await tx.all("SELECT id FROM shard.scenarios")}
    assert scheduled.id in seen
    assert by_hand.id not in seen
    with pytest.raises(Exception, match="permission denied"):
        async with scene.shard.engine_write() as tx:
            await tx.all("SELECT name FROM shard.scenarios")
    stranger = (await make_organization(shards, "Stranger")).organization_id
    async with (await shards.of(stranger)).read(stranger) as tx:
        assert await tx.all("SELECT * FROM shard.scenarios WHERE id = %s", (scheduled.id,)) == []


async def test_looking_for_what_is_due_reads_one_small_index(scene):
    await scene.scenario()
    async with scene.shard.engine_write() as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        plan = await tx.all(
            "EXPLAIN SELECT id FROM shard.scenarios WHERE next_run_at <= now() AND state = 'active'"
            " AND NOT is_paused AND NOT is_invalid ORDER BY next_run_at LIMIT 100"
        )
    text = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "Index Scan using scenarios_due" in text
    assert "Sort" not in text
