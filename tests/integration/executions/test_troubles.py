"""Failures on a real database: counted, forgotten after a success, and the scenario switched off, once."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from psycopg.errors import InsufficientPrivilege

from make_bridge.domain.executions import store
from make_bridge.domain.executions.model import Status
from make_bridge.domain.executions.troubles import BACKOFF_MINUTES, Trouble
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.model import ScenarioState
from make_bridge.kernel.ids import OrganizationId
from support.endings import COUNTED

AT_ONCE = Trouble(
    error_type="InconsistencyError", message="Torn.", counts=True, limit=0, waits=False, cause="error_at_once"
)
UNCOUNTED = Trouble(error_type="DataError", message="No.", counts=False, limit=1, waits=False, cause="")
WAITING = Trouble(
    error_type="ConnectionError", message="Gone.", counts=False, limit=1, waits=True, cause="backoff_exhausted"
)


async def test_the_third_consecutive_failure_switches_off_and_tells(place):
    for number in (1, 2):
        await place.end(Status.ERROR, trouble=COUNTED)
        scenario = await place.scenario()
        assert (scenario["consecutive_errors"], scenario["state"]) == (number, "active")
    last = await place.end(Status.ERROR, trouble=COUNTED)
    assert (await place.scenario())["state"] == "inactive"
    assert await place.events() == {"execution.failed.v1": 3, "scenario.deactivated.v1": 1}
    audit = await place.one("SELECT * FROM shard.audit WHERE action = 'scenario.deactivate'")
    assert (audit["actor_kind"], audit["object"]) == ("system", f"scenario/{place.scenario_id}")
    assert audit["request_id"] == f"execution {last.id}"
    detail = msgspec.json.decode(audit["detail"])
    assert detail == {"cause": "consecutive_errors", "error": "RuntimeError", "consecutiveErrors": 3}
    event = await place.one("SELECT payload FROM shard.outbox WHERE type = 'scenario.deactivated.v1'")
    assert msgspec.json.decode(event["payload"]) == {"scenario_id": place.scenario_id, "cause": "consecutive_errors"}


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.WARNING])
async def test_a_run_that_ends_well_begins_the_count_again(place, status):
    await place.end(Status.ERROR, trouble=COUNTED)
    await place.end(Status.ERROR, trouble=COUNTED)
    await place.end(status)
    assert (await place.scenario())["consecutive_errors"] == 0
    await place.end(Status.ERROR, trouble=COUNTED)
    assert (await place.scenario())["state"] == "active"


async def test_a_run_settled_with_its_acceptance_counts_and_forgets_alike(place):
    for status, trouble, errors in ((Status.ERROR, COUNTED, 1), (Status.SUCCESS, None, 0)):
        run = place.run(owner=None)
        await store.accept_settled(place.shard, [(run, place.outcome(run, status, trouble=trouble))], "me")
        assert (await place.scenario())["consecutive_errors"] == errors


async def test_what_does_not_count_leaves_the_count_as_it_is(place):
    await place.end(Status.ERROR, trouble=COUNTED)
    await place.end(Status.ERROR, trouble=UNCOUNTED)
    scenario = await place.scenario()
    assert (scenario["consecutive_errors"], scenario["state"]) == (1, "active")


async def test_an_inconsistency_switches_off_at_once(place):
    await place.end(Status.ERROR, trouble=AT_ONCE)
    assert (await place.scenario())["state"] == "inactive"


async def test_failures_of_one_batch_are_all_counted(place):
    runs = [place.run() for _ in range(3)]
    await store.accept(place.shard, runs)
    outcomes = [place.outcome(run, Status.ERROR, trouble=COUNTED) for run in runs]
    await store.settle(place.shard, outcomes, "me")
    assert (await place.scenario())["state"] == "inactive"
    assert (await place.events())["scenario.deactivated.v1"] == 1


async def test_failures_that_settle_at_the_same_time_are_all_counted_and_switch_off_once(place):
    runs = [place.run() for _ in range(12)]
    await store.accept(place.shard, runs)
    await asyncio.gather(
        *(
            store.settle(place.shard, [place.outcome(run, Status.ERROR, trouble=COUNTED)], f"node-{number}")
            for number, run in enumerate(runs)
        )
    )
    assert (await place.scenario())["state"] == "inactive"
    assert (await place.events())["scenario.deactivated.v1"] == 1


async def test_a_refused_outcome_counts_nothing(place):
    run = place.run()
    await store.accept(place.shard, [run])
    stale = place.outcome(run, Status.ERROR, trouble=AT_ONCE, fence=7)
    assert await store.settle(place.shard, [stale], "me") == set()
    scenario = await place.scenario()
    assert (scenario["state"], scenario["consecutive_errors"]) == ("active", 0)
    assert not await place.events()


async def test_a_scheduled_scenario_waits_longer_each_time_and_is_then_switched_off(place):
    await place.execute("UPDATE shard.scenarios SET schedule_anchor = now(), next_run_at = now()")
    for minutes in BACKOFF_MINUTES:
        await place.end(Status.ERROR, trouble=WAITING)
        row = await place.one("SELECT state, next_run_at - now() AS left_over FROM shard.scenarios")
        assert row["state"] == "active"
        assert timedelta(minutes=minutes * 0.8, seconds=-30) < row["left_over"] <= timedelta(minutes=minutes * 1.2)
    await place.end(Status.ERROR, trouble=WAITING)
    scenario = await place.scenario()
    assert (scenario["state"], scenario["next_run_at"]) == ("inactive", None)
    event = await place.one("SELECT payload FROM shard.outbox WHERE type = 'scenario.deactivated.v1'")
    assert msgspec.json.decode(event["payload"])["cause"] == "backoff_exhausted"


async def test_a_scheduled_scenario_waits_for_as_long_as_the_other_side_asked_at_least(place):
    await place.execute("UPDATE shard.scenarios SET schedule_anchor = now(), next_run_at = now()")
    await place.end(Status.ERROR, trouble=msgspec.structs.replace(WAITING, asked=7200.0))
    row = await place.one("SELECT next_run_at - now() AS left_over FROM shard.scenarios")
    assert timedelta(minutes=119) < row["left_over"] <= timedelta(minutes=120 * 1.2)


async def test_of_two_failures_in_one_batch_the_longer_wait_counts(place):
    await place.execute("UPDATE shard.scenarios SET schedule_anchor = now(), next_run_at = now()")
    runs = [place.run() for _ in range(2)]
    await store.accept(place.shard, runs)
    asked = [msgspec.structs.replace(WAITING, asked=seconds) for seconds in (36_000.0, 60.0)]
    troubled = [place.outcome(run, Status.ERROR, trouble=found) for run, found in zip(runs, asked, strict=True)]
    await store.settle(place.shard, troubled, "me")
    row = await place.one("SELECT next_run_at - now() AS left_over FROM shard.scenarios")
    assert timedelta(hours=9.9) < row["left_over"] <= timedelta(hours=12)


NOTE_OF_TWO = """
SELECT done FROM shard.note_troubles(
    ARRAY[%(organization)s, 7]::bigint[], ARRAY[%(scenario)s, 7]::bigint[],
    ARRAY[gen_random_uuid(), gen_random_uuid()], ARRAY[0, 0], ARRAY[1, 1], ARRAY[true, true], ARRAY[false, false],
    ARRAY['x', 'x'], ARRAY['ConnectionError', 'ConnectionError'], ARRAY[600, 1200, 60, 60], 2)
