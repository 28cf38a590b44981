"""Size and start: idle memory with the database, first start, warm start.

Goals: idle at most 250 MB (proportional set size, database included), ready within 3 s on a warm
start and 6 s on a first.
"""

import tempfile
import time
from pathlib import Path

from benchmarks.report import Report
from benchmarks.subject import serving


def run(report: Report) -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory(prefix="make-bridge-bench-") as folder:
        data_dir = Path(folder) / "data"
        with serving(data_dir) as first:
            first_start = first.ready_seconds
        with serving(data_dir) as warm:
            warm_start = warm.ready_seconds
            time.sleep(5)  # idle is what is measured
            memory = warm.pss_megabytes()
    report.goal("first start (s)", first_start, at_most=6.0)
    report.goal("warm start (s)", warm_start, at_most=3.0)
    report.goal("idle memory with database (MB)", memory, at_most=250.0)
