"""A noisy neighbour: what one team's flood does to the others.

Ten teams send the same load twice: evenly spread, and with one of them sending 60 % of it. What counts is the p99 of
the other nine. Their executions call out, so each goes through queue, lease and journal. Goal: at most a fifth more;
the median of five pairs, each pair measured side by side.
"""

import statistics
from concurrent.futures import ThreadPoolExecutor

from benchmarks.calls import calling
from benchmarks.report import Report
from benchmarks.subject import Subject, serving
from benchmarks.target import answering

_TEAMS = 10
_RATE = 300
_SECONDS = 8
_PAIRS = 5
_CONNECTIONS = 45


def run(report: Report) -> None:
    """Measure and report."""
    with answering() as url, serving(egress_allow="127.0.0.1") as subject:
        paths = [subject.hook(calling(url)) for _ in range(_TEAMS)]
        subject.load(",".join(paths), requests=1_000, connections=_CONNECTIONS)
        pairs = [(_others_p99(subject, paths, 1 / _TEAMS), _others_p99(subject, paths, 0.6)) for _ in range(_PAIRS)]
    even, noisy = sorted(pairs, key=lambda pair: pair[1] / pair[0])[_PAIRS // 2]
    report.line(f"p99 of nine teams, {_RATE}/s evenly spread", f"{even:.1f} ms")
    report.line("p99 of nine teams, the tenth sends 60 %", f"{noisy:.1f} ms")
    report.goal("noisy / even", statistics.median(noisy / even for even, noisy in pairs), at_most=1.2)


def _others_p99(subject: Subject, paths: list[str], share: float) -> float:
    """Let the first team send its share of the load; return the p99 of the others in milliseconds."""
    loads = [(paths[:1], share), (paths[1:], 1 - share)]
    with ThreadPoolExecutor(len(loads)) as threads:
        _, others = threads.map(lambda load: _send(subject, *load), loads)
    return others


def _send(subject: Subject, paths: list[str], share: float) -> float:
    rate = _RATE * share
    sent = subject.load(",".join(paths), requests=int(rate * _SECONDS), connections=_CONNECTIONS, rate=rate)
    assert sent.failed == 0, sent
    return sent.p99
