"""Date functions (spec §7.4). Calendar arithmetic happens on the wall clock of the scope's time zone.

A day later is the same time of the next day, also when the night between has 23 or 25 hours; an hour later is
always 60 minutes later.
"""

import calendar
from collections.abc import Callable
from datetime import MAXYEAR, datetime, timedelta
from typing import Final

from make_bridge.engine.dates import (
    epoch_milliseconds,
    find_zone,
    from_epoch_milliseconds,
    from_wall_clock,
    parse_date,
    shift,
    to_instant,
    to_wall_clock,
)
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.date_format import format_date
from make_bridge.engine.iml.date_parse import parse_formatted_date
from make_bridge.engine.iml.date_tokens import MONTHS, WEEKDAYS, check_format
from make_bridge.engine.iml.functions.signature import (
    Function,
    OnNull,
    Parameter,
    anything,
    date,
    integer,
    number,
    optional_text,
    text,
)
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.numbers import normalize, text_to_number
from make_bridge.engine.values import Value, describe, to_number

_NULL: Final = OnNull(value=None, also_for_empty_text=True)
_FURTHEST: Final = 1e15
_MONTHS_OF_A_YEAR: Final = 12
_SHORTEST_NAME: Final = 3
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
    """Change what the wall clock shows; of two equal readings the one of ``start`` is kept."""
    wall = to_wall_clock(start, scope.timezone)
    return from_wall_clock(change(wall).replace(fold=wall.fold), scope.timezone)


def _add_days(scope: Scope, start: datetime, count: float) -> Value:
    """Add whole days on the calendar; a fraction of a day is that fraction of 24 hours."""
    whole = int(count)
    moved = _move(scope, start, lambda wall: shift(wall, _duration(days=whole)))
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
        folded = value.strip().lower()
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
    zone = (find_zone(zone_name) if zone_name else None) or scope.timezone
    check_format(pattern)
    scope.budget.step(len(pattern) >> 3)
    scope.budget.allocate(4 * len(pattern))
    return format_date(instant, pattern, zone)


def _parse_date(scope: Scope, value: Value, pattern: str | None = None, zone_name: str | None = None) -> Value:
    """Read text by a format, or without one by the usual forms; a date passes unchanged."""
    zone = (find_zone(zone_name) if zone_name else None) or scope.timezone
    if isinstance(value, datetime):
        return value
    written = text(value, scope)
    if pattern:
        check_format(pattern)
        scope.budget.step(len(pattern) >> 3)
        return parse_formatted_date(written, pattern, zone, scope.now)
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
    name = (unit or "milliseconds").lower()
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

    def convert(value: Value, scope: Scope) -> object:
        converted = parameter(value, scope)
        if isinstance(converted, (int, float)) and abs(converted) > _FURTHEST:
            raise ExpressionError("The number is too large for a date.")
        return converted

    return convert


def _arithmetic(name: str, run: Callable[..., Value], parameter: Parameter) -> Function:
    return Function(name=name, run=run, parameters=(date, parameter), required=2, on_null=_NULL, pure=False)


_COUNT: Final = _bounded(number)
_WHOLE: Final = _bounded(integer)

DATES: Final = (
    _arithmetic("addSeconds", _add_exactly("seconds"), _COUNT),
    _arithmetic("addMinutes", _add_exactly("minutes"), _COUNT),
    _arithmetic("addHours", _add_exactly("hours"), _COUNT),
    _arithmetic("addDays", _add_days, _COUNT),
    _arithmetic("addMonths", _add_months, _WHOLE),
    _arithmetic("addYears", _add_years, _WHOLE),
    _arithmetic("setSecond", _set_clock("seconds", lambda wall: wall.second), _WHOLE),
    _arithmetic("setMinute", _set_clock("minutes", lambda wall: wall.minute), _WHOLE),
    _arithmetic("setHour", _set_clock("hours", lambda wall: wall.hour), _WHOLE),
    _arithmetic("setDay", _set_day, _bounded(anything)),
    _arithmetic("setDate", _set_clock("days", lambda wall: wall.day), _WHOLE),
    _arithmetic("setMonth", _set_month, _bounded(anything)),
    _arithmetic("setYear", _set_year, _WHOLE),
    Function(
        name="formatDate",
        run=_format_date,
        parameters=(date, text, optional_text),
        required=2,
        on_null=OnNull(value="", also_for_empty_text=True),
        pure=False,
    ),
    Function(
        name="parseDate",
        run=_parse_date,
        parameters=(anything, optional_text, optional_text),
        required=1,
        on_null=_NULL,
        pure=False,
    ),
    Function(
        name="dateDifference",
        run=_date_difference,
        parameters=(date, date, optional_text),
        required=2,
        on_null=_NULL,
        pure=False,
    ),
)
