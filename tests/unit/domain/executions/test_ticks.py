"""What becomes of a due tick: late, missed, overlapping."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from make_bridge.domain.executions.tick_store import DueScenario
from make_bridge.domain.executions.ticks import decide
from make_bridge.engine.schedule.shapes import read_schedule
from make_bridge.kernel.ids import OrganizationId, ScenarioId, TeamId

DUE = datetime(2026, 11, 22, 6, 10, tzinfo=UTC)
EVERY_MINUTE = {"type": "indefinitely", "interval": 60}


def due(late=0.0, **facts):
    values: dict[str, Any] = {
        "id": ScenarioId(1),
        "organization_id": OrganizationId(2),
        "team_id": TeamId(3),
        "blueprint_version": 1,
        "scheduling": b"{}",
        "next_run_at": DUE,
        "schedule_anchor": DUE - timedelta(days=1),
        "is_sequential": False,
        "ticks_missed": 0,
        "ticks_skipped": 0,
        "now": DUE + timedelta(seconds=late),
        "last_is_going": None,
    }
    return DueScenario(**values | facts)


def decided(scenario, raw=None, catch_up="one"):
    return decide(scenario, read_schedule(raw or EVERY_MINUTE), ZoneInfo("UTC"), catch_up)


def test_a_tick_in_time_runs_and_the_next_follows():
    decision = decided(due(late=0.4))
    assert (decision.fires, decision.missed, decision.skipped) == (True, 0, 0)
    assert decision.next_run_at == DUE + timedelta(minutes=1)


def test_over_a_limit_of_usage_a_tick_is_left_out_and_counted():
    schedule = read_schedule(EVERY_MINUTE)
    decision = decide(due(late=120.5), schedule, ZoneInfo("UTC"), "one", is_over_limit=True)
    assert (decision.fires, decision.missed, decision.skipped) == (False, 0, 3)
    assert decision.next_run_at == DUE + timedelta(minutes=3)


@pytest.mark.parametrize("catch_up", ["one", "none"])
def test_a_tick_within_a_minute_is_on_time_whatever_the_policy(catch_up):
    raw = {"type": "daily", "time": "06:10"}
    assert decided(due(late=59), raw, catch_up).fires


def test_after_a_downtime_one_tick_is_made_up_and_the_others_counted():
    decision = decided(due(late=600.5))
    assert (decision.fires, decision.missed) == (True, 10)
    assert decision.next_run_at == DUE + timedelta(minutes=11)


def test_after_a_downtime_nothing_is_made_up_where_the_policy_is_none():
    decision = decided(due(late=600.5), catch_up="none")
    assert (decision.fires, decision.missed) == (False, 11)
    assert decision.next_run_at == DUE + timedelta(minutes=11)


def test_the_next_run_tells_what_was_missed_before():
    assert decided(due(ticks_missed=11, ticks_skipped=2)).missed == 11
    assert decided(due(ticks_missed=11, ticks_skipped=2)).skipped == 2


@pytest.mark.parametrize(
    ("sequential", "last_is_going", "fires"),
    [(False, None, True), (False, True, False), (False, False, False), (True, True, True), (True, False, False)],
)
def test_a_tick_meets_the_run_before(sequential, last_is_going, fires):
    decision = decided(due(is_sequential=sequential, last_is_going=last_is_going))
    assert decision.fires is fires
    assert decision.skipped == (0 if fires else 1)
    assert decision.next_run_at == DUE + timedelta(minutes=1)


def test_a_single_date_has_no_next():
    decision = decided(due(), {"type": "once", "date": "2026-11-22T06:10:00Z"})
    assert (decision.fires, decision.next_run_at) == (True, None)
