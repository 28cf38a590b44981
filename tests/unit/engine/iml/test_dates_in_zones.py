"""Dates in zones whose clocks change by an hour, by half an hour, or once for ever; and at the calendar's ends.

The tables were made with moment-timezone, whose tokens and rules the language follows. One result is our own: where
Lord Howe's clocks show 01:45 for the second time, setMinute(15) goes to the only 01:15, there it stays at 01:45.
"""

from datetime import UTC, datetime

import pytest

from make_bridge.engine.iml import ExpressionError

TOKENS = (
    "YY YYYY Y|Q Qo|M Mo MM MMM MMMM|D Do DD|DDD DDDo DDDD|d do dd ddd dddd E|w wo ww|W Wo WW|gg gggg GG GGGG|"
    "H HH h hh k kk|A a|m mm s ss|S SS SSS SSSSSS|Z ZZ|X x"
)
CHANGES = (
    "addDays(1.d; 1)",
    "addDays(1.d; -1)",
    "addHours(1.d; 24)",
    "addHours(1.d; 1)",
    "addMonths(1.d; 1)",
    "setHour(1.d; 2)",
    "setHour(1.d; 1)",
    "setMinute(1.d; 15)",
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "zone", "expected"),
    [
        (
            "2026-03-31T10:20:30.400Z",
            "UTC",
            (
                "26 2026 2026|1 1st|3 3rd 03 Mar March|31 31st 31|90 90th 090|2 2nd Tu Tue Tuesday 2|"
                "14 14th 14|14 14th 14|26 2026 26 2026|"
                "10 10 10 10 10 10|AM am|20 20 30 30|4 40 400 400000|+00:00 +0000|1774952430 1774952430400"
            ),
        ),
        (
            "2024-02-29T23:59:59.999Z",
            "Australia/Lord_Howe",
            (
                "24 2024 2024|1 1st|3 3rd 03 Mar March|1 1st 01|61 61st 061|5 5th Fr Fri Friday 5|"
                "9 9th 09|9 9th 09|24 2024 24 2024|"
                "10 10 10 10 10 10|AM am|59 59 59 59|9 99 999 999000|+11:00 +1100|1709251199 1709251199999"
            ),
        ),
        (
            "1999-12-31T18:15:00.007Z",
            "Asia/Kathmandu",
            (
                "00 2000 2000|1 1st|1 1st 01 Jan January|1 1st 01|1 1st 001|6 6th Sa Sat Saturday 6|"
                "1 1st 01|52 52nd 52|00 2000 99 1999|"
                "0 00 12 12 24 24|AM am|0 00 0 00|0 00 007 007000|+05:45 +0545|946664100 946664100007"
            ),
        ),
        (
            "2027-01-03T04:05:06.789Z",
            "America/New_York",
            (
                "27 2027 2027|1 1st|1 1st 01 Jan January|2 2nd 02|2 2nd 002|6 6th Sa Sat Saturday 6|"
                "1 1st 01|53 53rd 53|27 2027 26 2026|"
                "23 23 11 11 23 23|PM pm|5 05 6 06|7 78 789 789000|-05:00 -0500|1798949106 1798949106789"
            ),
        ),
        (
            "2020-12-31T12:00:00Z",
            "Europe/Prague",
            (
                "20 2020 2020|4 4th|12 12th 12 Dec December|31 31st 31|366 366th 366|4 4th Th Thu Thursday 4|"
                "1 1st 01|53 53rd 53|21 2021 20 2020|"
                "13 13 1 01 13 13|PM pm|0 00 0 00|0 00 000 000000|+01:00 +0100|1609416000 1609416000000"
            ),
        ),
        (
            "1889-07-04T12:34:56Z",
            "Europe/Prague",
            (
                "89 1889 1889|3 3rd|7 7th 07 Jul July|4 4th 04|185 185th 185|4 4th Th Thu Thursday 4|"
                "27 27th 27|27 27th 27|89 1889 89 1889|"
                "13 13 1 01 13 13|PM pm|32 32 40 40|0 00 000 000000|+00:57 +0057|-2540114704 -2540114704000"
            ),
        ),
        (
            "9999-12-30T23:00:00Z",
            "Asia/Kathmandu",
            (
                "99 9999 9999|4 4th|12 12th 12 Dec December|31 31st 31|365 365th 365|5 5th Fr Fri Friday 5|"
                "1 1st 01|52 52nd 52|00 10000 99 9999|"
                "4 04 4 04 4 04|AM am|45 45 0 00|0 00 000 000000|+05:45 +0545|253402210800 253402210800000"
            ),
        ),
        (
            "0001-01-02T00:00:00Z",
            "UTC",
            (
                "01 0001 0001|1 1st|1 1st 01 Jan January|2 2nd 02|2 2nd 002|2 2nd Tu Tue Tuesday 2|"
                "1 1st 01|1 1st 01|01 0001 01 0001|"
                "0 00 12 12 24 24|AM am|0 00 0 00|0 00 000 000000|+00:00 +0000|-62135510400 -62135510400000"
            ),
        ),
    ],
)
def test_every_token_prints_in_every_kind_of_zone(evaluate, date, zone, expected):
    assert evaluate("{{formatDate(1.d; 1.p; 1.z)}}", {"d": date, "p": TOKENS, "z": zone}) == expected


