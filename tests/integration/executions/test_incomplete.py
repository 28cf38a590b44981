"""Incomplete executions on a real database: parked, armed, turned into executions, moved, resolved.

A timer is a queue row that becomes ready later, so a test moves it by SQL instead of sleeping.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from make_bridge.domain.executions import incomplete_store, runlog, store
from make_bridge.domain.executions.incomplete import (
    BACKOFF_MINUTES,
    RETRY,
    TIMER,
    IncompleteLimits,
    RetryPlan,
    decode_point,
    encode_point,
)
from make_bridge.domain.executions.model import Status
from make_bridge.domain.executions.parking import Documents
from make_bridge.domain.executions.programs import Programs
from make_bridge.domain.executions.resuming import Resuming
from make_bridge.engine.runner.request import ResumePoint
from make_bridge.engine.values import Value
from make_bridge.platform.queue import leases
from support.endings import parked
from support.organizations import data_keys_of

SOON = "UPDATE shard.queue SET ready_at = now() WHERE scenario_id = %s AND kind = 'incomplete.retry'"
FIXED = RetryPlan(mode="fixed", most_attempts=2, interval_minutes=45)
NONE = RetryPlan()


@pytest.fixture
def resuming(shards):
    return Resuming(programs=Programs(shards), documents=Documents(sealing=data_keys_of(shards)))


def is_spread(timer, minutes) -> bool:
    """Say whether a timer that was just armed stands at so many minutes, a fifth more or less."""
    left: timedelta = timer["left_over"]
    return timedelta(minutes=minutes * 0.8, seconds=-30) < left <= timedelta(minutes=minutes * 1.2)


async def begin(place, resuming, node="me"):
    """Let a timer be due, claim it and begin its retry."""
    await place.execute(SOON, place.scenario_id)
    claimed = await leases.claim(place.shard, node, 10)
    [timer] = [lease for lease in claimed if lease.kind == TIMER]
    return await resuming.begin(place.shard, timer, node)


async def end_retry(place, resuming, status=Status.SUCCESS, **changes):
    run = await begin(place, resuming)
    outcome = place.outcome(run, status, resumed=await resuming.resumed(place.shard, run), **changes)
    assert await store.settle(place.shard, [outcome], "me") == {run.id}
    return outcome


async def test_a_parked_bundle_is_stored_and_its_timer_armed(place):
    item = parked()
    outcome = await place.end(Status.WARNING, parked=(item,))
    [record] = await place.records()
    assert record["id"].hex == item.id
    assert record["execution_id"].hex == outcome.id
    assert record["reason"] == "Nobody ?answers."
    assert (record["attempts"], record["resolved"], record["retry"]) == (0, False, True)
    assert decode_point(bytes(record["document"]), 3).bundles == [(1, {"order": "a-17"})]
    [timer] = await place.timers()
    assert timer["id"] == record["id"]
    assert is_spread(timer, 1)
    assert await place.events() == {"execution.warned.v1": 1, "incomplete_execution.stored.v1": 1}


async def test_without_a_plan_no_timer_is_armed(place):
    await place.end(Status.WARNING, parked=(parked(plan=NONE),))
    [record] = await place.records()
    assert (record["retry"], record["next_attempt_at"]) == (False, None)
    assert await place.timers() == []


async def test_a_run_settled_with_its_acceptance_parks_alike(place):
    run = place.run(owner=None)
    await store.accept_settled(place.shard, [(run, place.outcome(run, Status.WARNING, parked=(parked(),)))], "me")
    assert len(await place.records()) == 1


async def test_a_refused_outcome_parks_nothing(place):
    run = place.run()
    await store.accept(place.shard, [run])
    await store.settle(place.shard, [place.outcome(run, Status.WARNING, parked=(parked(),), fence=9)], "me")
    assert await place.records() == []


async def test_a_timer_is_not_claimed_before_it_is_due(place):
    await place.end(Status.WARNING, parked=(parked(),))
    assert await leases.claim(place.shard, "me", 10) == []


async def test_automatic_attempts_follow_the_growing_intervals_and_end_with_a_person(place, resuming):
    await place.end(Status.WARNING, parked=(parked(),))
    for minutes in BACKOFF_MINUTES:
        [timer] = await place.timers()
        assert is_spread(timer, minutes)
        await end_retry(place, resuming, Status.WARNING, parked=(parked(),))
    assert await place.timers() == []
    [record] = await place.records()
    assert (record["attempts"], record["retry"], record["next_attempt_at"]) == (8, False, None)


async def test_a_break_handler_s_own_interval_and_count_are_kept(place, resuming):
    await place.end(Status.WARNING, parked=(parked(plan=FIXED),))
    for _ in range(2):
        [timer] = await place.timers()
        assert is_spread(timer, 45)
        await end_retry(place, resuming, Status.WARNING, parked=(parked(plan=FIXED),))
    assert await place.timers() == []


async def test_a_retry_is_an_execution_of_its_own(place, resuming):
    await place.end(Status.WARNING, parked=(parked(),))
    run = await begin(place, resuming)
    [record] = await place.records()
    assert record["retry_execution_id"].hex == run.id
    assert await place.timers() == []
    row = await place.one("SELECT * FROM shard.queue WHERE id = %s", run.id)
    assert (row["kind"], row["lease_owner"], row["fence"]) == (RETRY, "me", 1)
    execution = await place.one("SELECT origin FROM shard.executions WHERE id = %s", run.id)
    assert execution["origin"] == "retry"
    [attempt] = await place.all("SELECT execution_id FROM shard.incomplete_attempts")
    assert attempt["execution_id"].hex == run.id


async def test_a_success_resolves_the_record_and_erases_its_data(place, resuming):
    await place.end(Status.WARNING, parked=(parked(),))
    await end_retry(place, resuming)
    [record] = await place.records()
    assert (record["resolved"], record["attempts"], bytes(record["document"])) == (True, 1, b"")
    assert await place.timers() == []
    assert (await place.events())["incomplete_execution.resolved.v1"] == 1


async def test_a_retry_that_stops_further_on_moves_its_record_and_keeps_its_blueprint(place, resuming):
    await place.end(Status.WARNING, parked=(parked(),))
    await place.execute("UPDATE shard.incomplete_executions SET blueprint = 'edited'")
    other = parked(module_id=4, error_type="DataError", message="Not there.", plan=NONE)
    beside = parked(module_id=5, plan=NONE)
    await end_retry(place, resuming, Status.WARNING, parked=(other, beside))
    moved, new = await place.records()
    assert (moved["module_id"], moved["error_type"], moved["attempts"]) == (4, "DataError", 1)
    assert (moved["retry"], moved["retry_execution_id"]) == (False, None)
    assert (new["module_id"], new["attempts"], bytes(new["blueprint"])) == (5, 0, b"edited")


async def test_a_retry_that_fails_leaves_the_record_where_it_was(place, resuming):
    await place.end(Status.WARNING, parked=(parked(),))
    await end_retry(place, resuming, Status.ERROR)
    [record] = await place.records()
    assert (record["module_id"], record["attempts"], record["resolved"]) == (3, 1, False)
    [timer] = await place.timers()
    assert is_spread(timer, 10)


async def test_a_timer_claimed_by_two_begins_one_retry(place, resuming):
    await place.end(Status.WARNING, parked=(parked(),))
    await place.execute(SOON, place.scenario_id)
    claims = await asyncio.gather(*(leases.claim(place.shard, f"node-{n}", 10) for n in range(4)))
    timers = [lease for batch in claims for lease in batch]
    assert len(timers) == 1
    begun = await asyncio.gather(*(resuming.begin(place.shard, timers[0], f"node-{n}") for n in range(4)))
    assert len([run for run in begun if run is not None]) == 1
    assert len(await place.all("SELECT 1 FROM shard.executions WHERE origin = 'retry'")) == 1


async def test_a_timer_whose_record_was_deleted_goes_quietly(place, resuming):
    await place.end(Status.WARNING, parked=(parked(),))
    await place.execute("DELETE FROM shard.incomplete_executions")
    assert await begin(place, resuming) is None
    assert await place.timers() == []


async def test_a_retry_whose_holder_died_goes_on_elsewhere_and_resolves_once(place, resuming):
    await place.end(Status.WARNING, parked=(parked(sequential=True),))
    # It waits for the record, so the retry may not wait for it, although it came before.
    await store.accept(place.shard, [place.run(owner=None, ordering_key="")])
    run = await begin(place, resuming)
    resumed = await resuming.resumed(place.shard, run)
    await place.execute("UPDATE shard.queue SET lease_until = now() - interval '1s' WHERE id = %s", run.id)
    assert await leases.sweep(place.shard) == 1
    [lease] = await leases.claim(place.shard, "other", 10)
    assert (lease.id, lease.kind) == (run.id, RETRY)
    outcomes = [place.outcome(run, fence=fence, resumed=resumed) for fence in (1, lease.fence)]
    settled = [await store.settle(place.shard, [outcome], "any") for outcome in outcomes]
    assert settled == [set(), {run.id}]
    [record] = await place.records()
    assert (record["resolved"], record["attempts"]) == (True, 1)
    assert (await place.events())["incomplete_execution.resolved.v1"] == 1


async def test_a_scenario_in_order_claims_nothing_new_while_a_record_waits(place, resuming):
    await place.end(Status.WARNING, parked=(parked(sequential=True),))
    waiting = place.run(owner=None, ordering_key="")
    await store.accept(place.shard, [waiting])
    assert await leases.claim(place.shard, "me", 10) == []
    run = await begin(place, resuming)
    assert await leases.claim(place.shard, "me", 10) == []
    resumed = await resuming.resumed(place.shard, run)
    await store.settle(place.shard, [place.outcome(run, resumed=resumed)], "me")
    [lease] = await leases.claim(place.shard, "me", 10)
    assert lease.id == waiting.id


async def test_an_unordered_run_of_the_same_scenario_is_not_held_up(place):
    await place.end(Status.WARNING, parked=(parked(),))
    run = place.run(owner=None)
    await store.accept(place.shard, [run])
    [lease] = await leases.claim(place.shard, "me", 10)
    assert lease.id == run.id


async def test_two_records_of_a_scenario_in_order_take_turns(place, resuming):
    await place.end(Status.WARNING, parked=(parked(sequential=True), parked(sequential=True)))
    await place.execute(SOON, place.scenario_id)
    timers = await leases.claim(place.shard, "me", 10)
    begun = [await resuming.begin(place.shard, timer, "me") for timer in timers]
    assert [run is None for run in begun].count(True) == 1
    [timer] = await place.timers()
    assert timer["left_over"] > timedelta(0)


@pytest.mark.parametrize(
    "limits",
    [
        IncompleteLimits(per_scenario=2),
        IncompleteLimits(per_organization=2),
        IncompleteLimits(bytes_per_scenario=2 * parked().size + 1),
        IncompleteLimits(bytes_per_organization=2 * parked().size + 1),
    ],
)
async def test_a_full_store_pauses_the_scenario_with_an_error_and_loses_nothing(place, limits):
    for _ in range(2):
        await place.end(Status.WARNING, limits=limits, parked=(parked(),))
    assert not (await place.scenario())["is_paused"]
    last = await place.end(Status.WARNING, limits=limits, parked=(parked(),))
    scenario = await place.scenario()
    assert (scenario["is_paused"], scenario["state"]) == (True, "active")
    assert len(await place.records()) == 3
    outcome = await place.one("SELECT status, detail FROM shard.outcomes WHERE id = %s", last.id)
    assert outcome["status"] == Status.ERROR
    error = runlog.decode_detail(bytes(outcome["detail"])).error
    assert error is not None
    assert error.name == "OutOfSpaceError"
    events = await place.events()
    assert (events["execution.failed.v1"], events["scenario.paused.v1"]) == (1, 1)
    event = await place.one("SELECT payload FROM shard.outbox WHERE type = 'scenario.paused.v1'")
    assert msgspec.json.decode(event["payload"])["cause"] == "incomplete_executions_full"
    assert len(await place.all("SELECT 1 FROM shard.audit WHERE action = 'scenario.pause'")) == 1


async def test_a_full_store_drops_with_a_warning_where_data_loss_is_allowed(place):
    limits = IncompleteLimits(per_scenario=1)
    await place.end(Status.WARNING, limits=limits, parked=(parked(may_drop=True),))
    last = await place.end(Status.WARNING, limits=limits, parked=(parked(may_drop=True),))
    assert len(await place.records()) == 1
    outcome = await place.one("SELECT status, detail FROM shard.outcomes WHERE id = %s", last.id)
    assert outcome["status"] == Status.WARNING
    [warning] = runlog.decode_detail(bytes(outcome["detail"])).warnings
    assert "dropped" in warning
    assert not (await place.scenario())["is_paused"]


async def test_the_limit_holds_for_outcomes_that_settle_at_the_same_time(place):
    limits = IncompleteLimits(per_scenario=3)
    runs = [place.run() for _ in range(9)]
    await store.accept(place.shard, runs)
    await asyncio.gather(
        *(
            store.settle(
                place.shard,
                [place.outcome(run, Status.WARNING, parked=(parked(may_drop=True),))],
                "me",
                limits,
            )
            for run in runs
        )
    )
    assert len(await place.records()) == 3


async def test_dates_and_buffers_come_back_as_what_they_were(place, shards):
    bundle: dict[str, Value] = {
        "at": datetime(2026, 11, 22, 12, 0, 0, 123000, tzinfo=UTC),
        "file": b"\x00\xff",
        "n": 1.5,
        "none": None,
    }
    document = encode_point(ResumePoint(module_id=3, bundles=[(1, bundle)], run_variables={"x": bundle["at"]}))
    await place.end(Status.WARNING, parked=(parked(document=document, size=len(document)),))
    [record] = await place.records()
    point = decode_point(bytes(record["document"]), record["module_id"])
    assert point.bundles == [(1, bundle)]
    assert point.run_variables == {"x": bundle["at"]}


async def test_what_was_resolved_a_month_ago_is_forgotten(place, resuming):
    await place.end(Status.WARNING, parked=(parked(),))
    await end_retry(place, resuming)
    async with place.shard.engine_write() as tx:
        assert await incomplete_store.forget_resolved(tx) == 0
    await place.execute("UPDATE shard.incomplete_executions SET resolved_at = now() - interval '31 days'")
    async with place.shard.engine_write() as tx:
        assert await incomplete_store.forget_resolved(tx) == 1
    assert await place.all("SELECT 1 FROM shard.incomplete_attempts") == []
