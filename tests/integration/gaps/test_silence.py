"""Silent webhooks and late schedules on a real database: told once, whoever looks, and not for our own outages."""

import asyncio

import pytest

from integration.gaps.conftest import RULES
from make_bridge.domain.executions import store
from make_bridge.domain.gaps import handlers
from make_bridge.domain.gaps.looking import DUTY
from make_bridge.domain.gaps.messages import ExpectCalls, ListGaps, Mode
from make_bridge.domain.gaps.overview import gaps_of
from make_bridge.domain.gaps.views import GapViews
from make_bridge.kernel.errors import InvalidInput, NotFound, Unavailable
from make_bridge.kernel.ids import HookId
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.queries import QueryBus
from make_bridge.platform.coordination.leadership import Leadership
from make_bridge.platform.observability.metrics import Metrics
from support.organizations import administrator, data_keys_of

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")


async def row_of(scene):
    return await scene.place.one("SELECT * FROM shard.hook_rhythms WHERE hook_id = %s", scene.hook_id)


async def test_a_webhook_that_stops_is_told_once_and_so_is_its_return(scene):
    await scene.rhythm()
    await scene.later(500)
    await scene.look()
    assert await scene.told() == []
    metrics = Metrics()
    await scene.later(200)
    for _ in range(3):
        await scene.look(metrics=metrics)
    assert await scene.told() == ["hook.silent"]
    [silent] = await scene.told("hook.silent")
    assert (silent["hook_id"], silent["scenario_id"]) == (scene.hook_id, scene.place.scenario_id)
    assert 990 < silent["silent_seconds"] < 1030
    assert 290 < silent["expected_seconds"] < 330
    assert silent["is_learned"]
    assert 'silent_sources{kind="hook",shard="0"} 1.0' in metrics.render().decode()
    await scene.call()
    for _ in range(2):
        await scene.look(metrics=metrics)
    assert await scene.told() == ["hook.silent", "hook.resumed"]
    assert 'silent_sources{kind="hook",shard="0"} 0.0' in metrics.render().decode()


async def test_calls_write_nothing_about_their_webhook(scene):
    for _ in range(5):
        await scene.call()
    assert await scene.place.all("SELECT * FROM shard.hook_rhythms") == []
    await scene.look()
    assert (await row_of(scene))["times"] == 1


async def test_a_look_without_calls_writes_nothing(scene):
    await scene.rhythm(times=2)
    version = "SELECT xmin::text AS version FROM shard.hook_rhythms WHERE hook_id = %s"
    [before] = await scene.owner(version, scene.hook_id)
    for _ in range(3):
        await scene.look()
    assert await scene.owner(version, scene.hook_id) == [before]


async def test_a_young_webhook_is_not_missed(scene):
    await scene.rhythm(times=2)
    await scene.later(20 * 3600)
    await scene.look()
    assert await scene.told() == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE shard.scenarios SET state = 'inactive' WHERE id = %s",
        "UPDATE shard.scenarios SET is_paused = true WHERE id = %s",
        "UPDATE shard.scenarios SET is_invalid = true WHERE id = %s",
    ],
    ids=["off", "paused", "invalid"],
)
async def test_what_does_not_run_is_not_missed(scene, change):
    await scene.rhythm()
    await scene.owner(change, scene.place.scenario_id)
    await scene.look()
    await scene.later(20 * 3600)
    await scene.look()
    await scene.owner(
        "UPDATE shard.scenarios SET state = 'active', is_paused = false, is_invalid = false WHERE id = %s",
        scene.place.scenario_id,
    )
    await scene.look()
    await scene.look()
    assert await scene.told() == []
    await scene.later(1000)
    await scene.look()
    assert await scene.told() == ["hook.silent"]


async def test_a_webhook_that_is_disabled_is_not_missed(scene):
    await scene.rhythm()
    await scene.owner("UPDATE shard.hooks SET enabled = false WHERE id = %s", scene.hook_id)
    await scene.look()
    await scene.later(20 * 3600)
    await scene.look()
    assert await scene.told() == []