"""


async def test_each_scenario_of_a_batch_has_waits_of_its_own(place):
    await place.execute("UPDATE shard.scenarios SET schedule_anchor = now(), next_run_at = now()")
    for minutes in (10, 20):
        async with place.shard.engine_write() as tx:
            mine = {"organization": place.organization_id, "scenario": place.scenario_id}
            assert await tx.all(NOTE_OF_TWO, mine) == []
        row = await place.one("SELECT next_run_at - now() AS left_over FROM shard.scenarios")
        assert timedelta(minutes=minutes - 0.5) < row["left_over"] <= timedelta(minutes=minutes)


NOTE_OF_THE_LAST_RELEASE = """
SELECT done FROM shard.note_troubles(
    ARRAY[7, %(organization)s]::bigint[], ARRAY[7, %(scenario)s]::bigint[],
    ARRAY[gen_random_uuid(), gen_random_uuid()], ARRAY[0, 0], ARRAY[1, 1], ARRAY[true, true], ARRAY[false, false],
    ARRAY['x', 'x'], ARRAY['ConnectionError', 'ConnectionError'], ARRAY[1, 2, 5])
"""


async def test_a_process_of_the_last_release_may_still_note_its_failures(place):
    await place.execute("UPDATE shard.scenarios SET schedule_anchor = now(), next_run_at = now()")
    for minutes in (1, 2, 5):
        async with place.shard.engine_write() as tx:
            mine = {"organization": place.organization_id, "scenario": place.scenario_id}
            assert await tx.all(NOTE_OF_THE_LAST_RELEASE, mine) == []
        row = await place.one("SELECT next_run_at - now() AS left_over FROM shard.scenarios")
        assert timedelta(minutes=minutes - 0.5) < row["left_over"] <= timedelta(minutes=minutes)


async def test_a_success_ends_the_waiting(place):
    await place.execute("UPDATE shard.scenarios SET schedule_anchor = now(), next_run_at = now()")
    await place.end(Status.ERROR, trouble=WAITING)
    await place.end()
    assert (await place.scenario())["backoffs"] == 0


async def test_another_organization_s_scenario_is_not_touched(place):
    run = place.run(organization_id=OrganizationId(place.organization_id + 1024))
    await store.accept(place.shard, [run])
    await store.settle(place.shard, [place.outcome(run, Status.ERROR, trouble=AT_ONCE)], "me")
    assert (await place.scenario())["state"] == "active"


async def test_a_success_writes_nothing_about_a_scenario_that_is_not_in_trouble(place):
    before = await place.one("SELECT xmin::text AS version FROM shard.scenarios WHERE id = %s", place.scenario_id)
    await place.end()
    after = await place.one("SELECT xmin::text AS version FROM shard.scenarios WHERE id = %s", place.scenario_id)
    assert before == after
    assert not await place.events()
    assert await place.all("SELECT 1 FROM shard.audit WHERE actor = 'executions'") == []


async def test_the_engine_may_not_change_a_scenario_by_itself(place):
    async with place.shard.engine_write() as tx:
        assert await tx.all("SELECT id FROM shard.scenarios WHERE id = %s", (place.scenario_id,)) == []
    with pytest.raises(InsufficientPrivilege):
        async with place.shard.engine_write() as tx:
            await tx.execute("UPDATE shard.scenarios SET state = 'active'")


async def test_switching_on_again_begins_the_count_anew(place):
    await place.end(Status.ERROR, trouble=COUNTED)
    await place.end(Status.ERROR, trouble=COUNTED)
    async with place.shard.write(place.organization_id) as tx:
        await scenario_store.set_state(tx, place.organization_id, place.scenario_id, ScenarioState.ACTIVE)
    await place.end(Status.ERROR, trouble=COUNTED)
    scenario = await place.scenario()
    assert (scenario["consecutive_errors"], scenario["state"]) == (1, "active")
