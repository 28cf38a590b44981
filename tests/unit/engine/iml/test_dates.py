"""Dates: tokens both ways, time zones, and the nights on which clocks change."""

from datetime import UTC, datetime

import pytest

from make_bridge.engine.iml import ExpressionError

D = datetime(2026, 3, 31, 10, 20, 30, 400_000, tzinfo=UTC)
PRAGUE = "Europe/Prague"  # forward on 29 March 2026 at 02:00, back on 25 October 2026 at 03:00
NEW_YORK = "America/New_York"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("YY YYYY Y", "26 2026 2026"),
        ("Q Qo", "1 1st"),
        ("M Mo MM MMM MMMM", "3 3rd 03 Mar March"),
        ("D Do DD", "31 31st 31"),
        ("DDD DDDo DDDD", "90 90th 090"),
        ("d do dd ddd dddd", "2 2nd Tu Tue Tuesday"),
        ("E", "2"),
        ("w wo ww", "14 14th 14"),
        ("W Wo WW", "14 14th 14"),
        ("gg gggg GG GGGG", "26 2026 26 2026"),
        ("H HH h hh k kk", "10 10 10 10 10 10"),
        ("A a", "AM am"),
        ("m mm s ss", "20 20 30 30"),
        ("S SS SSS SSSS SSSSSSSSS", "4 40 400 4000 400000000"),
        ("Z ZZ", "+00:00 +0000"),
        ("X x", "1774952430 1774952430400"),
        ("[Today is] dddd [YYYY]", "Today is Tuesday YYYY"),
        ("YYYY-MM-DDTHH:mm:ssZ", "2026-03-31T10:20:30+00:00"),
        ("MMMM Do, YYYY h:mm A", "March 31st, 2026 10:20 AM"),
        ("dddd, D. MMMM", "Tuesday, 31. March"),
        ("YYYYMMDD", "20260331"),
        ("[unclosed", "[unclo30e2"),
        ("", ""),
        ("čau {{", "čamu {{"),
    ],
)
def test_every_format_token_prints(evaluate, pattern, expected):
    assert evaluate('{{formatDate(now; "' + pattern + '")}}') == expected


