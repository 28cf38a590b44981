"""What becomes of log lines, as metrics: taken from the sinks each time that somebody asks."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from make_bridge.platform.observability.metrics.declaring import Declaration, Declarations, Label
from make_bridge.platform.observability.sinks.conveyor import Standing

_SINK: Final = Label("sink", ("output", "file", "elasticsearch", "all"))
_REASON: Final = Label("reason", ("full", "rejected", "ended", "broken"))
_WRITTEN: Final = Declaration(
    name="log_lines_written_total", kind="counter", meaning="Log lines that a sink took.", labels=(_SINK,)
)
_DROPPED: Final = Declaration(
    name="log_lines_dropped_total",
    kind="counter",
    meaning="Log lines that a sink never got: no room to wait (full), not wanted (rejected), still waiting at the "
    "end (ended); or that could not be made at all (broken).",
    labels=(_SINK, _REASON),
)
_UP: Final = Declaration(
    name="log_sink_up", kind="gauge", meaning="Whether a sink takes log lines at present.", labels=(_SINK,), unit="bool"
)
_WAITING: Final = Declaration(
    name="log_waiting_bytes",
    kind="gauge",
    meaning="Bytes of log lines that wait in memory for a sink.",
    labels=(_SINK,),
    unit="bytes",
)
_BROKEN: Final = ("all", "broken")


class LogNumbers(Collector):
    """See the module; sinks and reasons are closed sets."""

    def __init__(self, declare: Declarations) -> None:
        """Begin without sinks."""
        self._standings: Callable[[], Sequence[Standing]] = list
        self._broken: Callable[[], int] = int
        declare.collector(self, _WRITTEN, _DROPPED, _UP, _WAITING)

    def watch(self, standings: Callable[[], Sequence[Standing]], broken: Callable[[], int]) -> None:
        """Take from there how sinks stand, and how many lines could not be made."""
        self._standings, self._broken = standings, broken

    def collect(self) -> Iterable[Metric]:
        """Return the numbers of this moment."""
        written = CounterMetricFamily(_WRITTEN.name, _WRITTEN.meaning, labels=["sink"])
        dropped = CounterMetricFamily(_DROPPED.name, _DROPPED.meaning, labels=["sink", "reason"])
        up = GaugeMetricFamily(_UP.name, _UP.meaning, labels=["sink"])
        waiting = GaugeMetricFamily(_WAITING.name, _WAITING.meaning, labels=["sink"])
        for standing in self._standings():
            written.add_metric([standing.name], standing.written)
            for reason, lines in standing.dropped.items():
                dropped.add_metric([standing.name, reason], lines)
            up.add_metric([standing.name], float(standing.is_up))
            waiting.add_metric([standing.name], standing.waiting_bytes)
        dropped.add_metric(_BROKEN, self._broken())
        return [written, dropped, up, waiting]
