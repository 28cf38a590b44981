"""Date functions (spec §7.4). Calendar arithmetic happens on the wall clock of the scope's time zone.

A day later is the same time of the next day, also when the night between has 23 or 25 hours; an hour later is
always 60 minutes later.
"""

import calendar
from collections.abc import Callable
from dataclasses import replace
from datetime import MAXYEAR, UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from make_bridge.engine.dates import (
    epoch_milliseconds,
    find_zone,
    from_epoch_milliseconds,
    from_wall_clock,
    in_zone,
    parse_date,
    shift,
    to_instant,
    to_wall_clock,
)
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.date_format import format_date, printers_of
from make_bridge.engine.iml.date_parse import parse_formatted_date
from make_bridge.engine.iml.date_tokens import MONTHS, WEEKDAYS, check_format, split_format
from make_bridge.engine.iml.functions.parameters import (
    Parameter,
    anything,
    as_text,
    date,
    number,
    optional,
    text,
    whole,
)
from make_bridge.engine.iml.functions.signature import Example, Function, OnNull, Run, example
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.numbers import normalize, text_to_number
from make_bridge.engine.values import Value, describe, to_number

_NULL: Final = OnNull(value=None, also_for_empty_text=True)
_NOON_IN_PRAGUE: Final = datetime(2026, 7, 1, 10, tzinfo=UTC)
_FURTHEST: Final = 1e15
_MONTHS_OF_A_YEAR: Final = 12
_SHORTEST_NAME: Final = 3
_LONGEST_NAME: Final = 20
_MILLISECONDS_FROM: Final = 1e11  # a bare number of this size counts milliseconds, a smaller one seconds


def _duration(**unit: float) -> timedelta:
    """Return a duration of one unit; raises when it is longer than the calendar."""
    try:
        return timedelta(**unit)
    except OverflowError:
        raise ExpressionError("The number is too large for a date.", argument=2) from None


def _add_exactly(unit: str) -> Callable[..., Value]:
    def run(_scope: Scope, start: datetime, count: float) -> Value:
        return to_instant(shift(start, _duration(**{unit: count})))

    return run


def _move(scope: Scope, start: datetime, change: Callable[[datetime], datetime]) -> datetime:
    """Change what the wall clock shows; of two equal readings the one with the offset of ``start`` is meant."""
    before = in_zone(start, scope.timezone)
    return from_wall_clock(change(before.replace(tzinfo=None)), scope.timezone, before.utcoffset())


def _add_days(scope: Scope, start: datetime, count: float) -> Value:
    """Add whole days on the calendar; a fraction of a day is that fraction of 24 hours."""
    whole = int(count)
    moved = _move(scope, start, lambda wall: shift(wall, _duration(days=whole)))
    if whole == count:
        return moved
    return to_instant(shift(moved, timedelta(days=count - whole)))


def _to_month(wall: datetime, months: int) -> datetime:
    """Go to the month that is ``months`` after January of year 0; the day is cut to the month's last."""
    year, month = divmod(months, _MONTHS_OF_A_YEAR)
    if not 1 <= year <= MAXYEAR:
        raise ExpressionError("The date lies outside the years 1 to 9999.", argument=2)
    day = min(wall.day, calendar.monthrange(year, month + 1)[1])
    return wall.replace(year=year, month=month + 1, day=day)


def _add_months(scope: Scope, start: datetime, count: int) -> Value:
    return _move(scope, start, lambda wall: _to_month(wall, wall.year * _MONTHS_OF_A_YEAR + wall.month - 1 + count))


def _add_years(scope: Scope, start: datetime, count: int) -> Value:
    return _add_months(scope, start, count * _MONTHS_OF_A_YEAR)


def _set_clock(unit: str, read: Callable[[datetime], int]) -> Callable[..., Value]:
    """Make a function that sets a unit of the wall clock; what is too much carries into the larger units."""

    def run(scope: Scope, start: datetime, wanted: int) -> Value:
        return _move(scope, start, lambda wall: shift(wall, _duration(**{unit: wanted - read(wall)})))

    return run