@pytest.mark.parametrize(
    ("zone", "date", "expected"),
    [
        ("Europe/Prague", "2026-03-29T00:59:59Z", "2026-03-29 01:59:59 +01:00"),
        ("Europe/Prague", "2026-03-29T01:00:00Z", "2026-03-29 03:00:00 +02:00"),
        ("Europe/Prague", "2026-10-25T00:59:59Z", "2026-10-25 02:59:59 +02:00"),
        ("Europe/Prague", "2026-10-25T01:00:00Z", "2026-10-25 02:00:00 +01:00"),
        ("America/New_York", "2026-03-08T06:59:59Z", "2026-03-08 01:59:59 -05:00"),
        ("America/New_York", "2026-03-08T07:00:00Z", "2026-03-08 03:00:00 -04:00"),
        ("America/New_York", "2026-11-01T05:59:59Z", "2026-11-01 01:59:59 -04:00"),
        ("America/New_York", "2026-11-01T06:00:00Z", "2026-11-01 01:00:00 -05:00"),
        ("Australia/Lord_Howe", "2026-10-03T15:29:59Z", "2026-10-04 01:59:59 +10:30"),
        ("Australia/Lord_Howe", "2026-10-03T15:30:00Z", "2026-10-04 02:30:00 +11:00"),
        ("Australia/Lord_Howe", "2026-04-04T14:59:59Z", "2026-04-05 01:59:59 +11:00"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z", "2026-04-05 01:30:00 +10:30"),
        ("Asia/Kathmandu", "1985-12-31T18:29:59Z", "1985-12-31 23:59:59 +05:30"),
        ("Asia/Kathmandu", "1985-12-31T18:30:00Z", "1986-01-01 00:15:00 +05:45"),
    ],
)
def test_clocks_jump_at_the_second(evaluate, zone, date, expected):
    assert evaluate('{{formatDate(1.d; "YYYY-MM-DD HH:mm:ss Z")}}', {"d": date}, zone=zone) == expected


@pytest.mark.parametrize(
    ("zone", "text", "expected"),
    [
        ("Europe/Prague", "2026-03-29 01:59", "2026-03-29T00:59:00"),
        ("Europe/Prague", "2026-03-29 02:30", "2026-03-29T01:30:00"),
        ("Europe/Prague", "2026-03-29 03:00", "2026-03-29T01:00:00"),
        ("Europe/Prague", "2026-10-25 01:59", "2026-10-24T23:59:00"),
        ("Europe/Prague", "2026-10-25 02:30", "2026-10-25T00:30:00"),
        ("Europe/Prague", "2026-10-25 03:00", "2026-10-25T02:00:00"),
        ("America/New_York", "2026-03-08 02:15", "2026-03-08T07:15:00"),
        ("America/New_York", "2026-03-08 03:00", "2026-03-08T07:00:00"),
        ("America/New_York", "2026-11-01 01:30", "2026-11-01T05:30:00"),
        ("America/New_York", "2026-11-01 02:00", "2026-11-01T07:00:00"),
        ("Australia/Lord_Howe", "2026-10-04 02:00", "2026-10-03T15:30:00"),
        ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03T15:45:00"),
        ("Australia/Lord_Howe", "2026-10-04 02:30", "2026-10-03T15:30:00"),
        ("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04T14:45:00"),
        ("Australia/Lord_Howe", "2026-04-05 02:00", "2026-04-04T15:30:00"),
        ("Asia/Kathmandu", "1986-01-01 00:00", "1985-12-31T18:30:00"),
        ("Asia/Kathmandu", "1986-01-01 00:07", "1985-12-31T18:37:00"),
        ("Asia/Kathmandu", "1986-01-01 00:15", "1985-12-31T18:30:00"),
    ],
)
def test_skipped_readings_move_forward_and_double_ones_are_the_first(evaluate, zone, text, expected):
    assert evaluate('{{parseDate(1.t; "YYYY-MM-DD HH:mm")}}', {"t": text}, zone=zone) == at(expected)
    assert evaluate('{{parseDate(1.t; "YYYY-MM-DD HH:mm"; 1.z)}}', {"t": text, "z": zone}) == at(expected)
    assert evaluate("{{parseDate(1.t)}}", {"t": text}, zone=zone) == at(expected)


@pytest.mark.parametrize(
    ("zone", "date", "expected"),
    [
        (
            "Europe/Prague",
            "2026-03-28T01:30:00Z",
            "03-29T01:30 03-27T01:30 03-29T01:30 03-28T02:30 04-28T00:30 03-28T01:30 03-28T00:30 03-28T01:15",
        ),
        (
            "Europe/Prague",
            "2026-03-29T10:00:00Z",
            "03-30T10:00 03-28T11:00 03-30T10:00 03-29T11:00 04-29T10:00 03-29T01:00 03-29T00:00 03-29T10:15",
        ),
        (
            "Europe/Prague",
            "2026-10-25T00:30:00Z",
            "10-26T01:30 10-24T00:30 10-26T00:30 10-25T01:30 11-25T01:30 10-25T00:30 10-24T23:30 10-25T00:15",
        ),
        (
            "Europe/Prague",
            "2026-10-25T10:00:00Z",
            "10-26T10:00 10-24T09:00 10-26T10:00 10-25T11:00 11-25T10:00 10-25T01:00 10-24T23:00 10-25T10:15",
        ),
        (
            "America/New_York",
            "2026-03-07T07:30:00Z",
            "03-08T07:30 03-06T07:30 03-08T07:30 03-07T08:30 04-07T06:30 03-07T07:30 03-07T06:30 03-07T07:15",
        ),
        (
            "America/New_York",
            "2026-03-08T16:00:00Z",
            "03-09T16:00 03-07T17:00 03-09T16:00 03-08T17:00 04-08T16:00 03-08T07:00 03-08T06:00 03-08T16:15",
        ),
        (
            "America/New_York",
            "2026-10-31T05:30:00Z",
            "11-01T05:30 10-30T05:30 11-01T05:30 10-31T06:30 11-30T06:30 10-31T06:30 10-31T05:30 10-31T05:15",
        ),
        (
            "America/New_York",
            "2026-11-01T06:30:00Z",
            "11-02T06:30 10-31T05:30 11-02T06:30 11-01T07:30 12-01T06:30 11-01T07:30 11-01T06:30 11-01T06:15",
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-02T15:45:00Z",
            "10-03T15:45 10-01T15:45 10-03T15:45 10-02T16:45 11-02T15:15 10-02T15:45 10-02T14:45 10-02T15:45",
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-04T00:00:00Z",
            "10-05T00:00 10-03T00:30 10-05T00:00 10-04T01:00 11-04T00:00 10-03T15:30 10-03T14:30 10-04T00:15",
        ),
        (
            "Australia/Lord_Howe",
            "2026-04-03T15:15:00Z",
            "04-04T15:45 04-02T15:15 04-04T15:15 04-03T16:15 05-03T15:45 04-03T15:15 04-03T14:15 04-03T15:15",
        ),
        (
            "Australia/Lord_Howe",
            "2026-04-04T15:15:00Z",
            "04-05T15:15 04-03T14:45 04-05T15:15 04-04T16:15 05-04T15:15 04-04T16:15 04-04T15:15 04-04T14:15",
        ),
        (
            "Asia/Kathmandu",
            "1985-12-30T18:40:00Z",
            "12-31T18:40 12-29T18:40 12-31T18:40 12-30T19:40 01-30T18:25 12-30T20:40 12-30T19:40 12-30T18:45",
        ),
        (
            "Asia/Kathmandu",
            "1986-01-01T06:00:00Z",
            "01-02T06:00 12-31T06:15 01-02T06:00 01-01T07:00 02-01T06:00 12-31T21:00 12-31T20:00 01-01T05:30",
        ),
    ],
)
def test_calendar_arithmetic_around_the_changes(evaluate, zone, date, expected):
    results = [evaluate("{{" + change + "}}", {"d": date}, zone=zone) for change in CHANGES]

    assert " ".join(result.strftime("%m-%dT%H:%M") for result in results) == expected


@pytest.mark.parametrize(
    ("text", "pattern", "zone", "expected"),
    [
        # An offset in the text: what is missing comes from today in UTC, not in the zone.
        ("01:30 +1030", "HH:mm ZZ", "Australia/Lord_Howe", "2026-03-30T15:00:00"),
        ("01:30", "HH:mm", "Australia/Lord_Howe", "2026-03-31T14:30:00"),
        # An ISO weekday alone counts from the first week of the year.
        ("3", "E", "UTC", "2025-12-31T00:00:00"),
        ("3 14", "E W", "UTC", "2026-04-01T00:00:00"),
        ("Wed", "ddd", "UTC", "2026-04-01T00:00:00"),
    ],
)
def test_missing_parts_are_completed_as_the_tokens_ask(evaluate, text, pattern, zone, expected):
    late = datetime(2026, 3, 31, 20, 0, tzinfo=UTC)

    assert evaluate("{{parseDate(1.t; 1.p)}}", {"t": text, "p": pattern}, zone=zone, now=late) == at(expected)


def test_a_constant_date_speaks_of_the_scopes_zone_too(evaluate):
    noon = {"d": "2026-07-01 12:00"}

    assert evaluate('{{dateDifference(1.d; "2026-07-01"; "hours")}}', noon, zone="Europe/Prague") == 12
    assert evaluate('{{formatDate("2026-07-01"; "Z HH:mm"; "UTC")}}', zone="Europe/Prague") == "+00:00 22:00"
    assert evaluate('{{addHours("2026-07-01 00:00"; 1) = "2026-06-30T23:00:00Z"}}', zone="Europe/Prague") is True


def test_before_1900_zones_have_offsets_with_seconds(evaluate):
    noon = {"d": "1889-07-04 12:00:00"}

    assert evaluate("{{toString(parseDate(1.d))}}", noon, zone="Europe/Prague") == "1889-07-04T11:02:16.000Z"
    assert evaluate('{{formatDate(parseDate(1.d); "HH:mm:ss Z")}}', noon, zone="Europe/Prague") == "12:00:00 +00:57"
    assert evaluate('{{formatDate("1880-01-01T12:00:00Z"; "HH:mm:ss Z")}}', zone="America/New_York") == (
        "07:03:58 -04:56"
    )


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/New_York"])
@pytest.mark.parametrize(
    "expression",
    [
        'addDays("9999-12-31T12:00:00Z"; 2)',
        'addHours("9999-12-31T12:00:00Z"; 25)',
        'addMonths("9999-12-31T12:00:00Z"; 1)',
        'setYear("9999-06-01"; 10000)',
        'setDate("9999-12-31T12:00:00Z"; 99)',
        'addDays("0001-01-02T00:00:00Z"; -3)',
        'setHour("0001-01-02T00:00:00Z"; -99)',
        'addYears("0001-06-01"; -1)',
        'parseDate("99999999999999"; "x") + parseDate("99999999999999999"; "x")',
        'parseDate("999999999999"; "X")',
    ],
)
def test_beyond_the_years_1_to_9999_is_an_error_in_every_zone(evaluate, zone, expression):
    with pytest.raises(ExpressionError, match=r"outside the years 1 to 9999|not a valid date"):
        evaluate("{{" + expression + "}}", zone=zone)


def test_the_ends_of_the_calendar_themselves_are_dates(evaluate):
    assert evaluate('{{formatDate("9999-12-31T23:59:59.999Z"; "YYYY-MM-DD HH:mm:ss.SSS")}}') == (
        "9999-12-31 23:59:59.999"
    )
    assert evaluate('{{addSeconds("9999-12-31T23:59:58Z"; 1)}}') == at("9999-12-31T23:59:59")
    assert evaluate('{{addDays("0001-01-02"; -1)}}') == at("0001-01-01")
