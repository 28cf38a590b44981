"""Size and start: idle memory with the database, what an idle server costs in processor time, first and warm start.

Goals: idle at most 250 MB (proportional set size, database included) and 2 % of a core, ready within 3 s on a warm
start and 6 s on a first.
"""

import tempfile
import time
from pathlib import Path

from benchmarks.report import Report
from benchmarks.subject import serving

_SETTLING_SECONDS = 5.0
_IDLE_SECONDS = 30.0


def run(report: Report) -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory(prefix="make-bridge-bench-") as folder:
        data_dir = Path(folder) / "data"
        with serving(data_dir) as first:
            first_start = first.ready_seconds
        with serving(data_dir) as warm:
            warm_start = warm.ready_seconds
            time.sleep(_SETTLING_SECONDS)  # what a start leaves behind is over by then
            before, began = warm.cpu_seconds(), time.monotonic()
            database_before = warm.database_cpu_seconds()
            time.sleep(_IDLE_SECONDS)  # idle is what is measured
            seconds = time.monotonic() - began
            idle = (warm.cpu_seconds() - before) / seconds
            database_idle = (warm.database_cpu_seconds() - database_before) / seconds
            memory = warm.pss_megabytes()
    report.goal("first start (s)", first_start, at_most=6.0)
    report.goal("warm start (s)", warm_start, at_most=3.0)
    report.goal("idle memory with database (MB)", memory, at_most=250.0)
    report.goal("idle server (% of a core)", 100 * idle, at_most=2.0)
    report.line("idle database (% of a core)", f"{100 * database_idle:.2f}")
