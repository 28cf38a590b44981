"""When the loops of a process turned last: those that go on beside requests, for as long as it serves.

A loop that hangs says nothing, and neither does one that fails over and over. So each says when it came through: work
done, or none found. What did not for longer than it may take is late: ``/health`` and ``loop_age_seconds`` tell of it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from make_bridge.platform.observability.metrics.declaring import SHARD, Declaration, Declarations, Label

LATE_AFTER: Final = 15.0
"""Seconds within which a loop comes through that looks every few seconds; statements of its own have five."""
_AGE: Final = Declaration(
    name="loop_age_seconds",
    kind="gauge",
    meaning="Seconds since a loop of this process came through: did its work, or found none.",
    labels=(Label("loop", bounded_by="the loops that a process has beside requests"), SHARD),
    unit="seconds",
)
_LATE: Final = Declaration(
    name="loops_late", kind="gauge", meaning="Loops of this process that did not come through in time."
)


@dataclass(slots=True)
class _Loop:
    within: float
    turned_at: float
    has_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopAge:
    """How long ago a loop came through, in seconds, and after how long it is late; ``shard`` is empty without one."""

    name: str
    shard: str
    seconds: float
    within: float
    has_failed: bool = field(default=False)
    """Whether it was ended by an error, and comes through no more."""

    @property
    def is_late(self) -> bool:
        """Whether somebody should look after it."""
        return self.has_failed or self.seconds > self.within


class LoopTurns(Collector):
    """See the module; names of loops are our own words."""

    def __init__(self, declare: Declarations | None = None, now: Callable[[], float] = monotonic) -> None:
        """Begin without loops; without ``declare`` nobody is told but who asks."""
        self._now = now
        self._loops: dict[tuple[str, str], _Loop] = {}
        if declare is not None:
            declare.collector(self, _AGE, _LATE)

    @contextmanager
    def turning(self, name: str, shard: int | None = None, *, within: float) -> Iterator[Callable[[], None]]:
        """Watch a loop while it runs; it calls what it is given each time that it came through.

        ``within`` is how many seconds it may take between two times. One that ends because it is told to is forgotten.
        """
        key = (name, "" if shard is None else str(shard))
        loop = self._loops[key] = _Loop(within=within, turned_at=self._now())

        def turned() -> None:
            loop.turned_at = self._now()

        try:
            yield turned
        except Exception:
            loop.has_failed = True
            raise
        finally:
            if not loop.has_failed and self._loops.get(key) is loop:
                del self._loops[key]

    def all(self) -> list[LoopAge]:
        """Return how old the last turn of each loop is."""
        now = self._now()
        return [
            LoopAge(
                name=name, shard=shard, seconds=now - loop.turned_at, within=loop.within, has_failed=loop.has_failed
            )
            for (name, shard), loop in sorted(self._loops.items())
        ]

    def collect(self) -> Iterable[Metric]:
        """Return the ages at this moment."""
        ages = GaugeMetricFamily(_AGE.name, _AGE.meaning, labels=["loop", "shard"])
        loops = self.all()
        for loop in loops:
            ages.add_metric([loop.name, loop.shard], loop.seconds)
        late = GaugeMetricFamily(_LATE.name, _LATE.meaning)
        late.add_metric([], sum(loop.is_late for loop in loops))
        return [ages, late]
