"""How a metric is declared: once, with its name, what it means, its labels and what bounds each of them.

Every group of this package declares its metrics here, and from what was declared come the registry that a process
shows, the page ``docs/reference/metrics.md`` and the tests that look for undocumented ones and for labels without end.
A registry of our own (not the library's global one), so that two servers in one test process do not share counters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.registry import Collector

Kind = Literal["counter", "gauge", "histogram"]
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds of every histogram of durations, in seconds: a webhook is answered within few milliseconds."""
_UNITS: Final = {"_seconds": "seconds", "_bytes": "bytes", "_ratio": "ratio"}


@dataclass(frozen=True, slots=True)
class Label:
    """A label with all its values, or with what bounds those that only a running process knows.

    Nothing that a caller sends may become a value.
    """

    name: str
    values: tuple[str, ...] = ()
    bounded_by: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for a label without end."""
        if bool(self.values) == bool(self.bounded_by):
            raise ValueError(f"The label {self.name} needs either its values or what bounds them.")


SHARD: Final = Label("shard", bounded_by="the numbers of the shards")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One metric; ``is_shared`` tells that all processes see the same fact: ask for its ``max``, never its ``sum``.

    ``unit`` is what its name says, or ours: ``1`` for a count, ``bool`` for 0 or 1.
    """

    name: str
    kind: Kind
    meaning: str
    labels: tuple[Label, ...] = ()
    unit: str = "1"
    is_shared: bool = False
    subject: str = ""


_Metric = TypeVar("_Metric", Counter, Gauge, Histogram)


class Declarations:
    """All metrics of a process."""

    def __init__(self) -> None:
        """Begin with none."""
        # When each counter began is a series more for each, which nobody looks at.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.all: dict[str, Declaration] = {}
        self._subject = ""

    def about(self, subject: str) -> "Declarations":
        """Say what the next ones are about: a heading of the page of reference."""
        self._subject = subject
        return self

    def counter(self, name: str, meaning: str, *labels: Label, unit: str = "") -> Counter:
        """Declare what only grows while the process runs; its name ends in ``_total``."""
        self.note(Declaration(name=name, kind="counter", meaning=meaning, labels=labels, unit=unit_of(name, unit)))
        return Counter(name, meaning, [label.name for label in labels], registry=self.registry)

    def gauge(self, name: str, meaning: str, *labels: Label, unit: str = "", is_shared: bool = False) -> Gauge:
        """Declare what is so at the moment; ``is_shared`` where every process sees the same fact."""
        self.note(
            Declaration(
                name=name, kind="gauge", meaning=meaning, labels=labels, unit=unit_of(name, unit), is_shared=is_shared
            )
        )
        return Gauge(name, meaning, [label.name for label in labels], registry=self.registry)

    def histogram(self, name: str, meaning: str, *labels: Label, bounds: Sequence[float] = SECONDS) -> Histogram:
        """Declare what is spread over a range, cut at ``bounds``."""
        self.note(Declaration(name=name, kind="histogram", meaning=meaning, labels=labels, unit=unit_of(name, "")))
        return Histogram(name, meaning, [label.name for label in labels], buckets=bounds, registry=self.registry)

    def collector(self, collector: Collector, *declared: Declaration) -> None:
        """Declare what somebody counts on their own, in plain numbers, and shows when asked."""
        self.note(*declared)
        self.registry.register(collector)

    def note(self, *declared: Declaration) -> None:
        """Declare what a collector shows that stands in the registry already."""
        self.all |= {one.name: replace(one, subject=self._subject) for one in declared}


def unit_of(name: str, given: str = "") -> str:
    """Return the unit that a name of a metric ends with; ``given``, or a count, where it says none."""
    told = name.removesuffix("_total")
    return given or next((unit for end, unit in _UNITS.items() if told.endswith(end)), "1")


def children(metric: _Metric, label: Label) -> Mapping[str, _Metric]:
    """Return the metric for each value of its only label, so that all stand on the page from the beginning."""
    return {value: metric.labels(value) for value in label.values}
