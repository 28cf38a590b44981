"""Runs with a key: one after the other within it, beside others, and parked alone."""

from typing import Any
from uuid import UUID

import pytest

from make_bridge.domain.executions import incomplete_store, store
from make_bridge.domain.executions.incomplete import RetryPlan
from make_bridge.domain.executions.model import Status
from make_bridge.domain.executions.parking import Documents
from make_bridge.domain.executions.programs import Programs
from make_bridge.domain.executions.resuming import Resuming
from make_bridge.platform.queue import leases
from support.endings import parked
from support.organizations import data_keys_of

SOON = "UPDATE shard.queue SET ready_at = now() WHERE scenario_id = %s AND kind = 'incomplete.retry'"


@pytest.fixture
def resuming(shards):
    return Resuming(programs=Programs(shards), documents=Documents(sealing=data_keys_of(shards)))


async def accept(place, *keys):
    runs = [place.run(owner=None, ordering_key=key) for key in keys]
    for run in runs:
        await store.accept(place.shard, [run])
    return [run.id for run in runs]


async def claim(place):
    return [lease.id for lease in await leases.claim(place.shard, "me", 50)]


async def park(place, key, **changes):
    item = parked(ordering_key=key, **changes)
    await place.end(Status.WARNING, parked=(item,))
    return item.id


async def behind(place, *ids):
    async with place.shard.read(place.organization_id) as tx:
        found = await incomplete_store.count_behind(tx, place.organization_id, [UUID(hex=i) for i in ids], 1000)
    return [found.get(UUID(hex=i), 0) for i in ids]


async def settle(place, execution_id):
    run = place.run(owner=None)
    outcome = place.outcome(run)
    fence = await place.one("SELECT fence FROM shard.queue WHERE id = %s", execution_id)
    ended = type(outcome)(
        **{**{name: getattr(outcome, name) for name in outcome.__struct_fields__}, "id": execution_id, **fence}
    )
    assert await store.settle(place.shard, [ended], "me") == {execution_id}


async def test_runs_of_a_key_follow_each_other_and_keys_go_side_by_side(place):
    ids = await accept(place, "a", "a", "b", "a", "b", None)
    assert set(await claim(place)) == {ids[0], ids[2], ids[5]}
    assert await claim(place) == []
    await settle(place, ids[0])
    assert await claim(place) == [ids[1]]
    await settle(place, ids[2])
    assert await claim(place) == [ids[4]]
    await settle(place, ids[1])
    assert await claim(place) == [ids[3]]


async def test_a_parked_key_waits_alone_and_tells_how_many_wait_behind_it(place):
    record, other = await park(place, "a", plan=RetryPlan()), await park(place, None, plan=RetryPlan())
    ids = await accept(place, "a", "b", "a", None)
    assert set(await claim(place)) == {ids[1], ids[3]}
    assert await behind(place, record, other) == [2, 0]
    async with place.shard.write(place.organization_id) as tx:
        await incomplete_store.delete(tx, place.organization_id, [record])
    assert await claim(place) == [ids[0]]


async def test_a_parked_key_goes_on_when_its_retry_goes_through(place, resuming):
    record = await park(place, "a")
    ids = await accept(place, "a", "b")
    await settle(place, *(i for i in await claim(place) if i == ids[1]))
    await place.execute(SOON, place.scenario_id)
    [timer] = await leases.claim(place.shard, "me", 50)
    run = await resuming.begin(place.shard, timer, "me")
    assert run.ordering_key == "a"
    assert await claim(place) == []
    assert await behind(place, record) == [1]
    resumed = await resuming.resumed(place.shard, run)
    assert await store.settle(place.shard, [place.outcome(run, resumed=resumed)], "me") == {run.id}
    assert await behind(place, record) == [0]
    assert await claim(place) == [ids[0]]


async def test_the_key_of_a_claimed_run_is_read_back_with_it(place):
    [execution_id, plain] = await accept(place, "a", None)
    async with place.shard.read(place.organization_id) as tx:
        rows = [await store.read_run(tx, place.organization_id, i) for i in (execution_id, plain)]
    assert [row["ordering_key"] for row in rows if row is not None] == ["a", None]


async def test_a_scenario_in_order_as_a_whole_waits_for_any_record(place):
    await park(place, "a", plan=RetryPlan())
    await accept(place, "")
    assert await claim(place) == []


async def test_many_parked_keys_do_not_hide_one_that_may_go(place):
    """A claim looks at a bounded number of lanes; where it begins is anywhere, so a free one is found soon."""
    keys = [f"customer-{number:03}" for number in range(60)]
    for key in keys:
        await park(place, key, plan=RetryPlan())
    await accept(place, *keys)
    [free] = await accept(place, "customer-030-and-a-half")
    claimed: list[Any] = []
    for _ in range(60):
        claimed = await claim(place)
        if claimed:
            break
    assert claimed == [free]