@pytest.mark.parametrize(
    ("date", "pattern", "expected"),
    [
        ("2026-01-01T00:05:00Z", "h hh H k kk A", "12 12 0 24 24 AM"),
        ("2026-01-01T12:00:00Z", "h A", "12 PM"),
        ("2026-01-01T23:00:00Z", "h a", "11 pm"),
        ("2026-01-01", "w gggg W GGGG", "1 2026 1 2026"),
        ("2025-12-28", "d w gggg W GGGG E", "0 1 2026 52 2025 7"),
        ("2027-01-01", "w gggg W GGGG", "1 2027 53 2026"),
        ("2026-12-31", "DDDD w W", "365 1 53"),
        ("2024-12-31", "DDDD", "366"),
        ("9999-12-31", "w gggg", "1 10000"),
        ("0001-01-01", "YYYY Y YY d", "0001 0001 01 1"),
        ("2026-11-11", "Do", "11th"),
        ("2026-11-22", "Do Mo", "22nd 11th"),
        ("2026-11-23", "Do", "23rd"),
        ("1969-12-31T23:59:59.5Z", "X x", "-1 -500"),
    ],
)
def test_formats_at_the_turns_of_years_and_days(evaluate, date, pattern, expected):
    assert evaluate('{{formatDate(1.d; "' + pattern + '")}}', {"d": date}) == expected


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Prague", "12:20 +02:00"),
        ("America/New_York", "06:20 -04:00"),
        ("Asia/Kolkata", "15:50 +05:30"),
        ("UTC", "10:20 +00:00"),
        ("Nowhere/Land", "12:20 +02:00"),
        ("../../etc/passwd", "12:20 +02:00"),
        ("America", "12:20 +02:00"),
        ("", "12:20 +02:00"),
        ("\ud800", "12:20 +02:00"),
    ],
)
def test_an_unknown_zone_is_ignored(evaluate, zone, expected):
    assert evaluate('{{formatDate(now; "HH:mm Z"; 1.z)}}', {"z": zone}, zone=PRAGUE) == expected


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("28.12.2026", "DD.MM.YYYY", "2026-12-28T00:00:00"),
        ("8.2.2026", "DD.MM.YYYY", "2026-02-08T00:00:00"),
        ("20261228", "YYYYMMDD", "2026-12-28T00:00:00"),
        ("28-12-68", "DD-MM-YY", "2068-12-28T00:00:00"),
        ("28-12-69", "DD-MM-YY", "1969-12-28T00:00:00"),
        ("December 28th, 2026 4:03 PM", "MMMM Do, YYYY h:mm A", "2026-12-28T16:03:00"),
        ("28 dec 2026 12:30 am", "DD MMM YYYY hh:mm a", "2026-12-28T00:30:00"),
        ("Mon 28 Dec 2026", "ddd DD MMM YYYY", "2026-12-28T00:00:00"),
        ("2026-12-28T10:20:30.45Z", "YYYY-MM-DDTHH:mm:ss.SSZ", "2026-12-28T10:20:30.450"),
        ("2026-12-28 10:20 +02:00", "YYYY-MM-DD HH:mm Z", "2026-12-28T08:20:00"),
        ("2026-12-28 10:20 -0330", "YYYY-MM-DD HH:mm ZZ", "2026-12-28T13:50:00"),
        ("1482940986", "X", "2016-12-28T16:03:06"),
        ("1482940986.25", "X", "2016-12-28T16:03:06.250"),
        ("1482940986123", "x", "2016-12-28T16:03:06.123"),
        ("2026 90", "YYYY DDD", "2026-03-31T00:00:00"),
        ("2026 2", "YYYY Q", "2026-04-01T00:00:00"),
        ("2026-W14-2", "GGGG-[W]WW-E", "2026-03-31T00:00:00"),
        ("26 14", "GG W", "2026-03-30T00:00:00"),
        ("24:00", "HH:mm", "2026-04-01T00:00:00"),
        ("24:10", "kk:mm", "2026-03-31T00:10:00"),
        ("14:30", "HH:mm", "2026-03-31T14:30:00"),
        ("15", "DD", "2026-03-15T00:00:00"),
        ("07", "MM", "2026-07-01T00:00:00"),
        ("2025", "YYYY", "2025-01-01T00:00:00"),
        ("Friday", "dddd", "2026-04-03T00:00:00"),
        ("at 5 o'clock", "[at] H [o'clock]", "2026-03-31T05:00:00"),
        ("  2026-12-28  ", "YYYY-MM-DD", "2026-12-28T00:00:00"),
        ("2026-12-28   10:00", "YYYY-MM-DD HH:mm", "2026-12-28T10:00:00"),
    ],
)
def test_every_parsing_token_reads(evaluate, text, pattern, expected):
    assert evaluate("{{parseDate(1.t; 1.p)}}", {"t": text, "p": pattern}) == at(expected)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("28.12.2026 extra", "DD.MM.YYYY"),
        ("28/12/2026", "DD.MM.YYYY"),
        ("31.02.2026", "DD.MM.YYYY"),
        ("00.02.2026", "DD.MM.YYYY"),
        ("28.13.2026", "DD.MM.YYYY"),
        ("28 Foo 2026", "DD MMM YYYY"),
        ("13:00 PM", "hh:mm A"),
        ("25:00", "HH:mm"),
        ("24:01", "HH:mm"),
        ("10:60", "HH:mm"),
        ("10:00:60", "HH:mm:ss"),
        ("Tue 28 Dec 2026", "ddd DD MMM YYYY"),
        ("366", "DDD"),
        ("2026 54", "GGGG W"),
        ("2026-01-01 10:00 +99:00", "YYYY-MM-DD HH:mm Z"),
        ("0000", "YYYY"),
        ("abc", "YYYY"),
        ("9999999999999999", "x"),
        ("x" * 10_000, "YYYY"),
    ],
)
def test_text_that_does_not_fit_the_format_is_no_date(evaluate, text, pattern):
    with pytest.raises(ExpressionError, match=r"is not a valid date|outside the years"):
        evaluate("{{parseDate(1.t; 1.p)}}", {"t": text, "p": pattern})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-31", "2026-03-31T00:00:00"),
        ("2026-3-1", "2026-03-01T00:00:00"),
        ("2026-03", "2026-03-01T00:00:00"),
        ("2026-03-31 10:20", "2026-03-31T10:20:00"),
        ("2026-03-31T10:20:30.4005Z", "2026-03-31T10:20:30.400"),
        ("2026-03-31T10:20:30,4+02:00", "2026-03-31T08:20:30.400"),
        ("2026-03-31T10:20:30-0330", "2026-03-31T13:50:30"),
        ("2026/03/31 1:02 PM", "2026-03-31T13:02:00"),
        ("03/31/2026", "2026-03-31T00:00:00"),
        ("3/1/2026, 12:05 am", "2026-03-01T00:05:00"),
        ("31.3.2026 23:59:59", "2026-03-31T23:59:59"),
        ("31. 3. 2026", "2026-03-31T00:00:00"),
        ("2026-03-31T24:00:00Z", "2026-04-01T00:00:00"),
        ("1482940986.000200", "2016-12-28T16:03:06"),
        ("1482940986123", "2016-12-28T16:03:06.123"),
    ],
)
def test_the_usual_forms_are_dates_without_a_format(evaluate, text, expected):
    assert evaluate("{{parseDate(1.t)}}", {"t": text}) == at(expected)


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13-01", "2026-02-30", "32.1.2026", "2026-01-01 25:00", "\u0662\u0660\u0662\u0666-01-01"]
)
def test_other_text_is_no_date(evaluate, text):
    with pytest.raises(ExpressionError, match="is not a valid date"):
        evaluate("{{addDays(1.t + 1.none; 1)}}", {"t": text or " "})


