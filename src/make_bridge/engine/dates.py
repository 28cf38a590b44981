"""Instants and wall clocks: the rules of dates that values and the expression language share.

An instant is an aware datetime in UTC with milliseconds; a wall clock is a naive datetime in some zone.
Python's calendar ends at the years 1 and 9999; beyond is an error, never a wrong date.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from make_bridge.engine.expression_errors import ExpressionError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING: Final = timedelta()
_MILLISECOND: Final = timedelta(milliseconds=1)
_MAX_MILLISECONDS: Final = 8_640_000_000_000_000  # ECMAScript's own limit; ours is nearer, but ints stay small
_OUT_OF_RANGE: Final = "The date lies outside the years 1 to 9999."
_LONGEST_DATE: Final = 100
_NOON: Final = 12
_MIDNIGHT_AFTER: Final = 24

_DAY_FORMS: Final = (
    r"(?P<year>\d{4})-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2}))?",
    r"(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})",
    r"(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})",
    r"(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.\s?(?P<year>\d{4})",
)
_TIME_FORM: Final = (
    r"(?:(?:T|,?\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?:\s?(?P<half>[AaPp])\.?[Mm]\.?)?"
    r"\s?(?:(?P<utc>Z|UTC|GMT)|(?P<sign>[+-])(?P<offset_hours>\d{2}):?(?P<offset_minutes>\d{2})?)?)?"
)
_DATE_TEXTS: Final = tuple(re.compile(day + _TIME_FORM, re.ASCII) for day in _DAY_FORMS)
_ZONE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+\-]{0,31}(?:/[A-Za-z0-9_+\-]{1,31}){0,3}")


def to_instant(moment: datetime) -> datetime:
    """Return an aware moment in UTC, cut to milliseconds."""
    try:
        instant = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except OverflowError:
        raise ExpressionError(_OUT_OF_RANGE) from None
    excess = instant.microsecond % 1000
    return instant.replace(microsecond=instant.microsecond - excess) if excess else instant


def in_zone(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant as clocks in ``zone`` show it, with its offset."""
    try:
        return instant.astimezone(zone)
    except OverflowError:
        raise ExpressionError(_OUT_OF_RANGE) from None


def to_wall_clock(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return what clocks in ``zone`` show."""
    return in_zone(instant, zone).replace(tzinfo=None)


def from_wall_clock(wall: datetime, zone: ZoneInfo, wanted: timedelta | None = None) -> datetime:
    """Return the instant at which clocks in ``zone`` show ``wall``.

    A reading skipped in spring moves forward by the gap. One shown twice in autumn is the first, unless only the
    second has the distance from UTC that is ``wanted``.
    """
    first = wall.replace(tzinfo=zone, fold=0).utcoffset() or _NOTHING
    second = wall.replace(tzinfo=zone, fold=1).utcoffset() or _NOTHING
    distance = second if first > second == wanted else first
    return to_instant(shift(wall.replace(tzinfo=UTC, fold=0), -distance))


def shift(moment: datetime, by: timedelta) -> datetime:
    """Add a duration; raises at the ends of the calendar."""
    try:
        return moment + by
    except OverflowError:
        raise ExpressionError(_OUT_OF_RANGE) from None


def make_wall_clock(year: int, month: int, day: int) -> datetime:
    """Return midnight of a day; raises for days that no calendar has."""
    try:
        return datetime(year, month, day)  # noqa: DTZ001 - a wall clock is naive on purpose
    except (ValueError, OverflowError):
        raise ExpressionError("There is no such day in the calendar.") from None


def epoch_milliseconds(instant: datetime) -> int:
    """Return milliseconds since 1970, as ECMAScript counts time."""
    return (instant - _EPOCH) // _MILLISECOND


def from_epoch_milliseconds(milliseconds: float) -> datetime:
    """Return the instant that many milliseconds after 1970; fractions of one are cut."""
    if not -_MAX_MILLISECONDS <= milliseconds <= _MAX_MILLISECONDS:
        raise ExpressionError(_OUT_OF_RANGE)
    return shift(_EPOCH, timedelta(milliseconds=int(milliseconds)))


def iso_text(instant: datetime) -> str:
    """Print ``2026-03-31T10:20:30.400Z``."""
    return to_instant(instant).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


@lru_cache(maxsize=1024)
def find_zone(name: str) -> ZoneInfo | None:
    """Return the IANA zone of that name, or None; unknown names are remembered too, they cost a disk access."""
    if not _ZONE_NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def parse_date(text: str, zone: ZoneInfo) -> datetime | None:
    """Read one of the usual forms (spec §8); without an offset the text speaks of ``zone``. None if it is no date."""
    if len(text) > _LONGEST_DATE:
        return None
    stripped = text.strip()
    if not stripped:
        return None
    for form in _DATE_TEXTS:
        match = form.fullmatch(stripped)
        if match:
            return _assemble(match, zone)
    return None


def _assemble(match: re.Match[str], zone: ZoneInfo) -> datetime | None:
    hour = _hour(match)
    if hour is None:
        return None
    fraction = (match["fraction"] or "").ljust(3, "0")[:3]
    try:
        wall = datetime(  # noqa: DTZ001 - a wall clock is naive on purpose
            int(match["year"]),
            int(match["month"]),
            int(match["day"] or 1),
            hour % _MIDNIGHT_AFTER,
            int(match["minute"] or 0),
            int(match["second"] or 0),
            int(fraction) * 1000,
        )
    except ValueError:
        return None
    if hour == _MIDNIGHT_AFTER:
        wall = shift(wall, timedelta(days=1))
    if match["utc"]:
        return wall.replace(tzinfo=UTC)
    if match["sign"]:
        return from_offset(wall, match["sign"], int(match["offset_hours"]), int(match["offset_minutes"] or 0))
    return from_wall_clock(wall, zone)


def _hour(match: re.Match[str]) -> int | None:
    """Read the hour, 24 for the midnight that ends a day; None when the clock has no such hour."""
    hour = int(match["hour"] or 0)
    if match["half"]:
        if not 1 <= hour <= _NOON:
            return None
        return hour % _NOON + (_NOON if match["half"] in "pP" else 0)
    if hour == _MIDNIGHT_AFTER:
        return hour if int(match["minute"]) == int(match["second"] or 0) == int(match["fraction"] or 0) == 0 else None
    return hour if hour < _MIDNIGHT_AFTER else None


def from_offset(wall: datetime, sign: str, hours: int, minutes: int) -> datetime | None:
    """Return the instant of a wall clock that states its own offset; None for an offset no clock has."""
    distance = timedelta(hours=hours, minutes=minutes)
    if distance >= timedelta(days=1):
        return None
    return to_instant(wall.replace(tzinfo=timezone(-distance if sign == "-" else distance)))
