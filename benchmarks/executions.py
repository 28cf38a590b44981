"""Webhook → set variables → router → respond, every execution stored.

Goal: at least 1 000 executions a second on two cores, client and database included. For orientation,
the same flow on the machine of the first figures: n8n 2.41 19/s (48/s with its older expression
engine), an Express service written by hand 2 400/s, Node-RED 5, which stores nothing, 3 100 to 4 000/s.
"""

from benchmarks.report import Report
from benchmarks.subject import ROUTED, serving

_REQUESTS = 10_000
_CONNECTIONS = 64


def run(report: Report) -> None:
    """Measure and report."""
    with serving() as subject:
        path = subject.hook(ROUTED)
        subject.load(path, requests=2_000, connections=_CONNECTIONS)
        rounds = []
        for _ in range(3):
            cpu = subject.cpu_seconds()
            result = subject.load(path, requests=_REQUESTS, connections=_CONNECTIONS)
            rounds.append((result.per_second, result.p99, (subject.cpu_seconds() - cpu) / _REQUESTS * 1e6))
            assert result.failed == 0, result
        per_second, p99, cost = sorted(rounds)[1]
    report.line("p99 at full load", f"{p99:.0f} ms")
    report.line("server process, CPU per execution", f"{cost:.0f} µs")
    report.goal("executions per second", per_second, at_least=1_000.0)
