"""A circuit breaker: when a target fails, calls to it fail at once instead of waiting for it, and it gets time.

Pure: a state machine that is told the time by ``circuits``, its one caller. Closed, it counts calls in a rolling window
and opens when enough of them went wrong. Open, it refuses everything until its cool-down is over. Half open, it lets
a few probes pass: as many good ones as it has probes close it, a single bad one opens it for longer.

Every call holds a ``Permit``. A permit belongs to the state that gave it: what comes of a call is ignored once that
state is over, so that late answers neither close an open breaker nor open one that has recovered. Slots of probes are
the exception: they are freed by the end of the call alone, however many states later, because "at most three at a
time" is a promise to the target. Why it is ours: docs/decisions/0009-circuit-breaker.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum

_MOST_DOUBLINGS = 20


class State(StrEnum):
    """What a breaker does with a call."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Verdict(Enum):
    """What a call says about its target."""

    GOOD = "good"
    BAD = "bad"
    ANSWERED = "answered"
    """It lives, but refused this call (401, 404, 422, 429): no failure, and no proof that work succeeds there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """When breakers open and for how long; times in seconds."""

    calls: int = 20
    """Calls in the window below which nothing is decided."""
    failed_share: float = 0.5
    window: float = 10.0
    buckets: int = 10
    probes: int = 3
    cool_down: float = 10.0
    longest_cool_down: float = 300.0
    jitter: float = 0.2
    """The share of a cool-down that chance may take off, so that breakers of many processes do not try as one."""


@dataclass(slots=True, eq=False)
class Permit:
    """One call that was let through."""

    generation: int
    is_probe: bool
    is_judged: bool = False
    is_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Why and for how long a breaker is open, by the clock its caller uses."""

    since: float
    until: float
    calls: int
    failed: int
    cause: str
    is_relapse: bool = False
    """It was a probe that failed."""


class Breaker:
    """See the module. ``now`` never runs backwards; ``chance`` gives numbers from 0 up to 1."""

    __slots__ = (
        "_chance",
        "_generation",
        "_limits",
        "_openings",
        "_probes_out",
        "_successes",
        "_window",
        "opening",
    )

    def __init__(self, limits: BreakerLimits, chance: Callable[[], float]) -> None:
        """Begin closed."""
        self._limits = limits
        self._chance = chance
        self._window = _Window(limits.window, limits.buckets)
        self._generation = 0
        self._openings = 0
        self._probes_out = 0
        self._successes: int | None = None
        """Probes that went well since the breaker is half open; None in the other states."""
        self.opening: Opening | None = None
        """Why it opened last; None when it is closed."""

    def state(self, now: float) -> State:
        """Return the state; an open breaker whose cool-down is over counts as half open."""
        if self.opening is None:
            return State.CLOSED
        return State.OPEN if self._successes is None and now < self.opening.until else State.HALF_OPEN

    def admit(self, now: float) -> Permit | None:
        """Let a call pass, or return None."""
        opening = self.opening
        if opening is None:
            return Permit(generation=self._generation, is_probe=False)
        if self._successes is None:
            if now < opening.until:
                return None
            self._generation += 1
            self._successes = 0
        if self._probes_out + self._successes >= self._limits.probes:
            return None
        self._probes_out += 1
        return Permit(generation=self._generation, is_probe=True)

    def judge(self, permit: Permit, verdict: Verdict, now: float, cause: str = "") -> bool:
        """Take what a call says, once; return whether the breaker opens by it."""
        if permit.is_judged:
            return False
        permit.is_judged = True
        if permit.generation != self._generation:
            return False
        if self._successes is None:
            return self._count(verdict, now, cause)
        if verdict is Verdict.BAD:
            self._open(now, calls=1, failed=1, cause=cause, is_relapse=True)
            return True
        self._successes += 1
        if self._successes >= self._limits.probes:
            self._close()
        return False

    def finish(self, permit: Permit) -> None:
        """Take note that the call is over, whatever came of it; a probe's slot is free again."""
        if permit.is_over:
            return
        permit.is_over = True
        if permit.is_probe:
            self._probes_out -= 1

    def _count(self, verdict: Verdict, now: float, cause: str) -> bool:
        if verdict is Verdict.ANSWERED:
            return False
        window, limits = self._window, self._limits
        window.add(now, failed=verdict is Verdict.BAD)
        if window.calls < limits.calls or window.failed < limits.failed_share * window.calls:
            return False
        self._open(now, calls=window.calls, failed=window.failed, cause=cause)
        return True

    def _open(self, now: float, *, calls: int, failed: int, cause: str, is_relapse: bool = False) -> None:
        limits = self._limits
        planned = min(limits.cool_down * 2 ** min(self._openings, _MOST_DOUBLINGS), limits.longest_cool_down)
        seconds = planned * (1 - limits.jitter * self._chance())
        self._openings += 1
        self._generation += 1
        self._successes = None
        self._window.clear()
        self.opening = Opening(
            since=now, until=now + seconds, calls=calls, failed=failed, cause=cause, is_relapse=is_relapse
        )

    def _close(self) -> None:
        self._generation += 1
        self._openings = 0
        self._successes = None
        self.opening = None


class _Window:
    """Counts of the last seconds, in buckets that are used in turn."""

    __slots__ = ("_counts", "_newest", "_width", "calls", "failed")

    def __init__(self, seconds: float, buckets: int) -> None:
        self._width = seconds / buckets
        self._counts = [(0, 0)] * buckets
        self.clear()

    def clear(self) -> None:
        self._counts = [(0, 0)] * len(self._counts)
        self._newest = 0
        self.calls = self.failed = 0

    def add(self, now: float, *, failed: bool) -> None:
        newest = int(now / self._width)
        for passed in range(max(self._newest + 1, newest - len(self._counts) + 1), newest + 1):
            self._forget(passed % len(self._counts))
        self._newest = newest
        slot = newest % len(self._counts)
        calls, bad = self._counts[slot]
        self._counts[slot] = (calls + 1, bad + failed)
        self.calls += 1
        self.failed += failed

    def _forget(self, slot: int) -> None:
        calls, failed = self._counts[slot]
        self.calls -= calls
        self.failed -= failed
        self._counts[slot] = (0, 0)