def _name_or_number(value: Value, names: tuple[str, ...]) -> int:
    """Return the 1-based place of an English name, which may be cut after three letters, or the number given."""
    if isinstance(value, str) and text_to_number(value) is None:
        folded = value[:_LONGEST_NAME].strip().lower()
        for place, name in enumerate(names, 1):
            if len(folded) >= _SHORTEST_NAME and name.lower().startswith(folded):
                return place
        raise ExpressionError(f"{describe(value)} is neither a number nor a name such as {names[0]}.", argument=2)
    return int(to_number(value))


def _set_day(scope: Scope, start: datetime, wanted: Value) -> Value:
    """Go to a weekday of the same week: 1 is Sunday, 7 Saturday."""
    place = _name_or_number(wanted, WEEKDAYS)
    return _move(scope, start, lambda wall: shift(wall, _duration(days=place - 1 - wall.isoweekday() % 7)))


def _set_month(scope: Scope, start: datetime, wanted: Value) -> Value:
    place = _name_or_number(wanted, MONTHS)
    return _move(scope, start, lambda wall: _to_month(wall, wall.year * _MONTHS_OF_A_YEAR + place - 1))


def _set_year(scope: Scope, start: datetime, year: int) -> Value:
    return _move(scope, start, lambda wall: _to_month(wall, year * _MONTHS_OF_A_YEAR + wall.month - 1))


def _format_date(scope: Scope, instant: datetime, pattern: str, zone_name: str | None = None) -> Value:
    check_format(pattern)
    return _prepare_format_date(pattern, zone_name)(scope, instant)


def _prepare_format_date(pattern: str, zone_name: str | None = None) -> Run:
    """Split the format and find the zone once."""
    check_format(pattern)
    printers = printers_of(pattern)
    named_zone = find_zone(zone_name) if zone_name else None
    steps, size = len(pattern) >> 3, 10 * len(pattern)

    def run(scope: Scope, instant: datetime) -> Value:
        scope.budget.step(steps)
        scope.budget.allocate(size)
        return format_date(instant, printers, named_zone or scope.timezone)

    return run


def _parse_date(scope: Scope, value: Value, pattern: str | None = None, zone_name: str | None = None) -> Value:
    """Read text by a format, or without one by the usual forms; a date passes unchanged."""
    return _prepare_parse_date(pattern, zone_name)(scope, value)


def _prepare_parse_date(pattern: str | None = None, zone_name: str | None = None) -> Run:
    """Split the format and find the zone once."""
    named_zone = find_zone(zone_name) if zone_name else None
    if not pattern:
        return lambda scope, value: _parse_usual_forms(scope, value, named_zone or scope.timezone)
    check_format(pattern)
    parts, steps = split_format(pattern), len(pattern) >> 3

    def run(scope: Scope, value: Value) -> Value:
        if isinstance(value, datetime):
            return value
        scope.budget.step(steps)
        written = as_text(value, scope)
        return parse_formatted_date(written, pattern, parts, named_zone or scope.timezone, scope.now)

    return run


def _parse_usual_forms(scope: Scope, value: Value, zone: ZoneInfo) -> Value:
    if isinstance(value, datetime):
        return value
    written = as_text(value, scope)
    instant = parse_date(written, zone) or _since_epoch(written)
    if instant is None:
        raise ExpressionError(f"{describe(value)} is not a valid date.", argument=1)
    return instant


def _since_epoch(written: str) -> datetime | None:
    """Read a bare number as time since 1970: seconds, or milliseconds when it is too large for these."""
    count = text_to_number(written)
    if count is None:
        return None
    return from_epoch_milliseconds(count if abs(count) >= _MILLISECONDS_FROM else count * 1000)


_UNITS: Final = {
    "milliseconds": 1,
    "seconds": 1000,
    "minutes": 60_000,
    "hours": 3_600_000,
    "days": 86_400_000,
    "weeks": 604_800_000,
}


