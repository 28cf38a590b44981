"""What becomes of spans; nothing moves where no endpoint is set."""

from collections.abc import Callable
from typing import Final, Literal

from make_bridge.platform.observability.metrics.declaring import Declarations, Label, children

Loss = Literal["full", "cut", "refused", "unreachable", "unreadable", "closing"]
# full: the queue had no room · cut: its trace had none · refused: the collector said no · unreachable: no answer in
# time, or none that it could have given · unreadable: an answer that no collector gives · closing: left at the end
LOSSES: Final[tuple[Loss, ...]] = ("full", "cut", "refused", "unreachable", "unreadable", "closing")
_REASON: Final = Label("reason", LOSSES)


class TraceCounters:
    """The counters and the gauge; taken from the thread that exports too."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self.exported = declare.counter("trace_spans_exported_total", "Spans of traces that the collector took.")
        dropped = declare.counter(
            "trace_spans_dropped_total", "Spans of traces that reached no collector, by why.", _REASON
        )
        self.dropped = children(dropped, _REASON)
        self._waiting = declare.gauge("trace_spans_waiting", "Spans that wait to be exported.")

    def watch(self, count: Callable[[], int]) -> None:
        """Take how many wait from there, each time somebody asks for the counters."""
        self._waiting.set_function(lambda: float(count()))
