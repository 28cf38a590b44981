"""The one home of time.

Nothing else may call ``datetime.now`` or ``time.time`` (the linter holds it), so that tests can
move time and a wall clock that jumps hurts in one place only. Durations use ``monotonic``.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the rest of the program may ask about time."""

    def now(self) -> datetime:
        """Return the wall clock, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards; the origin means nothing."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the wall clock, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()


def wall_ns() -> int:
    """Return the wall clock in nanoseconds since 1970, as spans count: for what is told and never decided by."""
    return time.time_ns()


class ManualClock:
    """A clock that moves only when told: for tests and replays."""

    def __init__(self, start: datetime) -> None:
        """Begin at ``start``, which must be aware."""
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Return the time last set."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds advanced so far."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self._monotonic += seconds
        self._now = datetime.fromtimestamp(self._now.timestamp() + seconds, UTC)
