"""Accepting webhooks: what HTTP costs over the bare group commit, and what group commit wins.

Goals: HTTP acceptance at least half of the bare loop, and at least twice one insert per request, in
one run, client included; p99 at most 50 ms at 200 per second. All three write execution, payload and
queue row (or outcome) through the role under row-level security, with ``synchronous_commit=on``.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from benchmarks.report import Report
from benchmarks.subject import ACCEPT_ONLY, Subject, serving
from make_bridge.boot import open_domain
from make_bridge.domain.executions import store
from make_bridge.domain.executions.model import NewRun
from make_bridge.kernel.ids import OrganizationId, ScenarioId, TeamId, new_execution_id
from make_bridge.platform.queue.group_commit import GroupCommit
from make_bridge.settings import load_settings

_REQUESTS = 8_000
_CONNECTIONS = 64
_PACED = 2_000


def run(report: Report) -> None:
    """Measure and report."""
    with serving() as subject:
        path = subject.hook(ACCEPT_ONLY)
        subject.load(path, requests=1_000, connections=_CONNECTIONS)
        rounds = [_round(subject, path) for _ in range(3)]
        http, grouped, single = (sorted(figures)[1] for figures in zip(*rounds, strict=True))
        paced = subject.load(path, requests=_PACED, connections=_CONNECTIONS, rate=200)
    report.line("bare group commit", f"{grouped:.0f}/s")
    report.line("one insert per request", f"{single:.0f}/s")
    report.line("over HTTP, client included", f"{http:.0f}/s")
    report.goal("HTTP / bare group commit", http / grouped, at_least=0.5)
    report.goal("HTTP / one insert per request", http / single, at_least=2.0)
    report.goal("p99 at 200/s (ms)", paced.p99, at_most=50.0)


def _round(subject: Subject, path: str) -> tuple[float, float, float]:
    http = subject.load(path, requests=_REQUESTS, connections=_CONNECTIONS)
    assert http.failed == 0, http
    grouped = uvloop.run(_write(subject.data_dir, largest=500, requests=_REQUESTS))
    single = uvloop.run(_write(subject.data_dir, largest=1, requests=_REQUESTS // 4))
    return http.per_second, grouped, single


async def _write(data_dir: Path, *, largest: int, requests: int) -> float:
    """Return how many runs per second the writer stores, called by 64 tasks, with batches of at most ``largest``."""
    async with AsyncExitStack() as stack:
        domain = await open_domain(stack, load_settings(None, {"data_dir": data_dir}), lambda _: None, join=True)
        shard = domain.shards.all()[0]

        async def flush(runs: Sequence[NewRun]) -> list[None]:
            await store.accept(shard, runs)
            return [None] * len(runs)

        writers = [GroupCommit(flush, largest=largest) for _ in range(_writers(largest))]
        left = requests

        async def caller(number: int) -> None:
            nonlocal left
            while left > 0:
                left -= 1
                await writers[number % len(writers)].submit(_run())

        began = time.perf_counter()
        await asyncio.gather(*(caller(number) for number in range(_CONNECTIONS)))
        elapsed = time.perf_counter() - began
        async with shard.engine_write() as tx:
            await tx.execute("DELETE FROM shard.queue WHERE lease_owner = 'benchmark'")
        return requests / elapsed


def _writers(largest: int) -> int:
    """One insert per request uses as many connections as a pool gives; group commit needs one."""
    return 8 if largest == 1 else 1


def _run() -> NewRun:
    return NewRun(
        id=new_execution_id(),
        organization_id=OrganizationId(1024),
        team_id=TeamId(1024),
        scenario_id=ScenarioId(1024),
        blueprint_version=1,
        origin="webhook",
        seed=1,
        head=b'{"method":"POST","query":"","content_type":"application/json","headers":[],"inputs":null}',
        body=b"x" * 250,
        owner="benchmark",
    )
