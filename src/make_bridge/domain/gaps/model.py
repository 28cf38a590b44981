"""The rules of silence: what a webhook's calls teach, when it is missed, and which time does not count. Pure.

A webhook is known by the longest pause between its calls of late: a longer one raises it at once, and with time it
falls again, to half in ``half_life``. So nights and weekends are pauses like others, and what is remembered of a
webhook is one number. It is silent once nothing was heard for ``factor`` times that, and at least for ``floor``. A
pause that was told to be a silence teaches no more than that much: a long failure does not make the next one normal.

What counts is time in which calls could have come: outages of the whole installation, and the time for which the
scenario was off, do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from make_bridge.kernel.errors import InvalidInput

SHORTEST_EXPECTED: Final = 60
LONGEST_EXPECTED: Final = 31_536_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GapRules:
    """Numbers: seconds, but for ``factor`` and ``calls``.

    A webhook is young before it was heard ``calls`` times over ``learning`` seconds, by default a week, so that nights
    and a weekend are known by then; a young one is never missed. A
    schedule is late ``late`` seconds after its time. A look begins every ``look`` seconds, and takes ``batch`` webhooks
    at a time.
    """

    factor: float = 2.0
    floor: float = 900.0
    calls: int = 10
    learning: float = 604_800.0
    half_life: float = 1_209_600.0
    late: float = 300.0
    look: float = 30.0
    batch: int = 1000

    @property
    def outage(self) -> float:
        """Seconds without a look from which on nobody was there; several missed looks, not one that took long."""
        return 3 * self.look + 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A time in which nobody could have heard anything."""

    began: datetime
    ended: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """What is known of a webhook. ``since`` is from when on it can be missed: its last call, or when it came on.

    One that was heard 0 ``times`` is known for what was said of it: it came on, or is silent.
    """

    since: datetime
    first_heard: datetime
    heard: datetime
    times: int = 1
    pause: float = 0.0
    is_off: bool = False
    silent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What people have said: a call every so many seconds, or, with None, nothing."""

    seconds: int | None
    since: datetime


def counted_seconds(begin: datetime, end: datetime, outages: Sequence[Outage]) -> float:
    """Return the seconds between two moments without those of outages, which do not overlap each other."""
    if end <= begin:
        return 0.0
    away = sum((max(min(o.ended, end) - max(o.began, begin), timedelta(0)) for o in outages), timedelta(0))
    return max((end - begin - away).total_seconds(), 0.0)


def patience(rhythm: Rhythm | None, expected: Expected | None, rules: GapRules) -> float | None:
    """Return after how many seconds without a call a webhook is missed; None while it is not."""
    if expected is not None:
        return None if expected.seconds is None else expected.seconds * rules.factor
    if rhythm is None or is_young(rhythm, rules):
        return None
    return max(rhythm.pause * rules.factor, rules.floor)


def is_young(rhythm: Rhythm, rules: GapRules) -> bool:
    """Say whether too little was heard of a webhook to know its rhythm."""
    return rhythm.times < rules.calls or (rhythm.heard - rhythm.first_heard).total_seconds() < rules.learning


def silence(rhythm: Rhythm | None, expected: Expected | None, now: datetime, outages: Sequence[Outage]) -> float | None:
    """Return for how long nothing was heard that could have been; None where there is nothing to count from."""
    begins = [known.since for known in (rhythm, expected) if known is not None]
    return counted_seconds(max(begins), now, outages) if begins else None


def heard(rhythm: Rhythm | None, at: datetime, rules: GapRules, outages: Sequence[Outage]) -> Rhythm:
    """Return what a webhook is known by after a call; the first one teaches nothing but that there are calls."""
    if rhythm is None or not rhythm.times:
        return Rhythm(since=at, first_heard=at, heard=at)
    pause = counted_seconds(rhythm.since, at, outages)
    faded = rhythm.pause * 0.5 ** (pause / rules.half_life)
    if rhythm.silent_at is not None:
        pause = min(pause, max(rhythm.pause * rules.factor, rules.floor))
    return replace(
        rhythm,
        since=at,
        heard=at,
        times=rhythm.times + 1,
        pause=max(pause, faded),
        is_off=False,
        silent_at=None,
    )


def unheard(now: datetime) -> Rhythm:
    """Return what a webhook is known by that was never called."""
    return Rhythm(since=now, first_heard=now, heard=now, times=0)


def switched(rhythm: Rhythm, *, is_on: bool, now: datetime) -> Rhythm:
    """Return what a webhook is known by after its scenario was switched on or off: from on, the count begins anew."""
    return replace(rhythm, is_off=not is_on, since=now, silent_at=None)


def checked_expectation(seconds: int) -> int:
    """Return every how many seconds a webhook is to be called, or raise InvalidInput."""
    if not SHORTEST_EXPECTED <= seconds <= LONGEST_EXPECTED:
        sentence = f"A call is expected every {SHORTEST_EXPECTED} to {LONGEST_EXPECTED} seconds."
        raise InvalidInput(sentence, fields={"seconds": sentence})
    return seconds
