"""The page of metrics: what a scrape takes of a server with a thousand organizations, and while its database hangs.

Every route of the APIs was called before, so the page is as long as it gets. Goal: 99 of 100 scrapes within 50 ms, also
while PostgreSQL answers nobody: the page asks no database.
"""

import asyncio
import http.client
import json
import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from benchmarks.report import Report
from benchmarks.subject import PORT, serving
from make_bridge.boot import open_domain
from make_bridge.domain.organizations.messages import NewOrganization
from make_bridge.services.description import described_bridge
from make_bridge.settings import load_settings

_ORGANIZATIONS = 1_000
_SCENARIOS = 10
_SCRAPES = 300
_LOOK_SECONDS = "0.5"
_MAKE = """
INSERT INTO shard.scenarios (organization_id, team_id, name, state, used_packages, scheduling, interface)
SELECT %s, %s, 'Scenario', 'active', '{}', '{}', '{}' FROM generate_series(1, %s)
"""
_METHODS = {"get", "post", "put", "patch", "delete"}


def run(report: Report) -> None:
    """Measure and report."""
    with serving(metrics_look_seconds=_LOOK_SECONDS) as subject:
        asyncio.run(_fill(subject.data_dir))
        _call_every_route()
        page = _page_with(f"active_scenarios_total {_ORGANIZATIONS * _SCENARIOS}.0")
        series = sum(not line.startswith("#") for line in page.splitlines())
        report.line("series, bytes", f"{series}, {len(page)}")
        usual = _scrape()
        report.line("p50 (ms)", f"{_share(usual, 0.5):.1f}")
        report.goal("p99 (ms)", _share(usual, 0.99), at_most=50.0)
        with _hanging(subject.process.pid):
            alone = _scrape()
        report.line("p50 while the database hangs (ms)", f"{_share(alone, 0.5):.1f}")
        report.goal("p99 while the database hangs (ms)", _share(alone, 0.99), at_most=50.0)


async def _fill(data_dir: Path) -> None:
    async with AsyncExitStack() as stack:
        domain = await open_domain(stack, load_settings(None, {"data_dir": data_dir}), lambda _: None, join=True)
        for number in range(_ORGANIZATIONS):
            made = await domain.service.create(NewOrganization(name=f"Benchmark {number}"))
            shard = await domain.shards.of(made.organization_id)
            async with shard.write(made.organization_id) as tx:
                await tx.execute(_MAKE, (made.organization_id, made.team_id, _SCENARIOS))


def _call_every_route() -> None:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10)
    for path, methods in described_bridge()["paths"].items():
        for method in _METHODS & methods.keys():
            body = json.dumps({}) if method != "get" else None
            address = re.sub(r"\{[^}]*\}", "1", path)
            connection.request(method.upper(), address, body, {"Content-Type": "application/json"})
            connection.getresponse().read()


def _page_with(line: str) -> str:
    deadline = time.perf_counter() + 30
    while time.perf_counter() < deadline:
        page = _get(http.client.HTTPConnection("127.0.0.1", PORT, timeout=10))
        if f"\n{line}\n" in page:
            return page
        time.sleep(0.1)
    raise RuntimeError(f"the page never said {line}")


def _get(connection: http.client.HTTPConnection) -> str:
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    page = answer.read().decode()
    if answer.status != 200:
        raise RuntimeError(f"the page of metrics was answered with {answer.status}")
    return page


def _scrape() -> list[float]:
    """Return the milliseconds that each scrape took."""
    connection, took = http.client.HTTPConnection("127.0.0.1", PORT, timeout=10), []
    for _ in range(_SCRAPES):
        began = time.perf_counter()
        _get(connection)
        took.append((time.perf_counter() - began) * 1e3)
        time.sleep(0.01)
    return sorted(took)


def _share(took: Sequence[float], share: float) -> float:
    return took[int(share * (len(took) - 1))]


@contextmanager
def _hanging(server: int) -> Iterator[None]:
    """Stop every process of the embedded database, which then neither answers nor closes a connection."""
    stopped = [pid for pid in _below(server) if _name(pid).startswith("postgres")]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def _below(parent: int) -> Iterator[int]:
    for task in Path(f"/proc/{parent}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield int(child)
            yield from _below(int(child))


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text()
