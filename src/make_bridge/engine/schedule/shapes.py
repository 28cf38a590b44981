"""The scheduling object of a blueprint, read and checked.

Used where a schedule is written (templates, scenarios) and by the scheduler, which reads it back. Every mistake is a
sentence of its own, so that a person can mend all of them at once. Numbers may be text, as in blueprints. The types and
members are Make's; ``cron`` with ``expression`` is our extension. Months count from 1, Sunday is day 0.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from typing import Final

from make_bridge.engine.blueprint.settings import whole_number
from make_bridge.engine.schedule.cron import Cron, CronMistake, read_cron
from make_bridge.kernel.errors import InvalidInput

SHORTEST_SECONDS: Final = 60
LONGEST_SECONDS: Final = 366 * 86_400
MAX_WINDOWS: Final = 50
_YEARS: Final = (2000, 2200)
_TIME: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")
_DATE_ONLY: Final = 10
_PAIR: Final = 2


class Kind(StrEnum):
    """The types of schedules; the values are those of the wire."""

    IMMEDIATELY = "immediately"
    INDEFINITELY = "indefinitely"
    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"
    ON_DEMAND = "on-demand"
    CRON = "cron"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When runs are allowed: on these weekdays, in these months, between these times, as far as each is given.

    Both ends belong to the window; one that ends before it begins goes over midnight.
    """

    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    opens: time | None = None
    closes: time | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule without mistakes. Moments without a zone are meant in the organization's."""

    kind: Kind
    interval: int = 0
    moment: datetime | None = None
    at: time | None = None
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    cron: Cron | None = None
    begins: datetime | None = None
    ends: datetime | None = None
    windows: tuple[Window, ...] = ()

    @property
    def is_timed(self) -> bool:
        """Whether time starts its runs."""
        return self.kind not in {Kind.IMMEDIATELY, Kind.ON_DEMAND}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """What is wrong with one member; ``missing``: it is not there, which a form may still ask for."""

    member: str
    sentence: str
    missing: bool = False


def read_schedule(raw: Mapping[str, object], *, shortest: int = SHORTEST_SECONDS) -> Schedule:
    """Return the schedule; raises InvalidInput with every mistake."""
    reader = _Reader(raw, shortest)
    schedule = reader.schedule()
    if schedule is None or reader.mistakes:
        raise InvalidInput(" ".join(mistake.sentence for mistake in reader.mistakes), code="scheduling_invalid")
    return schedule


def schedule_mistakes(raw: Mapping[str, object], *, shortest: int = SHORTEST_SECONDS) -> list[Mistake]:
    """Return everything that is wrong with a schedule."""
    reader = _Reader(raw, shortest)
    reader.schedule()
    return reader.mistakes