def _date_difference(scope: Scope, later: datetime, earlier: datetime, unit: str | None = None) -> Value:
    """Return ``later - earlier``, cut to whole units; months are counted on the calendar."""
    name = (unit or "milliseconds")[:_LONGEST_NAME].lower()
    if name == "months":
        return _months_between(to_wall_clock(earlier, scope.timezone), to_wall_clock(later, scope.timezone))
    if name not in _UNITS:
        raise ExpressionError(f"{describe(name)} is not a unit; use one of {', '.join(_UNITS)}, months.", argument=3)
    return normalize(int((epoch_milliseconds(later) - epoch_milliseconds(earlier)) / _UNITS[name]))


def _months_between(earlier: datetime, later: datetime) -> int:
    if later < earlier:
        return -_months_between(later, earlier)
    months = (later.year - earlier.year) * _MONTHS_OF_A_YEAR + later.month - earlier.month
    reached = _to_month(earlier, earlier.year * _MONTHS_OF_A_YEAR + earlier.month - 1 + months)
    return months if reached <= later else months - 1


def _bounded(parameter: Parameter) -> Parameter:
    """Refuse numbers that no date can take, before they meet Python's date arithmetic."""
    convert = parameter.convert

    def convert_bounded(value: Value, scope: Scope) -> object:
        converted = convert(value, scope)
        if isinstance(converted, (int, float)) and abs(converted) > _FURTHEST:
            raise ExpressionError(f"The number {describe(converted)} is too large for a date.")
        return converted

    return replace(parameter, convert=convert_bounded)


def _arithmetic(name: str, summary: str, run: Run, parameter: Parameter, *examples: Example) -> Function:
    return Function(
        name=name,
        summary=summary,
        run=run,
        parameters=(date("date"), parameter),
        required=2,
        on_null=_NULL,
        pure=False,
        examples=examples,
    )


_AMOUNT: Final = _bounded(number("number"))
_WHOLE: Final = _bounded(whole("number"))
_NAMED: Final = _bounded(replace(anything("number"), kind="number or name"))


def _day(year: int, month: int, day: int, hour: int = 10, minute: int = 20, second: int = 30) -> datetime:
    """Make the results of the examples, most of which are near the moment they are evaluated at."""
    return datetime(year, month, day, hour, minute, second, 400_000, tzinfo=UTC)


