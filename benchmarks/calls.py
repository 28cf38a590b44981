"""The full scenario: webhook → variables → router → HTTP call with journal → respond, every execution stored.

Goals, on two cores with client, target and database on them: at least 500 a second, and p99 at most 150 ms at half of
that. For orientation, the same flow without a journal: n8n 2.41 18/s (30/s with its older expression engine), Node-RED
5, which stores nothing, 1 300 to 1 400/s. The call is a POST, so its intent and its result are each committed.
"""

from typing import Any

from benchmarks.report import Report
from benchmarks.subject import ROUTED, TRIGGER, serving
from benchmarks.target import answering

_REQUESTS = 5_000
_CONNECTIONS = 64
_GOAL = 500.0


def run(report: Report) -> None:
    """Measure and report."""
    with answering() as url, serving(egress_allow="127.0.0.1") as subject:
        path = subject.hook(calling(url))
        subject.load(path, requests=1_000, connections=_CONNECTIONS)
        rounds = []
        for _ in range(3):
            cpu = subject.cpu_seconds()
            result = subject.load(path, requests=_REQUESTS, connections=_CONNECTIONS)
            rounds.append((result.per_second, result.p99, (subject.cpu_seconds() - cpu) / _REQUESTS * 1e6))
            assert result.failed == 0, result
        per_second, p99, cost = sorted(rounds)[1]
        paced = subject.load(path, requests=2_500, connections=_CONNECTIONS, rate=_GOAL / 2)
        assert paced.failed == 0, paced
    report.line("p99 at full load", f"{p99:.0f} ms")
    report.line("server process, CPU per execution", f"{cost:.0f} µs")
    report.goal("full scenarios per second", per_second, at_least=_GOAL)
    report.goal(f"p99 at {_GOAL / 2:.0f}/s (ms)", paced.p99, at_most=150.0)


def calling(url: str) -> dict[str, Any]:
    """Return the routed scenario with a POST before each of its two answers."""
    _, variables, router = ROUTED["flow"]
    routes = [
        {"flow": [{**_call(10 + number, url), "filter": respond["filter"]}, {**respond, "filter": None}]}
        for number, respond in enumerate(route["flow"][0] for route in router["routes"])
    ]
    return {**ROUTED, "name": "Full scenario", "flow": [TRIGGER, variables, {**router, "routes": routes}]}


def _call(module_id: int, url: str) -> dict[str, Any]:
    return {
        "id": module_id,
        "module": "http:ActionSendData",
        "version": 3,
        "parameters": {"handleErrors": True},
        "mapper": {
            "url": url,
            "method": "post",
            "headers": [],
            "bodyType": "raw",
            "contentType": "application/json",
            "data": '{"total": {{2.total}}}',
            "parseResponse": True,
            "timeout": 30,
        },
    }
