"""Whose turn it is: classes that age, teams in turns, caps, order, and what a claim costs. All in counts."""

from collections import Counter
from datetime import timedelta

import pytest

from make_bridge.domain.executions import store
from make_bridge.domain.executions.model import NewRun, Outcome, Status
from make_bridge.kernel.ids import ScenarioId, TeamId, new_execution_id
from make_bridge.platform.queue import leases
from make_bridge.platform.queue.leases import DEFAULT, HIGH, LOW, ClaimRules
from support.organizations import make_organization

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")

ROOMY = ClaimRules(team_cap=100_000, ageing=timedelta(seconds=10))
A, B, C = 11, 12, 13


class Bench:
    """A queue of its own, and who has been claimed."""

    def __init__(self, shard, organization_id):
        self.shard = shard
        self.organization_id = organization_id

    async def put(self, team, count=1, queue_class=DEFAULT, **changes):
        runs = [
            NewRun(
                id=new_execution_id(),
                organization_id=self.organization_id,
                team_id=TeamId(team),
                scenario_id=ScenarioId(changes.get("scenario", team)),
                blueprint_version=1,
                origin="webhook",
                seed=1,
                head=b"{}",
                body=b"",
                ordering_key=changes.get("ordering_key"),
                queue_class=queue_class,
            )
            for _ in range(count)
        ]
        for first in range(0, count, 500):
            await store.accept(self.shard, runs[first : first + 500])
        return runs

    async def claim(self, most, rules=ROOMY):
        return await leases.claim(self.shard, "node", most, rules)

    async def settle(self, claimed):
        outcomes = [
            Outcome(
                id=lease.id,
                fence=lease.fence,
                organization_id=lease.organization_id,
                team_id=lease.team_id,
                scenario_id=lease.scenario_id or ScenarioId(0),
                status=Status.SUCCESS,
                duration_ms=1,
                operations=1,
                transfer=1,
                detail=b"{}",
                steps=b"[]",
            )
            for lease in claimed
        ]
        assert len(await store.settle(self.shard, outcomes, "node")) == len(outcomes)

    async def do(self, statement, *parameters):
        async with self.shard.engine_write() as tx:
            await tx.execute(statement, parameters)


@pytest.fixture
async def bench(shards):
    organization = await make_organization(shards)
    shard = await shards.of(organization.organization_id)
    async with shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.queue")
        await tx.execute("UPDATE shard.claim_turns SET turn = 0, after = DEFAULT")
    return Bench(shard, organization.organization_id)


def teams(claimed):
    return Counter(lease.team_id for lease in claimed)


async def test_a_noisy_team_does_not_hold_up_its_neighbour(bench):
    await bench.put(A, 5_000)
    await bench.claim(20)
    await bench.put(B, 10)
    claimed = await bench.claim(20)
    assert teams(claimed) == {A: 10, B: 10}


async def test_a_claim_of_one_takes_turns_between_teams(bench):
    for team in (A, B, C):
        await bench.put(team, 20)
    seen = [lease.team_id for _ in range(30) for lease in await bench.claim(1)]
    assert all(set(seen[first : first + 3]) == {A, B, C} for first in range(0, 30, 3))


async def test_what_is_left_of_a_batch_goes_to_who_comes_next(bench):
    for team in (A, B, C):
        await bench.put(team, 40)
    counts: Counter[int] = Counter()
    for _ in range(9):
        counts += teams(await bench.claim(4))
    assert counts == {A: 12, B: 12, C: 12}


async def test_classes_are_served_in_order(bench):
    low, default, high = await bench.put(A, 2, LOW), await bench.put(B, 2), await bench.put(C, 2, HIGH)
    order = [{lease.id for lease in await bench.claim(2)} for _ in range(3)]
    assert order == [{run.id for run in runs} for runs in (high, default, low)]


async def test_one_that_has_waited_too_long_goes_before_a_stream_of_others(bench):
    [old] = await bench.put(A, 1, LOW)
    await bench.put(B, 100, HIGH)
    await bench.put(C, 100)
    claimed = [lease.id for _ in range(6) for lease in await bench.claim(1)]
    assert old.id not in claimed
    await bench.do("UPDATE shard.queue SET ready_at = now() - interval '21 seconds' WHERE id = %s", old.id)
    claimed = [lease.id for _ in range(3) for lease in await bench.claim(1)]
    assert old.id in claimed


async def test_a_team_at_its_cap_waits_and_others_do_not(bench):
    capped = ClaimRules(team_cap=5)
    await bench.put(A, 20)
    await bench.put(B, 3)
    first = await bench.claim(50, capped)
    assert teams(first) == {A: 5, B: 3}
    assert await bench.claim(50, capped) == []
    await bench.settle([lease for lease in first if lease.team_id == A][:2])
    assert teams(await bench.claim(50, capped)) == {A: 2}


async def test_what_a_held_run_may_wait_for_is_not_held_up_by_the_cap(bench):
    capped = ClaimRules(team_cap=2)
    await bench.put(A, 5)
    assert len(await bench.claim(50, capped)) == 2
    await bench.put(A, 3, HIGH)
    assert len(await bench.claim(50, capped)) == 3


async def test_work_in_order_counts_in_its_team_and_class(bench):
    await bench.put(A, 50)
    for scenario in range(1, 6):
        await bench.put(B, 3, ordering_key="", scenario=scenario)
    claimed = await bench.claim(10)
    assert teams(claimed) == {A: 5, B: 5}
    assert teams(await bench.claim(10)) == {A: 10}


async def test_many_blocked_lanes_hide_no_lane_that_may_begin(bench):
    for scenario in range(100, 160):
        await bench.put(A, 2, ordering_key="", scenario=scenario)
    seen: set[int | None] = set()
    for _ in range(400):
        seen.update(lease.scenario_id for lease in await bench.claim(10))
        if len(seen) == 60:
            break
    assert len(seen) == 60


async def test_a_timer_is_claimed_when_it_is_due(bench):
    [run] = await bench.put(A)
    await bench.do(
        "UPDATE shard.queue SET kind = 'incomplete.retry', class = 2, ready_at = now() + interval '1 hour'"
        " WHERE id = %s",
        run.id,
    )
    assert await bench.claim(10) == []
    await bench.do("UPDATE shard.queue SET ready_at = now() WHERE id = %s", run.id)
    assert [lease.kind for lease in await bench.claim(10)] == ["incomplete.retry"]


async def test_a_lease_handed_back_was_no_attempt(bench):
    [run] = await bench.put(A)
    for _ in range(5):
        [lease] = await bench.claim(1)
        assert lease.attempts == 1
        await leases.hand_back(bench.shard, [(run.id, lease.fence)])


async def test_what_outlived_three_holders_is_not_freed_again(bench):
    [run] = await bench.put(A)
    fences = []
    for _ in range(3):
        [lease] = await bench.claim(1)
        fences.append(lease.fence)
        assert await leases.take_poison(bench.shard, "sweeper") == []
        await bench.do("UPDATE shard.queue SET lease_until = now() - interval '1s' WHERE id = %s", run.id)
        await leases.sweep(bench.shard)
    assert await bench.claim(1) == []
    [poison] = await leases.take_poison(bench.shard, "sweeper")
    assert (poison.id, poison.attempts, poison.last_node) == (run.id, 3, "node")
    assert poison.fence > max(fences)
    assert await leases.take_poison(bench.shard, "other") == []
