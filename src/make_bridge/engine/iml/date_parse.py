"""``parseDate``: text as an instant, by moment.js tokens, with English names.

Reads the text once, token by token; one or two digits are taken where two are asked for, and white space is
flexible. Anything else that does not fit is an error: a date guessed wrong is worse than none. Missing parts are
completed as moment does: units larger than the first one given come from today, smaller ones are the least.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from make_bridge.engine.dates import (
    from_epoch_milliseconds,
    from_offset,
    from_wall_clock,
    make_wall_clock,
    shift,
    to_instant,
    to_wall_clock,
)
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml import limits
from make_bridge.engine.iml.date_tokens import MONTHS, SUNDAY, WEEKDAYS, FormatPart
from make_bridge.engine.values import describe

_NOON: Final = 12
_MIDNIGHT_AFTER: Final = 24
_CENTURY_TURNS: Final = 68  # 68 is 2068, 69 is 1969

_ONE_OR_TWO: Final = r"\d{1,2}"
_NAME: Final = r"[A-Za-z]{3,9}"
_OFFSET: Final = r"[Zz]|[+-]\d{2}:?\d{2}"
_SPACE: Final = re.compile(r"\s*")

# What each token reads, and the field that it fills.
_READERS: Final[dict[str, tuple[re.Pattern[str], str]]] = {
    token: (re.compile(pattern, re.ASCII), name)
    for tokens, pattern, name in (
        (("YYYY",), r"\d{4}", "year"),
        (("YY",), r"\d{2}", "short_year"),
        (("Y",), r"\d{1,4}", "year"),
        (("Q",), r"[1-4]", "quarter"),
        (("M", "MM"), _ONE_OR_TWO, "month"),
        (("MMM", "MMMM"), _NAME, "month_name"),
        (("D", "DD"), _ONE_OR_TWO, "day"),
        (("Do",), r"\d{1,2}(?=st|nd|rd|th)", "ordinal_day"),
        (("DDD", "DDDD"), r"\d{1,3}", "day_of_year"),
        (("ddd", "dddd"), _NAME, "weekday_name"),
        (("E",), r"[1-7]", "iso_weekday"),
        (("W", "WW"), _ONE_OR_TWO, "iso_week"),
        (("GGGG",), r"\d{4}", "iso_year"),
        (("GG",), r"\d{2}", "short_iso_year"),
        (("H", "HH"), _ONE_OR_TWO, "hour"),
        (("h", "hh"), _ONE_OR_TWO, "half_hour"),
        (("k", "kk"), _ONE_OR_TWO, "late_hour"),
        (("a", "A"), r"[AaPp](?:\.?[Mm]\.?)?", "half"),
        (("m", "mm"), _ONE_OR_TWO, "minute"),
        (("s", "ss"), _ONE_OR_TWO, "second"),
        (tuple("S" * digits for digits in range(1, 10)), r"\d{1,9}", "fraction"),
        (("Z", "ZZ"), _OFFSET, "offset"),
        (("X",), r"-?\d{1,12}(?:\.\d{1,9})?", "seconds_since_epoch"),
        (("x",), r"-?\d{1,16}", "milliseconds_since_epoch"),
    )
    for token in tokens
}


def parse_formatted_date(
    text: str, pattern: str, parts: tuple[FormatPart, ...], zone: ZoneInfo, today: datetime
) -> datetime:
    """Read ``text`` by the ``parts`` of ``pattern``; raises "… is not a valid date" when it does not fit."""
    fields = _read(text.strip(), parts) if len(text) <= limits.DATE_TEXT else None
    instant = None if fields is None else _Assembly(fields, zone, _date_of(today, fields, zone)).instant()
    if instant is None:
        raise ExpressionError(f"{describe(text)} is not a valid date of the format {describe(pattern)}.", argument=1)
    return instant


def _date_of(today: datetime, fields: dict[str, str], zone: ZoneInfo) -> date:
    """Return what day it is: in the zone, or in UTC where the text states its own offset."""
    return to_instant(today).date() if "offset" in fields else to_wall_clock(today, zone).date()


def _read(text: str, parts: tuple[FormatPart, ...]) -> dict[str, str] | None:
    """Match the text with the format; None as soon as something does not fit or is left over."""
    fields: dict[str, str] = {}
    at = 0
    for part in parts:
        if part.is_token:
            if part.text not in _READERS:
                raise ExpressionError(f"The token {part.text} prints dates but cannot read them.", argument=2)
            reader, name = _READERS[part.text]
            match = reader.match(text, at)
            if not match:
                return None
            fields[name] = match[0]
            at = match.end() + (2 if name == "ordinal_day" else 0)
        elif part.text.isspace():
            at = _after_space(text, at)
        elif text.startswith(part.text, at):
            at += len(part.text)
        else:
            return None
    return fields if _after_space(text, at) == len(text) else None


def _after_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _position(name: str, names: tuple[str, ...]) -> int | None:
    """Return the place of a name, which may be cut after three letters."""
    folded = name.lower()
    for position, full in enumerate(names):
        if full.lower().startswith(folded):
            return position
    return None


def _full_year(short: str) -> int:
    return int(short) + (2000 if int(short) <= _CENTURY_TURNS else 1900)


@dataclass(slots=True)
class _Assembly:
    """The parts of a date that were read, on their way to an instant; None anywhere means there is no such date."""

    fields: dict[str, str]
    zone: ZoneInfo
    today: date
    numbers: dict[str, int] = field(default_factory=dict)

    def instant(self) -> datetime | None:
        if "milliseconds_since_epoch" in self.fields:
            return from_epoch_milliseconds(int(self.fields["milliseconds_since_epoch"]))
        if "seconds_since_epoch" in self.fields:
            return from_epoch_milliseconds(round(float(self.fields["seconds_since_epoch"]) * 1000, 3))
        self.numbers = {name: int(value) for name, value in self.fields.items() if value.isdigit()}
        day = self._day()
        time = self._time_of_day()
        if day is None or time is None or not self._fits_weekday(day):
            return None
        return self._place(shift(make_wall_clock(day.year, day.month, day.day), time))

    def _place(self, wall: datetime) -> datetime | None:
        offset = self.fields.get("offset")
        if offset is None:
            return from_wall_clock(wall, self.zone)
        if offset in "Zz":
            return wall.replace(tzinfo=UTC)
        return from_offset(wall, offset[0], int(offset[1:3]), int(offset[-2:]))

    def _day(self) -> date | None:
        try:
            if {"iso_week", "iso_year", "short_iso_year", "iso_weekday"} & self.fields.keys():
                return self._day_of_iso_week()
            return self._day_of_calendar()
        except ValueError:
            return None

    def _day_of_iso_week(self) -> date:
        year = self.today.isocalendar().year
        if "short_iso_year" in self.fields:
            year = _full_year(self.fields["short_iso_year"])
        return date.fromisocalendar(
            self.numbers.get("iso_year", year), self.numbers.get("iso_week", 1), self.numbers.get("iso_weekday", 1)
        )

    def _day_of_calendar(self) -> date | None:
        year, month, day = self._year(), self._month(), self.numbers.get("day", self.numbers.get("ordinal_day"))
        if "month_name" in self.fields and month is None:
            return None
        if "day_of_year" in self.numbers:
            first = date(self.today.year if year is None else year, 1, 1)
            found = first + timedelta(days=self.numbers["day_of_year"] - 1)
            return found if found.year == first.year else None
        if year is None and month is None and day is None:
            return self._day_of_this_week()
        if year is None:
            year = self.today.year
            month = self.today.month if month is None else month
        return date(year, 1 if month is None else month, 1 if day is None else day)

    def _day_of_this_week(self) -> date | None:
        """Return today, or when only a weekday was given that day of the week that began on Sunday."""
        if "weekday_name" not in self.fields:
            return self.today
        wanted = _position(self.fields["weekday_name"], WEEKDAYS)
        if wanted is None:
            return None
        return self.today + timedelta(days=wanted - self.today.isoweekday() % SUNDAY)

    def _year(self) -> int | None:
        if "short_year" in self.fields:
            return _full_year(self.fields["short_year"])
        return self.numbers.get("year")

    def _month(self) -> int | None:
        if "month_name" in self.fields:
            position = _position(self.fields["month_name"], MONTHS)
            return None if position is None else position + 1
        if "quarter" in self.numbers and "month" not in self.numbers:
            return self.numbers["quarter"] * 3 - 2
        return self.numbers.get("month")

    def _fits_weekday(self, day: date) -> bool:
        name = self.fields.get("weekday_name")
        return name is None or _position(name, WEEKDAYS) == day.isoweekday() % SUNDAY

    def _time_of_day(self) -> timedelta | None:
        hour = self._hour()
        minute, second = self.numbers.get("minute", 0), self.numbers.get("second", 0)
        milliseconds = int(self.fields.get("fraction", "0").ljust(3, "0")[:3])
        if hour is None or minute >= 60 or second >= 60:  # noqa: PLR2004 - minutes of an hour, seconds of a minute
            return None
        if hour == _MIDNIGHT_AFTER and (minute or second or milliseconds):
            return None
        return timedelta(hours=hour, minutes=minute, seconds=second, milliseconds=milliseconds)

    def _hour(self) -> int | None:
        """Return 0 to 24; None when the clock has no such hour."""
        if "late_hour" in self.numbers:
            hour = self.numbers["late_hour"] % _MIDNIGHT_AFTER
            return hour if 1 <= self.numbers["late_hour"] <= _MIDNIGHT_AFTER else None
        hour = self.numbers.get("half_hour", self.numbers.get("hour", 0))
        if "half_hour" in self.numbers and not 1 <= hour <= _NOON:
            return None
        half = self.fields.get("half", "").lower()
        if half and hour <= _NOON:
            hour = hour % _NOON + (_NOON if half.startswith("p") else 0)
        return hour if hour <= _MIDNIGHT_AFTER else None
