"""Cron expressions: five fields, with names, ranges, steps and lists.

An extension: Make has no such schedule. The rules are those of the classic cron. A day comes when it fits both the day
of the month and the day of the week; when both are restricted (neither begins with ``*``) one of them is enough.
Our own parser, because a hundred lines that name each mistake are less than a dependency that does not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

MAX_LENGTH: Final = 200
ALIASES: Final[Mapping[str, str]] = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_ITEM: Final = re.compile(r"(?:(\*)|([0-9a-z]+)(?:-([0-9a-z]+))?)(?:/([0-9]{1,4}))?", re.IGNORECASE)
_HOURS_OF_A_DAY: Final = 24
_MINUTES_OF_A_DAY: Final = 24 * 60


class CronMistake(Exception):
    """The expression cannot be read; the message is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One of the five fields: its name, its bounds, and the names its values may have."""

    name: str
    lowest: int
    highest: int
    names: Mapping[str, int]


_PARTS: Final = (
    _Part(name="minute", lowest=0, highest=59, names={}),
    _Part(name="hour", lowest=0, highest=23, names={}),
    _Part(name="day of the month", lowest=1, highest=31, names={}),
    _Part(name="month", lowest=1, highest=12, names={name: index + 1 for index, name in enumerate(_MONTHS)}),
    _Part(name="day of the week", lowest=0, highest=7, names={name: index for index, name in enumerate(_WEEKDAYS)}),
)
_SUNDAY_AGAIN: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A cron expression, read. Sunday is 0."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Day of the month and day of the week are both restricted, so one of them is enough."""

    @property
    def every_hour(self) -> bool:
        """Whether it comes in every hour of its days, so that it is a rhythm and no time of day."""
        return len(self.hours) == _HOURS_OF_A_DAY

    @property
    def shortest_gap(self) -> int:
        """Return the fewest minutes between two times of one day, or over midnight."""
        times = [hour * 60 + minute for hour in self.hours for minute in self.minutes]
        return min(
            (later - earlier) % _MINUTES_OF_A_DAY or _MINUTES_OF_A_DAY
            for earlier, later in zip(times, [*times[1:], times[0]], strict=True)
        )

    def comes_on(self, day: date) -> bool:
        """Say whether it comes on a date."""
        if day.month not in self.months:
            return False
        by_date, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_date or by_week if self.either_day else by_date and by_week


def read_cron(text: str) -> Cron:
    """Read an expression; raises CronMistake with a sentence."""
    if len(text) > MAX_LENGTH:
        raise CronMistake(f"The cron expression is longer than {MAX_LENGTH} characters.")
    fields = ALIASES.get(text.strip().lower(), text).split()
    if len(fields) != len(_PARTS):
        names = ", ".join(part.name for part in _PARTS)
        raise CronMistake(f"The cron expression has {len(fields)} fields; it needs five: {names}.")
    minutes, hours, days, months, weekdays = (_values(part, field) for part, field in zip(_PARTS, fields, strict=True))
    return Cron(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(day % _SUNDAY_AGAIN for day in weekdays),
        either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
    )


def _values(part: _Part, field: str) -> set[int]:
    found: set[int] = set()
    for item in field.split(","):
        found |= _item(part, item)
    return found


def _item(part: _Part, item: str) -> set[int]:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise CronMistake(f"'{item}' is nothing a cron expression knows for the {part.name}.")
    star, first, last, step = match.groups()
    if step is not None and int(step) == 0:
        raise CronMistake(f"The step of '{item}' for the {part.name} is 0; steps begin with 1.")
    if star is not None:
        highest = part.highest if part.highest != _SUNDAY_AGAIN else part.highest - 1
        return set(range(part.lowest, highest + 1, int(step or 1)))
    start = _value(part, first)
    end = _value(part, last) if last is not None else start if step is None else part.highest
    if end < start:
        raise CronMistake(f"The range '{item}' for the {part.name} ends before it begins.")
    return set(range(start, end + 1, int(step or 1)))


def _value(part: _Part, text: str) -> int:
    named = part.names.get(text.lower())
    if named is not None:
        return named
    if not text.isdigit() or not part.lowest <= int(text) <= part.highest:
        raise CronMistake(f"'{text}' is no {part.name}: it is a number from {part.lowest} to {part.highest}.")
    return int(text)