class _Reader:
    """Reads one scheduling object and collects what is wrong with it."""

    def __init__(self, raw: Mapping[str, object], shortest: int) -> None:
        self._raw = raw
        self._shortest = shortest
        self.mistakes: list[Mistake] = []

    def schedule(self) -> Schedule | None:
        """Return the schedule, as far as it can be read."""
        kind = self._raw.get("type")
        if not isinstance(kind, str) or kind not in set(Kind):
            self._say("type", f"The schedule's type is one of {', '.join(Kind)}.")
            return None
        read = {
            Kind.INDEFINITELY: self._indefinitely,
            Kind.ONCE: self._once,
            Kind.DAILY: self._daily,
            Kind.WEEKLY: self._weekly,
            Kind.MONTHLY: self._monthly,
            Kind.YEARLY: self._yearly,
            Kind.CRON: self._cron,
        }.get(Kind(kind))
        return Schedule(kind=Kind(kind)) if read is None else read()

    def _say(self, member: str, sentence: str, *, missing: bool = False) -> None:
        self.mistakes.append(Mistake(member=member, sentence=sentence, missing=missing))

    def _lacks(self, member: str, sentence: str) -> bool:
        """Say that a member has no value."""
        if self._raw.get(member) in (None, "", []):
            self._say(member, sentence, missing=True)
            return True
        return False

    def _indefinitely(self) -> Schedule:
        least = f"A schedule at regular intervals needs an interval of at least {self._shortest} seconds."
        seconds = whole_number(self._raw.get("interval"))
        if self._lacks("interval", least):
            seconds = None
        elif seconds is None or seconds < self._shortest:
            self._say("interval", least)
        elif seconds > LONGEST_SECONDS:
            self._say("interval", f"A schedule's interval is at most {LONGEST_SECONDS} seconds, which is a year.")
        return self._repeated(Kind.INDEFINITELY, interval=seconds or 0)

    def _once(self) -> Schedule:
        moment = None
        if not self._lacks("date", "A schedule of type once needs a date."):
            moment = self._moment("date", self._raw["date"])
        return Schedule(kind=Kind.ONCE, moment=moment)

    def _daily(self) -> Schedule:
        return self._repeated(Kind.DAILY, at=self._at(Kind.DAILY))

    def _weekly(self) -> Schedule:
        days = self._numbers("days", 0, 6, "A weekly schedule needs days: numbers from 0 (Sunday) to 6 (Saturday).")
        return self._repeated(Kind.WEEKLY, at=self._at(Kind.WEEKLY), days=days)

    def _monthly(self) -> Schedule:
        days = self._numbers("days", 1, 31, "A monthly schedule needs days: numbers from 1 to 31.")
        return self._repeated(Kind.MONTHLY, at=self._at(Kind.MONTHLY), days=days)

    def _yearly(self) -> Schedule:
        months = self._numbers("months", 1, 12, "A yearly schedule needs months: numbers from 1 to 12.")
        days = self._numbers("days", 1, 31, "A yearly schedule needs days: numbers from 1 to 31.")
        return self._repeated(Kind.YEARLY, at=self._at(Kind.YEARLY), days=days, months=months)

    def _cron(self) -> Schedule:
        cron = None
        if not self._lacks("expression", "A schedule of type cron needs an expression of five fields."):
            try:
                cron = read_cron(str(self._raw["expression"]))
            except CronMistake as mistake:
                self._say("expression", str(mistake))
        if cron is not None and cron.shortest_gap * 60 < self._shortest:
            self._say("expression", f"Two runs of a schedule are at least {self._shortest} seconds apart.")
        return self._repeated(Kind.CRON, cron=cron)

    def _repeated(
        self,
        kind: Kind,
        *,
        interval: int = 0,
        at: time | None = None,
        days: frozenset[int] = frozenset(),
        months: frozenset[int] = frozenset(),
        cron: Cron | None = None,
    ) -> Schedule:
        begins, ends = self._between()
        return Schedule(
            kind=kind,
            interval=interval,
            at=at,
            days=days,
            months=months,
            cron=cron,
            begins=begins,
            ends=ends,
            windows=self._windows(),
        )

    def _at(self, kind: Kind) -> time | None:
        if self._lacks("time", f"A {kind} schedule needs a time, for example 06:10."):
            return None
        return self._time("time", self._raw["time"])

    def _time(self, member: str, raw: object) -> time | None:
        match = _TIME.fullmatch(raw) if isinstance(raw, str) else None
        try:
            if match is not None:
                hour, minute, second = (int(part or 0) for part in match.groups())
                return time(hour, minute, second)
        except ValueError:
            pass
        self._say(member, f"The schedule's {member} is a time of day such as 06:10 or 17:30:00.")
        return None

    def _moment(self, member: str, raw: object, *, end: bool = False) -> datetime | None:
        try:
            moment = datetime.fromisoformat(raw) if isinstance(raw, str) else None
        except ValueError:
            moment = None
        if moment is None or not _YEARS[0] <= moment.year <= _YEARS[1]:
            self._say(member, f"The schedule's {member} holds no date such as 2026-12-31 or 2026-12-31T06:10:00Z.")
            return None
        if end and isinstance(raw, str) and len(raw) == _DATE_ONLY:
            return datetime.combine(date(moment.year, moment.month, moment.day), time.max)
        return moment

    def _numbers(self, member: str, lowest: int, highest: int, sentence: str) -> frozenset[int]:
        if self._lacks(member, sentence):
            return frozenset()
        return self._members(member, self._raw[member], lowest, highest, sentence)

    def _members(self, member: str, raw: object, lowest: int, highest: int, sentence: str) -> frozenset[int]:
        numbers = [whole_number(item) for item in raw] if isinstance(raw, list) else [None]
        found = frozenset(number for number in numbers if number is not None and lowest <= number <= highest)
        if len(numbers) > highest - lowest + 1 or any(number not in found for number in numbers):
            self._say(member, sentence)
        return found

    def _between(self) -> tuple[datetime | None, datetime | None]:
        raw = self._raw.get("between")
        if raw in (None, []):
            return None, None
        if not isinstance(raw, list) or len(raw) != _PAIR:
            self._say("between", "The schedule's between is a list of two dates: when it begins and when it ends.")
            return None, None
        begins = self._moment("between", raw[0]) if raw[0] not in (None, "") else None
        ends = self._moment("between", raw[1], end=True) if raw[1] not in (None, "") else None
        if begins is not None and ends is not None and begins.replace(tzinfo=None) > ends.replace(tzinfo=None):
            self._say("between", "The schedule ends before it begins.")
        return begins, ends

    def _windows(self) -> tuple[Window, ...]:
        raw = self._raw.get("restrict")
        if raw in (None, []):
            return ()
        if not isinstance(raw, list) or len(raw) > MAX_WINDOWS or not all(isinstance(item, Mapping) for item in raw):
            self._say("restrict", f"The schedule's restrict is a list of at most {MAX_WINDOWS} windows.")
            return ()
        return tuple(self._window(item) for item in raw)

    def _window(self, raw: Mapping[str, object]) -> Window:
        days, months, times = raw.get("days"), raw.get("months"), raw.get("time")
        sentence = "A window's days are numbers from 0 (Sunday) to 6 (Saturday), its months numbers from 1 to 12."
        opens = closes = None
        if isinstance(times, list) and len(times) == _PAIR:
            opens, closes = (self._time("restrict", item) for item in times)
        elif times not in (None, []):
            self._say("restrict", "A window's time is a list of two times: from and to.")
        return Window(
            days=self._members("restrict", days, 0, 6, sentence) if days not in (None, []) else frozenset(),
            months=self._members("restrict", months, 1, 12, sentence) if months not in (None, []) else frozenset(),
            opens=opens,
            closes=closes,
        )