DATES: Final = (
    _arithmetic(
        "addSeconds",
        "Adds seconds; a negative number takes them away.",
        _add_exactly("seconds"),
        _AMOUNT,
        example("addSeconds(now; 30)", _day(2026, 3, 31, 10, 21, 0)),
    ),
    _arithmetic(
        "addMinutes",
        "Adds minutes; a negative number takes them away.",
        _add_exactly("minutes"),
        _AMOUNT,
        example("addMinutes(now; -21)", _day(2026, 3, 31, 9, 59)),
    ),
    _arithmetic(
        "addHours",
        "Adds hours of sixty minutes, also when clocks change meanwhile.",
        _add_exactly("hours"),
        _AMOUNT,
        example("addHours(now; -11)", _day(2026, 3, 30, 23)),
    ),
    _arithmetic(
        "addDays",
        "Adds days on the calendar: the time of day stays, also when clocks change meanwhile.",
        _add_days,
        _AMOUNT,
        example("addDays(now; 1)", _day(2026, 4, 1)),
        example('addDays("2026-03-01T10:20:30.400Z"; -1)', _day(2026, 2, 28)),
    ),
    _arithmetic(
        "addMonths",
        "Adds months; the day becomes the month's last where that month is too short.",
        _add_months,
        _WHOLE,
        example("addMonths(now; -1)", _day(2026, 2, 28)),
    ),
    _arithmetic(
        "addYears",
        "Adds years; the 29th of February becomes the 28th where there is none.",
        _add_years,
        _WHOLE,
        example("addYears(now; 2)", _day(2028, 3, 31)),
    ),
    _arithmetic(
        "setSecond",
        "Sets the seconds; more than 59, or less than 0, carries over.",
        _set_clock("seconds", lambda wall: wall.second),
        _WHOLE,
        example("setSecond(now; 5)", _day(2026, 3, 31, 10, 20, 5)),
    ),
    _arithmetic(
        "setMinute",
        "Sets the minutes; more than 59, or less than 0, carries over.",
        _set_clock("minutes", lambda wall: wall.minute),
        _WHOLE,
        example("setMinute(now; 75)", _day(2026, 3, 31, 11, 15)),
    ),
    _arithmetic(
        "setHour",
        "Sets the hour; more than 23, or less than 0, carries over.",
        _set_clock("hours", lambda wall: wall.hour),
        _WHOLE,
        example("setHour(now; -1)", _day(2026, 3, 30, 23)),
    ),
    _arithmetic(
        "setDay",
        "Goes to a weekday of the week that began on Sunday: 1 is Sunday, 7 Saturday, or an English name.",
        _set_day,
        _NAMED,
        example("setDay(now; 1)", _day(2026, 3, 29)),
        example('setDay(now; "monday")', _day(2026, 3, 30)),
    ),
    _arithmetic(
        "setDate",
        "Goes to a day of the month; a number beyond the month's last day carries over.",
        _set_clock("days", lambda wall: wall.day),
        _WHOLE,
        example("setDate(now; 1)", _day(2026, 3, 1)),
        example("setDate(now; 32)", _day(2026, 4, 1)),
    ),
    _arithmetic(
        "setMonth",
        "Goes to a month of the year by number or English name; a number beyond 12 carries over.",
        _set_month,
        _NAMED,
        example('setMonth(now; "january")', _day(2026, 1, 31)),
        example("setMonth(now; 13)", _day(2027, 1, 31)),
    ),
    _arithmetic(
        "setYear",
        "Goes to the same day of another year.",
        _set_year,
        _WHOLE,
        example("setYear(now; 2024)", _day(2024, 3, 31)),
    ),
    Function(
        name="formatDate",
        summary="Writes a date in a format, as clocks in the time zone show it.",
        run=_format_date,
        prepare=_prepare_format_date,
        parameters=(date("date"), text("format"), optional(text("timezone"))),
        required=2,
        on_null=OnNull(value="", also_for_empty_text=True),
        pure=False,
        examples=(
            example('formatDate(now; "YYYY-MM-DD")', "2026-03-31"),
            example('formatDate(now; "DD.MM.YYYY HH:mm"; "Europe/Prague")', "31.03.2026 12:20"),
            example('formatDate(now; "dddd, MMMM Do")', "Tuesday, March 31st"),
        ),
    ),
    Function(
        name="parseDate",
        summary="Reads a date by a format, or without one in one of the usual forms; the text speaks of the time zone.",
        run=_parse_date,
        prepare=_prepare_parse_date,
        parameters=(anything("text"), optional(text("format")), optional(text("timezone"))),
        required=1,
        on_null=_NULL,
        pure=False,
        examples=(
            example('parseDate("28.12.2026"; "DD.MM.YYYY")', datetime(2026, 12, 28, tzinfo=UTC)),
            example('parseDate("1482940986"; "X")', datetime(2016, 12, 28, 16, 3, 6, tzinfo=UTC)),
            example('parseDate("2026-07-01 12:00"; "YYYY-MM-DD HH:mm"; "Europe/Prague")', _NOON_IN_PRAGUE),
        ),
    ),
    Function(
        name="dateDifference",
        summary="Returns the first date minus the second in milliseconds, or in the unit named, cut to whole ones.",
        run=_date_difference,
        parameters=(date("later"), date("earlier"), optional(text("unit"))),
        required=2,
        on_null=_NULL,
        pure=False,
        examples=(example('dateDifference("2026-03-02"; "2026-03-01"; "hours")', 24),),
    ),
)
