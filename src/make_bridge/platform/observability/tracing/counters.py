"""What becomes of spans; nothing is shown where no endpoint is set."""

from collections.abc import Callable
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

Loss = Literal["full", "cut", "refused", "unreachable", "unreadable", "closing"]
# full: the queue had no room · cut: its trace had none · refused: the collector said no · unreachable: no answer in
# time, or none that it could have given · unreadable: an answer that no collector gives · closing: left at the end
LOSSES: Final[tuple[Loss, ...]] = ("full", "cut", "refused", "unreachable", "unreadable", "closing")


class TraceCounters:
    """The counters and the gauge; taken from the thread that exports too."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Declare them."""
        self.exported = Counter(
            "trace_spans_exported_total", "Spans of traces that the collector took.", registry=registry
        )
        dropped = Counter(
            "trace_spans_dropped_total", "Spans of traces that reached no collector, by why.", ["reason"],
            registry=registry,
        )  # fmt: skip
        self.dropped = {reason: dropped.labels(reason) for reason in LOSSES}
        self._waiting = Gauge("trace_spans_waiting", "Spans that wait to be exported.", registry=registry)

    def watch(self, count: Callable[[], int]) -> None:
        """Take how many wait from there, each time somebody asks for the counters."""
        self._waiting.set_function(lambda: float(count()))
