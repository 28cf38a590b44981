"""Figures of the operating system's process and of Python, as the library counts them, and of the event loop."""

from typing import Final

from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from make_bridge.platform.observability.metrics.declaring import Declaration, Declarations, Label

_READING: Final = Label("of", ("sessions", "queue", "scenarios", "promises"))

_GENERATION: Final = Label("generation", ("0", "1", "2"))
_PLATFORM: Final = tuple(
    Label(name, bounded_by="the Python that runs")
    for name in ("implementation", "major", "minor", "patchlevel", "version")
)
_PROCESS: Final = (
    Declaration(
        name="process_cpu_seconds_total", kind="counter", unit="seconds", meaning="Processor time, of user and system."
    ),
    Declaration(name="process_resident_memory_bytes", kind="gauge", unit="bytes", meaning="Memory that is in use."),
    Declaration(name="process_virtual_memory_bytes", kind="gauge", unit="bytes", meaning="Memory that is addressed."),
    Declaration(
        name="process_start_time_seconds", kind="gauge", unit="seconds", meaning="When it began, since the epoch."
    ),
    Declaration(name="process_open_fds", kind="gauge", meaning="Files and sockets that are open."),
    Declaration(name="process_max_fds", kind="gauge", meaning="How many may be."),
)
_COLLECTOR: Final = (
    Declaration(
        name="python_gc_objects_collected_total", kind="counter", meaning="Objects that Python's collector freed.",
        labels=(_GENERATION,),
    ),
    Declaration(
        name="python_gc_objects_uncollectable_total", kind="counter", meaning="Objects that it found and cannot free.",
        labels=(_GENERATION,),
    ),
    Declaration(
        name="python_gc_collections_total", kind="counter", meaning="Times that it looked.", labels=(_GENERATION,)
    ),
)  # fmt: skip
_PYTHON: Final = Declaration(name="python_info", kind="gauge", meaning="Which Python runs.", labels=_PLATFORM)


class ReadingGauges:
    """How old the figures are that databases are asked for, and how promptly this process gets to its work."""

    def __init__(self, declare: Declarations) -> None:
        """Declare them."""
        self.age = declare.gauge(
            "reading_age_seconds", "How old the figures are that a database was asked for, by which.", _READING
        )
        self.failures = declare.counter(
            "reading_failures_total", "Times that such figures could not be read.", _READING
        )
        self.lag = declare.histogram(
            "event_loop_lag_seconds",
            "How much later than asked the event loop comes back: every request waits as long.",
        )


def declare_process(declare: Declarations) -> None:
    """Declare what every process has."""
    declare.note(*_PROCESS, _PYTHON, *_COLLECTOR)
    ProcessCollector(registry=declare.registry)
    PlatformCollector(registry=declare.registry)
    GCCollector(declare.registry)
