"""Limits of usage on a real database: counted once, seen by every process, waiting runs bounded and let go in order."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from integration.usage.conftest import process_of
from make_bridge.domain.executions import store
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.usage.model import State
from make_bridge.kernel.errors import LimitExceeded
from make_bridge.kernel.ids import new_execution_id
from make_bridge.platform.queue import leases
from make_bridge.platform.queue.leases import DEFAULT, DEFERRED, HIGH

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")


async def in_queue(place):
    return await place.all(
        "SELECT *, ready_at > now() AS is_later FROM shard.queue WHERE organization_id = %s ORDER BY id",
        place.organization_id,
    )


async def usage_of(place):
    return await place.one(
        "SELECT sum(executions)::int AS executions, sum(operations)::int AS operations,"
        " sum(data_transfer)::int AS transfer FROM shard.usage_daily WHERE scenario_id = %s",
        place.scenario_id,
    )


async def states(place):
    rows = await place.all("SELECT team_id, state FROM shard.usage_states ORDER BY team_id")
    return {row["team_id"]: State(row["state"]) for row in rows}


def reached(process, place):
    return process.quotas.reached(place.organization_id, place.team_id)


async def defer(process, place, count, **changes):
    """Let calls come while the limit is reached; return the runs that were stored."""
    runs = []
    for number in range(count):
        run = place.run(owner=None, id=later_id(number), **changes)
        await process.deferring.take(place.shard, run, reached(process, place))
        runs.append(run.id)
    return runs


def later_id(number):
    """An id as that of a run which came so many milliseconds later."""
    plain = new_execution_id()
    return f"{int(plain[:12], 16) + number:012x}{plain[12:]}"


# --- counting


async def test_an_outcome_that_is_settled_twice_is_counted_once(place):
    run = place.run()
    await store.accept(place.shard, [run])
    outcome = place.outcome(run, operations=3, transfer=70)
    assert await store.settle(place.shard, [outcome], "me") == {run.id}
    assert await store.settle(place.shard, [outcome], "me") == set()
    assert await usage_of(place) == {"executions": 1, "operations": 3, "transfer": 70}


async def test_a_run_whose_worker_was_killed_before_it_settled_is_counted_once(place):
    run = place.run(owner=None)
    await store.accept(place.shard, [run])
    [first] = await leases.claim(place.shard, "killed", 5)
    async with place.shard.engine_write() as tx:
        await tx.execute("UPDATE shard.queue SET lease_until = now() - interval '1 second'")
    assert await leases.sweep(place.shard) == 1
    [second] = await leases.claim(place.shard, "other", 5)
    ended = place.outcome(run, fence=second.fence, operations=3)
    late = place.outcome(run, fence=first.fence, operations=3)
    settled, refused = await asyncio.gather(
        store.settle(place.shard, [ended], "other"), store.settle(place.shard, [late], "killed")
    )
    assert settled == {run.id}
    assert not refused
    assert (await usage_of(place))["operations"] == 3


async def test_a_deleted_scenario_gives_nothing_back(place, process, used, limit):
    await limit(10)
    await used(10)
    async with place.shard.write(place.organization_id) as tx:
        await scenario_store.delete(tx, place.organization_id, place.scenario_id)
    await process.look(place.shard)
    assert [standing.used for standing in reached(process, place)] == [10]


# --- states


OWN_LIMIT = "UPDATE shard.teams SET operations_limit = %s, transfer_limit = %s WHERE id = %s"


@pytest.mark.parametrize(
    ("limits", "reached_at"),
    [
        pytest.param((10, None, None), ("operations", 10), id="its own"),
        pytest.param((10, None, 50), ("operations", 10), id="smaller than the customer's"),
        pytest.param((50, None, 10), ("operations", 10), id="larger than the customer's"),
        pytest.param((None, 700, 50), ("dataTransfer", 700), id="of data"),
    ],
)
async def test_a_team_waits_at_the_smaller_of_its_own_limit_and_its_customer_s(
    place, process, used, limit, limits, reached_at
):
    operations, transfer, of_customer = limits
    if of_customer is not None:
        await limit(of_customer)
    await place.execute(OWN_LIMIT, operations, transfer, place.team_id)
    await used(9, transfer=699)
    await process.look(place.shard)
    assert reached(process, place) == ()
    await used(10, transfer=700)
    await process.look(place.shard)
    assert [(standing.measure, standing.most) for standing in reached(process, place)] == [reached_at]


async def test_below_its_limit_nobody_waits(place, process, used, limit):
    await limit(100)
    await used(79)
    await process.look(place.shard)
    assert reached(process, place) == ()
    assert await states(place) == {place.team_id: State.NORMAL}
    assert not await place.events()


async def test_near_and_reached_are_told_once_a_month(place, process, used, limit, shards):
    await limit(10)
    await used(8)
    for looking in (process, process_of(shards), process):
        await looking.look(place.shard)
    assert await place.events() == {"usage.limit_near.v1": 1}
    await used(11)
    for looking in (process, process_of(shards), process):
        await looking.look(place.shard)
    assert await place.events() == {"usage.limit_near.v1": 1, "usage.limit_reached.v1": 1}
    row = await place.one("SELECT * FROM shard.outbox WHERE type = 'usage.limit_reached.v1'")
    month = datetime.now(UTC).isoformat()[:7]
    facts = {"team_id": place.team_id, "measure": "operations", "used": 11, "limit": 10, "month": month}
    assert (row["subject"], msgspec.json.decode(row["payload"])) == (f"team/{place.team_id}", facts)


async def test_with_the_next_month_it_is_told_again(place, process, used, limit):
    await limit(10)
    await used(12)
    await process.look(place.shard)
    async with place.shard.engine_write() as tx:
        await tx.execute("UPDATE shard.usage_states SET first_day = first_day - 31")
    await process.look(place.shard)
    assert (await place.events())["usage.limit_reached.v1"] == 2


@pytest.mark.parametrize(
    ("limits", "use"),
    [
        ((5, None, None), {"operations": 5}),
        ((None, 5, None), {"operations": 0, "executions": 5}),
        ((None, None, 5), {"operations": 0, "transfer": 5}),
    ],
    ids=["operations", "executions", "bytes"],
)
async def test_each_limit_of_the_organization_holds_all_its_teams(place, process, used, limits, use):
    await place.execute("INSERT INTO shard.usage_limits VALUES (%s, %s, %s, %s)", place.organization_id, *limits)
    await used(**use)
    await process.look(place.shard)
    [standing] = process.quotas.reached(place.organization_id, place.team_id + 1024)
    assert (standing.team_id, standing.used, standing.most) == (0, 5, 5)


async def test_a_limit_of_nothing_is_reached_from_the_start(place, process, limit):
    await limit(0)
    await process.look(place.shard)
    assert reached(process, place)


async def test_another_organization_is_not_touched(place, process, used, limit):
    await limit(1)
    await used(1)
    await process.look(place.shard)
    assert process.quotas.reached(place.organization_id + 1024, place.team_id + 1024) == ()


async def test_two_processes_know_the_same_after_one_look_each_and_one_sum(place, process, used, limit, shards):
    await limit(10)
    await used(10)
    await process.look(place.shard)
    other = process_of(shards)
    await other.watch.look(place.shard)
    assert reached(other, place) == reached(process, place) != ()


async def test_a_limit_that_is_taken_away_is_forgotten(place, process, used, limit):
    await limit(10)
    await used(10)
    await process.look(place.shard)
    await limit(None)
    await process.look(place.shard)
    assert reached(process, place) == ()
    assert await states(place) == {}


# --- waiting


async def test_what_comes_over_the_limit_is_stored_and_no_claim_takes_it(place, process, used, limit):
    await limit(10)
    await used(10)
    await process.look(place.shard)
    [run_id] = await defer(process, place, 1)
    [row] = await in_queue(place)
    assert (row["class"], row["is_later"], row["ready_at"]) == (DEFERRED, True, reached(process, place)[0].until)
    assert await leases.claim(place.shard, "me", 10) == []
    async with place.shard.read(place.organization_id) as tx:
        [shown] = await store.list_executions(tx, place.organization_id, place.scenario_id, None, 10)
    assert (shown["id"].hex, shown["status"], shown["waits_until"]) == (run_id, None, row["ready_at"])


async def test_what_waited_already_is_put_off_and_what_was_begun_is_not(place, process, used, limit):
    untouched, ordered = place.run(owner=None), place.run(owner=None, ordering_key="")
    by_hand, begun = place.run(owner=None, queue_class=HIGH), place.run(owner=None)
    leased = place.run(owner="me")
    await store.accept(place.shard, [untouched, ordered, by_hand, begun, leased])
    async with place.shard.engine_write() as tx:
        await tx.execute("UPDATE shard.queue SET attempts = 1 WHERE id = %s", (begun.id,))
    await limit(10)
    await used(10)
    await process.look(place.shard)
    classes = {row["id"].hex: row["class"] for row in await in_queue(place)}
    assert classes == {
        untouched.id: DEFERRED, ordered.id: DEFERRED, by_hand.id: HIGH, begun.id: DEFAULT, leased.id: DEFAULT,
    }  # fmt: skip


async def test_an_organizations_limit_puts_off_what_waits_in_its_teams(place, process, used):
    await store.accept(place.shard, [place.run(owner=None)])
    await place.execute(
        "INSERT INTO shard.usage_limits (organization_id, executions) VALUES (%s, 0)", place.organization_id
    )
    await process.look(place.shard)
    assert [row["class"] for row in await in_queue(place)] == [DEFERRED]


async def test_a_higher_limit_lets_all_go_in_the_order_they_came(place, process, used, limit):
    await limit(10)
    await used(10)
    await process.look(place.shard)
    waiting = await defer(process, place, 5)
    await limit(1000)
    await process.look(place.shard)
    assert process.released
    claimed = []
    while found := await leases.claim(place.shard, "me", 2):
        claimed += [lease.id for lease in sorted(found, key=lambda lease: lease.id)]
    assert claimed == waiting


async def test_no_more_are_let_go_than_is_left(place, process, used, limit):
    await limit(10)
    await used(10)
    await process.look(place.shard)
    waiting = await defer(process, place, 6)
    await limit(13)
    for _ in range(3):
        await process.look(place.shard)
    ready = [row["id"].hex for row in await in_queue(place) if row["class"] == DEFAULT]
    assert ready == waiting[:3]


async def test_runs_in_order_wait_and_go_too(place, process, used, limit):
    await limit(10)
    await used(10)
    await process.look(place.shard)
    waiting = await defer(process, place, 2, ordering_key="")
    assert await leases.claim(place.shard, "me", 10) == []
    await limit(None)
    await process.look(place.shard)
    assert [lease.id for lease in await leases.claim(place.shard, "me", 10)] == waiting[:1]


async def test_a_team_stays_put_while_its_organization_is_over(place, process, used, limit):
    await limit(10)
    await used(10)
    await place.execute(
        "INSERT INTO shard.usage_limits (organization_id, operations) VALUES (%s, 10)", place.organization_id
    )
    await process.look(place.shard)
    await defer(process, place, 1)
    await limit(None)
    await process.look(place.shard)
    assert [row["class"] for row in await in_queue(place)] == [DEFERRED]


async def test_what_another_process_puts_off_too_late_is_let_go_by_the_next_look(place, process, used, limit, shards):
    late = process_of(shards)
    await limit(10)
    await used(10)
    await process.look(place.shard)
    await late.look(place.shard)
    await limit(None)
    await process.look(place.shard)
    await defer(late, place, 1)
    await process.look(place.shard)
    assert [row["class"] for row in await in_queue(place)] == [DEFAULT]


async def test_the_bound_of_waiting_runs_is_exact_over_processes(place, used, limit, shards):
    one, two = process_of(shards, most=5), process_of(shards, most=5)
    await limit(1)
    await used(1)
    await one.look(place.shard)
    await two.look(place.shard)

    async def call(process):
        await process.deferring.take(place.shard, place.run(owner=None), reached(process, place))

    answers = await asyncio.gather(*(call(process) for process in (one, two) * 6), return_exceptions=True)
    refused = [answer for answer in answers if answer is not None]
    assert len(await in_queue(place)) == 5
    assert len(refused) == 7
    assert all(isinstance(error, LimitExceeded) and 1 <= error.retry_after <= 3600 for error in refused)
    assert "5 calls wait for more already" in str(refused[0])


async def test_who_was_turned_away_is_turned_away_without_asking_until_the_next_look(place, used, limit, shards):
    process = process_of(shards, most=1)
    await limit(1)
    await used(1)
    await process.look(place.shard)
    process.deferring.require_room(reached(process, place))
    await defer(process, place, 1)
    with pytest.raises(LimitExceeded):
        process.deferring.require_room(reached(process, place))
    await process.look(place.shard)
    process.deferring.require_room(reached(process, place))


async def test_a_look_that_was_just_made_is_not_made_again(place, process, used, limit):
    await limit(10)
    await process.look(place.shard)
    await used(10)
    await process.watch.look(place.shard)
    assert reached(process, place) == ()
    async with place.shard.engine_write() as tx:
        await tx.execute("UPDATE shard.usage_looks SET looked_at = now() - %s", (timedelta(seconds=2),))
    await process.watch.look(place.shard)
    assert reached(process, place)
