"""``formatDate``: an instant as text, by moment.js tokens, with English names."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from make_bridge.engine.dates import epoch_milliseconds, in_zone
from make_bridge.engine.iml.date_tokens import MONTHS, SUNDAY, WEEKDAYS, split_format

_NOON: Final = 12
_TEENS: Final = range(11, 14)


Printer: TypeAlias = Callable[[datetime], str]


def printers_of(pattern: str) -> tuple[Printer, ...]:
    """Return what prints each part of a format."""
    return tuple(_PRINTERS[part.text] if part.is_token else _literal(part.text) for part in split_format(pattern))


def _literal(text: str) -> Printer:
    return lambda _wall: text


def format_date(instant: datetime, printers: tuple[Printer, ...], zone: ZoneInfo) -> str:
    """Print ``instant`` as clocks in ``zone`` show it."""
    wall = in_zone(instant, zone)
    return "".join([printer(wall) for printer in printers])


def _ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th, 11th."""
    ending = "th" if number % 100 in _TEENS else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _quarter(wall: datetime) -> int:
    return (wall.month + 2) // 3


def _weekday(wall: datetime) -> int:
    """Return 0 for Sunday … 6 for Saturday."""
    return wall.isoweekday() % SUNDAY


def _day_of_year(wall: datetime) -> int:
    return wall.timetuple().tm_yday


def _week(wall: datetime) -> tuple[int, int]:
    """Return year and week as counted in English: weeks begin on Sunday, week 1 holds the first of January."""
    sunday = wall.toordinal() - _weekday(wall)
    year, new_year = wall.year, date(wall.year, 1, 1).toordinal()
    next_new_year = date(wall.year, 12, 31).toordinal() + 1
    if sunday + 6 >= next_new_year:
        year, new_year = year + 1, next_new_year
    first_sunday = new_year - new_year % 7  # day 1 of Python's count was a Monday
    return year, (sunday - first_sunday) // 7 + 1


def _twelve(wall: datetime) -> int:
    return wall.hour % _NOON or _NOON


def _offset(wall: datetime, separator: str) -> str:
    """Print the distance from UTC; the seconds of it that zones had before 1900 or so are cut."""
    distance = wall.utcoffset() or timedelta()
    sign = "-" if distance < timedelta() else "+"
    hours, rest = divmod(abs(distance) // timedelta(minutes=1), 60)
    return f"{sign}{hours:02d}{separator}{rest:02d}"


def _fraction(digits: int) -> Printer:
    return lambda wall: f"{wall.microsecond:06d}".ljust(digits, "0")[:digits]


_PRINTERS: Final[dict[str, Printer]] = {
    "YYYY": lambda wall: f"{wall.year:04d}",
    "YY": lambda wall: f"{wall.year % 100:02d}",
    "Y": lambda wall: f"{wall.year:04d}",
    "Q": lambda wall: str(_quarter(wall)),
    "Qo": lambda wall: _ordinal(_quarter(wall)),
    "M": lambda wall: str(wall.month),
    "Mo": lambda wall: _ordinal(wall.month),
    "MM": lambda wall: f"{wall.month:02d}",
    "MMM": lambda wall: MONTHS[wall.month - 1][:3],
    "MMMM": lambda wall: MONTHS[wall.month - 1],
    "D": lambda wall: str(wall.day),
    "Do": lambda wall: _ordinal(wall.day),
    "DD": lambda wall: f"{wall.day:02d}",
    "DDD": lambda wall: str(_day_of_year(wall)),
    "DDDo": lambda wall: _ordinal(_day_of_year(wall)),
    "DDDD": lambda wall: f"{_day_of_year(wall):03d}",
    "d": lambda wall: str(_weekday(wall)),
    "do": lambda wall: _ordinal(_weekday(wall)),
    "dd": lambda wall: WEEKDAYS[_weekday(wall)][:2],
    "ddd": lambda wall: WEEKDAYS[_weekday(wall)][:3],
    "dddd": lambda wall: WEEKDAYS[_weekday(wall)],
    "E": lambda wall: str(wall.isoweekday()),
    "w": lambda wall: str(_week(wall)[1]),
    "wo": lambda wall: _ordinal(_week(wall)[1]),
    "ww": lambda wall: f"{_week(wall)[1]:02d}",
    "W": lambda wall: str(wall.isocalendar().week),
    "Wo": lambda wall: _ordinal(wall.isocalendar().week),
    "WW": lambda wall: f"{wall.isocalendar().week:02d}",
    "gg": lambda wall: f"{_week(wall)[0] % 100:02d}",
    "gggg": lambda wall: f"{_week(wall)[0]:04d}",
    "GG": lambda wall: f"{wall.isocalendar().year % 100:02d}",
    "GGGG": lambda wall: f"{wall.isocalendar().year:04d}",
    "H": lambda wall: str(wall.hour),
    "HH": lambda wall: f"{wall.hour:02d}",
    "h": lambda wall: str(_twelve(wall)),
    "hh": lambda wall: f"{_twelve(wall):02d}",
    "k": lambda wall: str(wall.hour or 24),
    "kk": lambda wall: f"{wall.hour or 24:02d}",
    "A": lambda wall: "AM" if wall.hour < _NOON else "PM",
    "a": lambda wall: "am" if wall.hour < _NOON else "pm",
    "m": lambda wall: str(wall.minute),
    "mm": lambda wall: f"{wall.minute:02d}",
    "s": lambda wall: str(wall.second),
    "ss": lambda wall: f"{wall.second:02d}",
    **{"S" * digits: _fraction(digits) for digits in range(1, 10)},
    "Z": lambda wall: _offset(wall, ":"),
    "ZZ": lambda wall: _offset(wall, ""),
    "X": lambda wall: str(epoch_milliseconds(wall) // 1000),
    "x": lambda wall: str(epoch_milliseconds(wall)),
}
