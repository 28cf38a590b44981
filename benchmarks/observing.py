"""Being watched: what webhooks lose where a tenth of the traces is kept, lines are logged and the counters are read.

In one run, alternately: a server that logs errors only, exports nothing and is asked for nothing; and one that keeps
every tenth trace, exports it to a collector on this machine, logs as it does by default, and whose counters are read
every second. Goal: at least 80 % of the throughput. What the collector costs is on the same two cores.
"""

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.load import LoadResult
from benchmarks.report import Report
from benchmarks.subject import ACCEPT_ONLY, PORT, ROUTED, serving
from benchmarks.target import answering

_REQUESTS, _WARM = 6_000, 1_000
_CONNECTIONS = 64
_ROUNDS = 2
_SCRAPE_SECONDS = 1.0
_SCENARIOS = {"accepted": ACCEPT_ONLY, "run": ROUTED}
_OFF = {"log_level": "error"}


def run(report: Report) -> None:
    """Measure and report."""
    with answering() as collector:
        watched = {"otlp_endpoint": collector.rstrip("/"), "trace_sample": "0.1", "log_level": "info"}
        rounds = [(_round(_OFF, is_scraped=False), _round(watched, is_scraped=True)) for _ in range(_ROUNDS)]
    for name in _SCENARIOS:
        off, on = (sorted(pair[side][name] for pair in rounds)[_ROUNDS // 2] for side in (0, 1))
        report.line(f"{name}: unwatched, watched", f"{off[0]:.0f}/s, {on[0]:.0f}/s")
        report.line(f"{name}: server CPU each", f"{off[1]:.0f} µs, {on[1]:.0f} µs")
        report.goal(f"{name}: watched / unwatched", on[0] / off[0], at_least=0.8)


def _round(settings: dict[str, str], *, is_scraped: bool) -> dict[str, tuple[float, float]]:
    """Return throughput and processor time in µs of a webhook, by scenario."""
    figures = {}
    with serving(None, **settings) as subject, _scraping(is_scraped=is_scraped):
        for name, blueprint in _SCENARIOS.items():
            path = subject.hook(blueprint)
            subject.load(path, requests=_WARM, connections=_CONNECTIONS)
            before = subject.cpu_seconds()
            load: LoadResult = subject.load(path, requests=_REQUESTS, connections=_CONNECTIONS)
            assert load.failed == 0, load
            figures[name] = (load.per_second, (subject.cpu_seconds() - before) / _REQUESTS * 1e6)
    return figures


@contextmanager
def _scraping(*, is_scraped: bool) -> Iterator[None]:
    """Read the counters every second, as a server that watches does."""
    is_over = threading.Event()

    def scrape() -> None:
        while not is_over.wait(_SCRAPE_SECONDS):
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=5) as page:
                page.read()

    thread = threading.Thread(target=scrape, daemon=True)
    if is_scraped:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        if is_scraped:
            thread.join()