async def test_while_no_server_was_there_nobody_could_call(scene):
    await scene.rhythm()
    await scene.look()
    await scene.away(20 * 3600)
    await scene.look()
    assert await scene.told() == []
    [outage] = await scene.owner("SELECT ended_at - began_at AS lasted FROM shard.gap_outages")
    assert outage["lasted"].total_seconds() > 20 * 3600 - 60
    # 300 s before the outage, and not yet 900 s in all.
    await scene.later(500)
    await scene.look()
    assert await scene.told() == []
    await scene.later(200)
    await scene.look()
    assert await scene.told() == ["hook.silent"]


async def test_without_a_gateway_nothing_is_judged_and_the_time_does_not_count(scene):
    await scene.rhythm()
    await scene.away(3600)
    await scene.look(receives=False)
    assert await scene.told() == []
    await scene.look()
    assert await scene.told() == []


async def test_two_that_look_tell_once(scene):
    await scene.rhythm()
    await scene.later(1000)
    first = Leadership(scene.shard, DUTY, "one")
    fence = await first.hold()
    await scene.owner("UPDATE shard.leaders SET until = now() - interval '1 second'")
    second = Leadership(scene.shard, DUTY, "two")
    later = await second.hold()
    found = await asyncio.gather(
        scene.watch("one").look(scene.shard, first, fence),
        scene.watch("two").look(scene.shard, second, later),
        return_exceptions=True,
    )
    assert [type(each) for each in found] == [Unavailable, type(None)]
    assert await scene.told() == ["hook.silent"]


async def test_many_webhooks_are_looked_at_batch_after_batch(scene):
    await scene.owner(
        "INSERT INTO shard.hooks (organization_id, team_id, name, token_digest, token_sealed, scenario_id)"
        " SELECT %s, %s, 'More', sha256(n::text::bytea || random()::text::bytea), '', %s FROM generate_series(1, 25) n",
        scene.place.organization_id,
        scene.place.team_id,
        scene.place.scenario_id,
    )
    rules = type(RULES)(batch=4, calls=1, learning=0.0, floor=900.0)
    await scene.call()
    await scene.look(rules=rules)
    await scene.later(2000)
    await scene.look(rules=rules)
    assert await scene.told() == ["hook.silent"] * 26


# --- what people say


def buses(scene):
    return (
        CommandBus(handlers.commands(), scene.shards, data_keys_of(scene.shards)),
        QueryBus(GapViews(rules=RULES).queries(), scene.shards),
        administrator(scene.place.organization_id),
    )


async def test_an_expectation_is_held_against_and_can_be_taken_back(scene):
    commands, queries, context = buses(scene)
    hook_id = HookId(scene.hook_id)
    await commands.execute(context, ExpectCalls(hook_id=hook_id, mode="expected", seconds=60))
    await scene.look()
    await scene.later(130)
    await scene.look()
    [silent] = await scene.told("hook.silent")
    assert (silent["expected_seconds"], silent["is_learned"], silent["heard_at"]) == (60, False, None)
    [gap] = await queries.ask(context, ListGaps())
    assert (gap.state, gap.mode, gap.patience_seconds) == ("silent", "expected", 120)
    await commands.execute(context, ExpectCalls(hook_id=hook_id, mode="ignored"))
    await scene.look()
    [gap] = await queries.ask(context, ListGaps())
    assert (gap.state, gap.mode, gap.patience_seconds) == ("ignored", "ignored", None)
    await commands.execute(context, ExpectCalls(hook_id=hook_id, mode="learned"))
    [gap] = await queries.ask(context, ListGaps())
    assert (gap.state, gap.mode) == ("young", "learned")
    assert await scene.told() == ["hook.silent"]