def test_text_without_an_offset_speaks_of_the_scopes_zone(evaluate):
    assert evaluate('{{parseDate("2026-07-01 12:00")}}', zone=PRAGUE) == at("2026-07-01T10:00:00")
    assert evaluate('{{parseDate("1.7.2026 12:00"; "D.M.YYYY HH:mm")}}', zone=PRAGUE) == at("2026-07-01T10:00:00")
    assert evaluate('{{parseDate("1.7.2026"; "D.M.YYYY"; "America/New_York")}}', zone=PRAGUE) == at(
        "2026-07-01T04:00:00"
    )
    assert evaluate('{{formatDate("2026-07-01"; "HH:mm")}}', zone=PRAGUE) == "00:00"


def test_missing_parts_come_from_today_in_the_zone(evaluate):
    late = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)

    assert evaluate('{{parseDate("10:00"; "HH:mm")}}', zone=PRAGUE, now=late) == at("2027-01-01T09:00:00")


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        # The night forward: 02:30 does not exist on the 29th.
        ("addDays(1.d; 1)", "2026-03-28T01:30:00", "2026-03-29T01:30:00"),
        ("addDays(1.d; 1)", "2026-03-28T11:00:00", "2026-03-29T10:00:00"),
        ("addHours(1.d; 24)", "2026-03-28T11:00:00", "2026-03-29T11:00:00"),
        ("addDays(1.d; -1)", "2026-03-29T10:00:00", "2026-03-28T11:00:00"),
        ("addMonths(1.d; 1)", "2026-03-01T12:00:00", "2026-04-01T11:00:00"),
        ("addYears(1.d; 1)", "2026-03-29T10:00:00", "2027-03-29T10:00:00"),
        ("setHour(1.d; 2)", "2026-03-29T10:00:00", "2026-03-29T01:00:00"),
        ("setHour(1.d; 0)", "2026-03-29T10:00:00", "2026-03-28T23:00:00"),
        ("setDate(1.d; 28)", "2026-03-29T10:00:00", "2026-03-28T11:00:00"),
        # The night back: 02:30 exists twice on the 25th of October.
        ("addDays(1.d; 1)", "2026-10-24T10:00:00", "2026-10-25T11:00:00"),
        ("addDays(1.d; 0)", "2026-10-25T00:30:00", "2026-10-25T00:30:00"),
        ("addDays(1.d; 0)", "2026-10-25T01:30:00", "2026-10-25T01:30:00"),
        ("addMinutes(1.d; 60)", "2026-10-25T00:30:00", "2026-10-25T01:30:00"),
        ("setMinute(1.d; 45)", "2026-10-25T01:30:00", "2026-10-25T01:45:00"),
    ],
)
def test_calendar_arithmetic_keeps_the_wall_clock_and_hours_do_not(evaluate, expression, start, expected):
    assert evaluate("{{" + expression + "}}", {"d": at(start)}, zone=PRAGUE) == at(expected)


