"""The calendar against ticks written down by hand: every shape, and the two days a year when clocks change."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from make_bridge.engine.schedule.calendar import count_ticks, first_tick, instant_of, next_tick
from make_bridge.engine.schedule.shapes import read_schedule

PRAGUE, NEW_YORK = "Europe/Prague", "America/New_York"
LORD_HOWE, KATHMANDU, APIA, HAVANA = "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia", "America/Havana"


def at(text, zone):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def ticks(raw, start, zone, count):
    """The first ticks of a schedule that is switched on at a local time, as local times with their offset."""
    schedule, anchor, place = read_schedule(raw, shortest=1), at(start, zone), ZoneInfo(zone)
    found: list[str] = []
    tick = first_tick(schedule, anchor, place)
    while tick is not None and len(found) < count:
        found.append(tick.astimezone(place).strftime("%Y-%m-%d %H:%M%z"))
        tick = next_tick(schedule, tick, place, anchor)
    return found


def daily(time):
    return {"type": "daily", "time": time}


def cron(expression, **more):
    return {"type": "cron", "expression": expression, **more}


@pytest.mark.parametrize(
    ("raw", "start", "zone", "expected"),
    [
        # Every shape on ordinary days.
        (daily("06:10"), "2026-01-01T06:10", PRAGUE, ["2026-01-01 06:10+0100", "2026-01-02 06:10+0100"]),
        (daily("05:00:00"), "2026-01-01T06:10", PRAGUE, ["2026-01-02 05:00+0100", "2026-01-03 05:00+0100"]),
        (
            {"type": "weekly", "days": ["0", 6], "time": "12:00"},
            "2026-11-22T12:01",
            KATHMANDU,
            ["2026-11-28 12:00+0545", "2026-11-29 12:00+0545", "2026-12-05 12:00+0545"],
        ),
        (
            {"type": "monthly", "days": [1, 15], "time": "00:00"},
            "2026-11-22T00:00",
            NEW_YORK,
            ["2026-12-01 00:00-0500", "2026-12-15 00:00-0500", "2027-01-01 00:00-0500"],
        ),
        (
            {"type": "yearly", "months": [6, 12], "days": [24], "time": "18:00"},
            "2026-11-22T00:00",
            PRAGUE,
            ["2026-12-24 18:00+0100", "2027-06-24 18:00+0200", "2027-12-24 18:00+0100"],
        ),
        ({"type": "once", "date": "2026-12-31T23:59:00Z"}, "2026-11-22T00:00", PRAGUE, ["2027-01-01 00:59+0100"]),
        ({"type": "once", "date": "2026-12-31T23:59"}, "2026-11-22T00:00", PRAGUE, ["2026-12-31 23:59+0100"]),
        ({"type": "once", "date": "2026-12-31T23:59"}, "2027-01-01T00:00", PRAGUE, []),
        ({"type": "on-demand"}, "2026-11-22T00:00", PRAGUE, []),
        ({"type": "immediately"}, "2026-11-22T00:00", PRAGUE, []),
        # An interval begins at its anchor and keeps its length over a change of the clock.
        (
            {"type": "indefinitely", "interval": "3600"},
            "2026-03-29T00:30",
            PRAGUE,
            ["2026-03-29 00:30+0100", "2026-03-29 01:30+0100", "2026-03-29 03:30+0200", "2026-03-29 04:30+0200"],
        ),
        (
            {"type": "indefinitely", "interval": 86400},
            "2026-10-24T12:00",
            PRAGUE,
            ["2026-10-24 12:00+0200", "2026-10-25 11:00+0100", "2026-10-26 11:00+0100"],
        ),
        # A local time that does not exist comes at the end of the gap.
        (
            daily("02:30"),
            "2026-03-28T00:00",
            PRAGUE,
            ["2026-03-28 02:30+0100", "2026-03-29 03:00+0200", "2026-03-30 02:30+0200"],
        ),
        (
            daily("02:30"),
            "2026-03-07T12:00",
            NEW_YORK,
            ["2026-03-08 03:00-0400", "2026-03-09 02:30-0400"],
        ),
        (
            daily("02:15"),
            "2026-10-03T12:00",
            LORD_HOWE,  # from 02:00 to 02:30
            ["2026-10-04 02:30+1100", "2026-10-05 02:15+1100"],
        ),
        (
            daily("00:30"),
            "2026-03-07T12:00",
            HAVANA,  # the day begins at 01:00
            ["2026-03-08 01:00-0400", "2026-03-09 00:30-0400"],
        ),
        (
            daily("12:00"),
            "2011-12-29T13:00",
            APIA,  # 30 December 2011 was left out there
            ["2011-12-31 00:00+1400", "2011-12-31 12:00+1400", "2012-01-01 12:00+1400"],
        ),
        # A local time that exists twice comes once, the first time.
        (
            daily("02:30"),
            "2026-10-24T12:00",
            PRAGUE,
            ["2026-10-25 02:30+0200", "2026-10-26 02:30+0100"],
        ),
        (
            daily("01:45"),
            "2026-04-04T12:00",
            LORD_HOWE,  # from 02:00 back to 01:30
            ["2026-04-05 01:45+1100", "2026-04-06 01:45+1030"],
        ),
        # A cron expression for every hour is a rhythm: it goes on in the repeated hour, and knows no gap.
        (
            cron("*/30 * * * *"),
            "2026-10-25T01:45",
            PRAGUE,
            ["2026-10-25 02:00+0200", "2026-10-25 02:30+0200", "2026-10-25 02:00+0100", "2026-10-25 02:30+0100"],
        ),
        (
            cron("*/30 * * * *"),
            "2026-03-29T01:15",
            PRAGUE,
            ["2026-03-29 01:30+0100", "2026-03-29 03:00+0200", "2026-03-29 03:30+0200"],
        ),
        # One for certain hours is a time of day.
        (
            cron("30 1-3 * * *"),
            "2026-03-29T00:00",
            PRAGUE,
            ["2026-03-29 01:30+0100", "2026-03-29 03:00+0200", "2026-03-29 03:30+0200", "2026-03-30 01:30+0200"],
        ),
        (
            cron("0 9 13 * fri"),  # either day is enough
            "2026-11-10T00:00",
            PRAGUE,
            ["2026-11-13 09:00+0100", "2026-11-20 09:00+0100", "2026-11-27 09:00+0100", "2026-12-04 09:00+0100"],
        ),
        (cron("@monthly"), "2026-11-22T00:00", PRAGUE, ["2026-12-01 00:00+0100", "2027-01-01 00:00+0100"]),
        # Months without the day: the last one takes its place; cron leaves the month out.
        (
            {"type": "monthly", "days": [30, 31], "time": "08:00"},
            "2026-02-01T00:00",
            PRAGUE,
            ["2026-02-28 08:00+0100", "2026-03-30 08:00+0200", "2026-03-31 08:00+0200", "2026-04-30 08:00+0200"],
        ),
        (
            {"type": "yearly", "months": [2], "days": [29], "time": "08:00"},
            "2027-01-01T00:00",
            PRAGUE,
            ["2027-02-28 08:00+0100", "2028-02-29 08:00+0100", "2029-02-28 08:00+0100"],
        ),
        (cron("0 8 31 * *"), "2026-02-01T00:00", PRAGUE, ["2026-03-31 08:00+0200", "2026-05-31 08:00+0200"]),
        (cron("0 8 29 2 *"), "2097-01-01T00:00", PRAGUE, ["2104-02-29 08:00+0100"]),
        (cron("0 8 30 2 *"), "2026-01-01T00:00", PRAGUE, []),
        # Windows and ends.
        (
            {"type": "indefinitely", "interval": 3600, "restrict": [{"days": [1], "time": ["08:15", "10:10"]}]},
            "2026-01-01T00:10",
            PRAGUE,
            ["2026-01-05 09:10+0100", "2026-01-05 10:10+0100", "2026-01-12 09:10+0100"],
        ),
        (
            {"type": "indefinitely", "interval": 7200, "restrict": [{"time": ["22:00", "02:00"]}]},
            "2026-01-01T12:00",
            PRAGUE,
            ["2026-01-01 22:00+0100", "2026-01-02 00:00+0100", "2026-01-02 02:00+0100", "2026-01-02 22:00+0100"],
        ),
        (
            daily("06:00") | {"restrict": [{"months": [2], "days": [1]}, {"months": [3], "days": [2]}]},
            "2026-02-20T00:00",
            PRAGUE,
            ["2026-02-23 06:00+0100", "2026-03-03 06:00+0100", "2026-03-10 06:00+0100"],
        ),
        (daily("06:00") | {"restrict": [{"time": ["08:00", "18:00"]}]}, "2026-01-01T00:00", PRAGUE, []),
        (
            daily("02:30") | {"restrict": [{"time": ["02:00", "02:45"]}]},  # on 29 March the gap moves it out
            "2026-03-28T12:00",
            PRAGUE,
            ["2026-03-30 02:30+0200"],
        ),
        (
            daily("06:00") | {"between": ["2026-12-01", "2026-12-02"]},
            "2026-11-22T00:00",
            PRAGUE,
            ["2026-12-01 06:00+0100", "2026-12-02 06:00+0100"],
        ),
        (
            {"type": "indefinitely", "interval": 43200, "between": ["2026-12-01T06:00:00Z", None]},
            "2026-11-22T00:00",
            PRAGUE,
            ["2026-12-01 07:00+0100", "2026-12-01 19:00+0100"],
        ),
    ],
)
def test_a_schedule_comes_due_as_written_down(raw, start, zone, expected):
    found = ticks(raw, start, zone, len(expected) + (0 if len(expected) > 1 else 1))
    assert found[: max(len(expected), 1)] == expected


def test_a_schedule_with_an_end_ends():
    raw = daily("06:00") | {"between": ["2026-12-01", "2026-12-02"]}
    assert len(ticks(raw, "2026-11-22T00:00", PRAGUE, 10)) == 2


def test_switching_on_lets_an_interval_run_at_once():
    schedule, now = read_schedule({"type": "indefinitely", "interval": 900}), at("2026-11-22T13:37:11", PRAGUE)
    assert first_tick(schedule, now, ZoneInfo(PRAGUE)) == now


def test_an_interval_does_not_drift_when_its_runs_are_late():
    schedule, zone = read_schedule({"type": "indefinitely", "interval": 60}), ZoneInfo(PRAGUE)
    anchor = at("2026-11-22T00:00:07", PRAGUE)
    late = at("2026-11-23T00:00:58", PRAGUE)
    assert next_tick(schedule, late, zone, anchor) == at("2026-11-23T00:01:07", PRAGUE)


def test_ticks_that_went_by_are_counted_up_to_a_bound():
    schedule, zone = read_schedule({"type": "indefinitely", "interval": 60}), ZoneInfo(PRAGUE)
    anchor = at("2026-11-22T00:00", PRAGUE)
    assert count_ticks(schedule, anchor, at("2026-11-22T00:10", PRAGUE), zone, anchor) == 10
    assert count_ticks(schedule, anchor, at("2026-11-22T00:09:59", PRAGUE), zone, anchor) == 9
    assert count_ticks(schedule, anchor, anchor, zone, anchor) == 0
    assert count_ticks(schedule, anchor, at("2036-11-22T00:10", PRAGUE), zone, anchor) == 500


def test_a_gap_ends_where_the_zone_says():
    assert instant_of(datetime(2026, 3, 29, 2, 59, 59), ZoneInfo(PRAGUE)) == datetime(2026, 3, 29, 1, tzinfo=UTC)  # noqa: DTZ001
    assert instant_of(datetime(2011, 12, 30, 23), ZoneInfo(APIA)) == datetime(2011, 12, 30, 10, tzinfo=UTC)  # noqa: DTZ001