async def test_an_expectation_is_for_a_webhook_of_one_s_own_and_has_bounds(scene):
    commands, _, context = buses(scene)
    with pytest.raises(NotFound):
        await commands.execute(context, ExpectCalls(hook_id=HookId(scene.hook_id + 1024), mode="ignored"))
    wrong: tuple[tuple[Mode, int | None], ...] = (("expected", 10), ("expected", None), ("learned", 60))
    for mode, seconds in wrong:
        with pytest.raises(InvalidInput):
            await commands.execute(context, ExpectCalls(hook_id=HookId(scene.hook_id), mode=mode, seconds=seconds))


async def test_the_operator_sees_who_is_missed_and_with_more_who_is_not(scene):
    await scene.rhythm()
    await scene.look()
    missed, _ = await gaps_of(scene.shards, RULES, organization_id=scene.place.organization_id, whole=False, most=100)
    known, _ = await gaps_of(scene.shards, RULES, organization_id=scene.place.organization_id, whole=True, most=100)
    assert (missed, [gap.state for gap in known]) == ([], ["heard"])
    await scene.later(1000)
    await scene.look()
    missed, silent = await gaps_of(
        scene.shards, RULES, organization_id=scene.place.organization_id, whole=False, most=100
    )
    assert ([gap.state for gap in missed], silent) == (["silent"], {})


# --- schedules

SCHEDULED = "UPDATE shard.scenarios SET schedule_anchor = now(), next_run_at = now() WHERE id = %s"
MOVED_ON = "UPDATE shard.scenarios SET next_run_at = now() + interval '1 hour' WHERE id = %s"


async def test_a_schedule_that_does_not_run_is_told_once_and_so_is_its_return(scene):
    await scene.owner(SCHEDULED, scene.place.scenario_id)
    await scene.later(290)
    await scene.look()
    assert await scene.told() == []
    await scene.later(30)
    for _ in range(3):
        await scene.look()
    assert await scene.told() == ["schedule.late"]
    [late] = await scene.told("schedule.late")
    assert late["scenario_id"] == scene.place.scenario_id
    assert 315 < late["late_seconds"] < 350
    await scene.owner(MOVED_ON, scene.place.scenario_id)
    for _ in range(2):
        await scene.look()
    assert await scene.told() == ["schedule.late", "schedule.resumed"]


async def test_a_run_that_waits_for_a_worker_is_late(scene):
    await scene.owner(SCHEDULED, scene.place.scenario_id)
    run = scene.place.run(owner=None, origin="schedule")
    await store_run(scene, run)
    await scene.owner(MOVED_ON, scene.place.scenario_id)
    await scene.look()
    assert await scene.told() == []
    await scene.owner("UPDATE shard.queue SET ready_at = now() - interval '301 seconds' WHERE id = %s", run.id)
    await scene.look()
    assert await scene.told() == ["schedule.late"]
    await scene.owner("UPDATE shard.queue SET lease_until = now() + interval '1 minute' WHERE id = %s", run.id)
    await scene.look()
    assert await scene.told() == ["schedule.late", "schedule.resumed"]


async def store_run(scene, run):
    await store.accept(scene.shard, [run])
    await scene.owner("UPDATE shard.scenarios SET last_tick_run = %s WHERE id = %s", run.id, scene.place.scenario_id)


async def test_a_schedule_is_not_late_for_the_time_in_which_no_server_was_there(scene):
    await scene.look()
    await scene.owner(SCHEDULED, scene.place.scenario_id)
    await scene.away(7200)
    await scene.look()
    assert await scene.told() == []


async def test_a_schedule_that_is_switched_off_while_it_is_late_ends_without_a_word(scene):
    await scene.owner(SCHEDULED, scene.place.scenario_id)
    await scene.later(400)
    await scene.look()
    await scene.owner("UPDATE shard.scenarios SET state = 'inactive' WHERE id = %s", scene.place.scenario_id)
    await scene.look()
    assert await scene.told() == ["schedule.late"]
    assert await scene.place.all("SELECT * FROM shard.late_schedules") == []