def test_a_reading_shown_twice_is_the_first_and_a_skipped_one_moves_forward(evaluate):
    assert evaluate('{{parseDate("2026-10-25 02:30")}}', zone=PRAGUE) == at("2026-10-25T00:30:00")
    assert evaluate('{{parseDate("2026-03-29 02:30")}}', zone=PRAGUE) == at("2026-03-29T01:30:00")
    assert evaluate('{{formatDate(parseDate("2026-03-29 02:30"); "HH:mm")}}', zone=PRAGUE) == "03:30"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("addDays(now; 0.5)", "2026-03-31T22:20:30.400"),
        ('addDays(now; "2")', "2026-04-02T10:20:30.400"),
        ("addHours(now; -24.2)", "2026-03-30T10:08:30.400"),
        ("addSeconds(now; 90)", "2026-03-31T10:22:00.400"),
        ("addMonths(now; 11)", "2027-02-28T10:20:30.400"),
        ("addMonths(now; -25)", "2024-02-29T10:20:30.400"),
        ("addMonths(now; 1.9)", "2026-04-30T10:20:30.400"),
        ('addYears("2024-02-29"; 1)', "2025-02-28T00:00:00"),
        ("setSecond(now; -1)", "2026-03-31T10:19:59.400"),
        ("setHour(now; 25)", "2026-04-01T01:20:30.400"),
        ('setDay(now; "sat")', "2026-04-04T10:20:30.400"),
        ("setDay(now; 8)", "2026-04-05T10:20:30.400"),
        ("setDay(now; 0)", "2026-03-28T10:20:30.400"),
        ("setDate(now; 0)", "2026-02-28T10:20:30.400"),
        ("setMonth(now; 2)", "2026-02-28T10:20:30.400"),
        ("setMonth(now; 0)", "2025-12-31T10:20:30.400"),
        ('setMonth(now; "Feb")', "2026-02-28T10:20:30.400"),
        ("setYear(now; 2024)", "2024-03-31T10:20:30.400"),
        ("addDays(1774952430400; 1)", "2026-04-01T10:20:30.400"),
    ],
)
def test_date_arithmetic_clamps_and_carries(evaluate, expression, expected):
    assert evaluate("{{" + expression + "}}") == at(expected)


@pytest.mark.parametrize(
    ("later", "earlier", "unit", "expected"),
    [
        ("2026-03-02", "2026-03-01", "", 86_400_000),
        ("2026-03-01", "2026-03-02", "days", -1),
        ("2026-03-15", "2026-03-01", "weeks", 2),
        ("2026-03-31", "2026-02-28", "months", 1),
        ("2026-03-27", "2026-02-28", "months", 0),
        ("2026-02-28", "2026-03-31", "months", -1),
        ("2026-03-01T00:00:59.9Z", "2026-03-01", "seconds", 59),
    ],
)
def test_differences_are_cut_to_whole_units(evaluate, later, earlier, unit, expected):
    assert evaluate("{{dateDifference(1.a; 1.b; 1.u)}}", {"a": later, "b": earlier, "u": unit}) == expected


@pytest.mark.parametrize(
    ("expression", "zone"),
    [
        ('addDays("9999-12-31"; 1)', "UTC"),
        ('addMonths("0001-01-01"; -1)', "UTC"),
        ('formatDate("9999-12-31T23:59:59Z"; "YYYY")', "Asia/Tokyo"),
        ('formatDate("0001-01-01T00:00:00Z"; "YYYY")', NEW_YORK),
        ("addSeconds(now; 1e15)", "UTC"),
        ("addHours(now; -1e15)", "UTC"),
        ("setYear(now; 0)", "UTC"),
        ("setYear(now; 10000)", "UTC"),
        ("setDay(now; 1e300)", "UTC"),
        ('setMonth(now; "1e300")', "UTC"),
        ("addDays(8640000000000001; 1)", "UTC"),
        ('parseDate("0001-01-01")', "Asia/Tokyo"),
    ],
)
def test_beyond_the_calendar_is_an_error(evaluate, expression, zone):
    with pytest.raises(ExpressionError):
        evaluate("{{" + expression + "}}", zone=zone)


def test_a_format_has_a_limit(evaluate):
    with pytest.raises(ExpressionError, match="longer than 500") as caught:
        evaluate("{{formatDate(now; 1.p)}}", {"p": "Y" * 1_000_000})

    assert (caught.value.function, caught.value.argument) == ("formatDate", 2)


def test_a_token_that_only_prints_is_named(evaluate):
    with pytest.raises(ExpressionError, match="The token Mo prints dates but cannot read them"):
        evaluate('{{parseDate("3rd"; "Mo")}}')


def test_now_has_milliseconds_like_every_date(evaluate):
    precise = datetime(2026, 3, 31, 10, 20, 30, 400_999, tzinfo=UTC)

    assert evaluate("{{now}}", now=precise) == D
