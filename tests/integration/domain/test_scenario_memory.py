"""What scenarios keep from run to run, on a real database: stored with the outcome or not at all."""

import asyncio

import pytest

from make_bridge.domain.executions import store
from make_bridge.domain.executions.memory import Memory, StoredMemory
from make_bridge.domain.executions.model import Kept, NewRun, Outcome, Status
from make_bridge.domain.scenarios.messages import DeleteScenario
from make_bridge.engine.packing import pack
from make_bridge.kernel.ids import ScenarioId, TeamId, new_execution_id
from support.organizations import make_organization
from support.scheduling import make_scene


@pytest.fixture
async def scene(shards):
    return await make_scene(shards)


def new_run(scene, scenario_id):
    return NewRun(
        id=new_execution_id(shard=scene.shard.number),
        organization_id=scene.context.organization_id,
        team_id=TeamId(scene.organization.team_id),
        scenario_id=ScenarioId(scenario_id),
        blueprint_version=1,
        origin="schedule",
        seed=1,
        head=b"{}",
        body=b"",
        owner="me",
    )


def outcome_of(run, *kept, fence=1):
    return Outcome(
        id=run.id,
        fence=fence,
        organization_id=run.organization_id,
        team_id=run.team_id,
        scenario_id=run.scenario_id,
        status=Status.SUCCESS,
        duration_ms=1,
        operations=1,
        transfer=0,
        detail=b"{}",
        steps=b"[]",
        kept=kept,
    )


async def settled(scene, *outcomes):
    return await store.settle(scene.shard, outcomes, "me")


async def accepted(scene, scenario_id, count=1):
    runs = [new_run(scene, scenario_id) for _ in range(count)]
    await store.accept(scene.shard, runs)
    return runs


async def memory(scene, scenario_id):
    return await StoredMemory(scene.shards).read(scene.context.organization_id, ScenarioId(scenario_id))


async def test_a_scenario_that_never_ran_remembers_nothing(scene):
    assert await memory(scene, 5) == Memory()


async def test_values_come_back_with_their_types(scene):
    [run] = await accepted(scene, 11)
    await settled(scene, outcome_of(run, Kept(module_id=1, value=pack({"ids": ["a"], "raw": b"\x00"}))))
    assert (await memory(scene, 11)).values == {1: {"ids": ["a"], "raw": b"\x00"}}


async def test_runs_of_one_batch_add_to_the_same_counter_in_turn(scene):
    runs = await accepted(scene, 12, 5)
    kept = (Kept(module_id=1, added=1), Kept(module_id=2, value=pack("first")))
    last = (Kept(module_id=1, added=2), Kept(module_id=2, value=pack("last")))
    await settled(scene, *(outcome_of(run, *kept) for run in runs[:4]), outcome_of(runs[4], *last))
    assert await memory(scene, 12) == Memory({1: 6}, {2: "last"})


async def test_runs_at_the_same_time_lose_no_count(scene):
    runs = await accepted(scene, 13, 8)
    await asyncio.gather(*(settled(scene, outcome_of(run, Kept(module_id=1, added=1))) for run in runs))
    assert (await memory(scene, 13)).counters == {1: 8}


async def test_a_counter_leaves_the_module_s_value_alone(scene):
    first, second = await accepted(scene, 14, 2)
    await settled(scene, outcome_of(first, Kept(module_id=1, value=pack("cursor"))))
    await settled(scene, outcome_of(second, Kept(module_id=1, added=3)))
    assert await memory(scene, 14) == Memory({1: 3}, {1: "cursor"})


async def test_an_outcome_that_is_refused_keeps_nothing(scene):
    [run] = await accepted(scene, 15)
    assert await settled(scene, outcome_of(run, Kept(module_id=1, added=1), fence=9)) == set()
    assert await memory(scene, 15) == Memory()


async def test_another_organization_sees_none_of_it(shards, scene):
    [run] = await accepted(scene, 16)
    await settled(scene, outcome_of(run, Kept(module_id=1, added=1)))
    stranger = (await make_organization(shards, "Stranger")).organization_id
    assert await StoredMemory(shards).read(stranger, ScenarioId(16)) == Memory()


async def test_a_scenario_s_memory_goes_with_it(scene):
    scenario = await scene.scenario()
    [run] = await accepted(scene, scenario.id)
    await settled(scene, outcome_of(run, Kept(module_id=1, added=1)))
    await scene.bus.execute(scene.context, DeleteScenario(scenario_id=scenario.id))
    assert await memory(scene, scenario.id) == Memory()
