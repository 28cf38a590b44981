"""Reading schedules: what is taken, and one sentence for each mistake."""

from datetime import datetime, time

import pytest

from make_bridge.engine.schedule.cron import CronMistake, read_cron
from make_bridge.engine.schedule.shapes import Kind, Window, read_schedule, schedule_mistakes
from make_bridge.kernel.errors import InvalidInput


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({}, "type is one of immediately"),
        ({"type": None}, "type is one of"),
        ({"type": ["daily"]}, "type is one of"),
        ({"type": "hourly"}, "type is one of"),
        ({"type": "indefinitely"}, "at least 60 seconds"),
        ({"type": "indefinitely", "interval": 59}, "at least 60 seconds"),
        ({"type": "indefinitely", "interval": "soon"}, "at least 60 seconds"),
        ({"type": "indefinitely", "interval": True}, "at least 60 seconds"),
        ({"type": "indefinitely", "interval": 10**30}, "which is a year"),
        ({"type": "once"}, "needs a date"),
        ({"type": "once", "date": "tomorrow"}, "holds no date"),
        ({"type": "once", "date": "9999-12-31"}, "holds no date"),
        ({"type": "once", "date": 20261231}, "holds no date"),
        ({"type": "daily"}, "needs a time"),
        ({"type": "daily", "time": "24:00"}, "time of day"),
        ({"type": "daily", "time": "6 pm"}, "time of day"),
        ({"type": "daily", "time": 610}, "time of day"),
        ({"type": "weekly", "time": "06:00"}, "needs days"),
        ({"type": "weekly", "time": "06:00", "days": [7]}, "from 0 \\(Sunday\\)"),
        ({"type": "weekly", "time": "06:00", "days": "mon"}, "from 0 \\(Sunday\\)"),
        ({"type": "monthly", "time": "06:00", "days": [0]}, "from 1 to 31"),
        ({"type": "monthly", "time": "06:00", "days": [1] * 32}, "from 1 to 31"),
        ({"type": "yearly", "time": "06:00", "days": [1], "months": [0]}, "from 1 to 12"),
        ({"type": "yearly", "time": "06:00", "days": [1]}, "needs months"),
        ({"type": "cron"}, "needs an expression"),
        ({"type": "cron", "expression": "* * * *"}, "has 4 fields; it needs five"),
        ({"type": "cron", "expression": "61 * * * *"}, "'61' is no minute"),
        ({"type": "daily", "time": "06:00", "between": ["2026-01-01"]}, "list of two dates"),
        ({"type": "daily", "time": "06:00", "between": ["2026-02-01", "2026-01-01"]}, "ends before it begins"),
        ({"type": "daily", "time": "06:00", "restrict": [{"days": [8]}]}, "A window's days"),
        ({"type": "daily", "time": "06:00", "restrict": [{"time": ["08:00"]}]}, "list of two times"),
        ({"type": "daily", "time": "06:00", "restrict": [{"time": ["08:00", "25:00"]}]}, "time of day"),
        ({"type": "daily", "time": "06:00", "restrict": [{}] * 51}, "at most 50 windows"),
        ({"type": "daily", "time": "06:00", "restrict": {"days": [1]}}, "at most 50 windows"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(raw, words):
    with pytest.raises(InvalidInput, match=words) as refused:
        read_schedule(raw)
    assert refused.value.reason == "scheduling_invalid"
    assert refused.value.message.endswith(".")


def test_all_mistakes_are_told_at_once():
    mistakes = schedule_mistakes({"type": "yearly", "time": "x", "months": [13], "restrict": 5})
    assert [mistake.member for mistake in mistakes] == ["months", "days", "time", "restrict"]
    assert [mistake.missing for mistake in mistakes] == [False, True, False, False]


def test_the_shortest_interval_is_the_operator_s():
    assert read_schedule({"type": "indefinitely", "interval": 5}, shortest=5).interval == 5
    with pytest.raises(InvalidInput, match="at least 900 seconds"):
        read_schedule({"type": "indefinitely", "interval": 60}, shortest=900)
    with pytest.raises(InvalidInput, match="at least 900 seconds apart"):
        read_schedule({"type": "cron", "expression": "*/10 8 * * *"}, shortest=900)
    assert read_schedule({"type": "cron", "expression": "*/15 8 * * *"}, shortest=900).cron is not None


def test_a_whole_schedule_is_read():
    schedule = read_schedule(
        {
            "type": "weekly",
            "days": ["1", 5],
            "time": "05:00:30",
            "between": ["2026-01-01", "2026-12-31"],
            "restrict": [{"days": [1], "months": ["2"], "time": ["08:00", "18:00"]}, {}],
            "unknown": "is left alone",
        }
    )
    assert schedule.kind is Kind.WEEKLY
    assert (schedule.days, schedule.at) == (frozenset({1, 5}), time(5, 0, 30))
    assert schedule.begins == datetime(2026, 1, 1)  # noqa: DTZ001
    assert schedule.ends == datetime.combine(datetime(2026, 12, 31), time.max)  # noqa: DTZ001
    window = Window(days=frozenset({1}), months=frozenset({2}), opens=time(8), closes=time(18))
    assert schedule.windows == (window, Window())


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "0 fields"),
        ("* * * * * *", "6 fields"),
        ("60 * * * *", "no minute"),
        ("* 24 * * *", "no hour"),
        ("* * 0 * *", "no day of the month"),
        ("* * * foo *", "no month"),
        ("* * * * 8", "no day of the week"),
        ("5-1 * * * *", "ends before it begins"),
        ("*/0 * * * *", "steps begin with 1"),
        ("1,,2 * * * *", "nothing a cron expression knows"),
        ("* * * * mon#2", "nothing a cron expression knows"),
        ("* * L * *", "no day of the month"),
        ("-1 * * * *", "nothing a cron expression knows"),
        ("@reboot", "1 fields"),
        ("* " * 200, "longer than 200"),
        ("\u0661 * * * *", "nothing a cron expression knows"),
    ],
)
def test_a_wrong_cron_expression_is_told_in_a_sentence(expression, words):
    with pytest.raises(CronMistake, match=words):
        read_cron(expression)


@pytest.mark.parametrize(
    ("expression", "part", "values"),
    [
        ("*/20 * * * *", "minutes", (0, 20, 40)),
        ("5/20 * * * *", "minutes", (5, 25, 45)),
        ("0 8-18/5,23 * * *", "hours", (8, 13, 18, 23)),
        ("0 0 1,15 JAN-mar *", "months", frozenset({1, 2, 3})),
        ("0 0 * * sun,Tue-thu", "weekdays", frozenset({0, 2, 3, 4})),
        ("0 0 * * 5-7", "weekdays", frozenset({5, 6, 0})),
        ("0 0 * * *", "weekdays", frozenset(range(7))),
    ],
)
def test_lists_ranges_steps_and_names_are_read(expression, part, values):
    assert getattr(read_cron(expression), part) == values


def test_the_shortest_gap_is_found_over_midnight_too():
    assert read_cron("59 23 * * *").shortest_gap == 1440
    assert read_cron("0,59 0,23 * * *").shortest_gap == 1
    assert read_cron("0 0,12 * * *").shortest_gap == 720
