"""Bundles: what a loop costs, how the cost grows, and that a stream stays flat in memory.

Goals: 1 000 bundles through iterator, transformation and aggregator in at most 30 ms (Node-RED 31 to
33 ms, n8n 280 ms and more); the cost per bundle the same at 10 000 as at 1 000; 10 000 bundles without
an aggregator in no more memory than 1 000 need (without what the log may keep, which has its own bound).
"""

import asyncio
import time
import tracemalloc
from datetime import UTC, datetime
from typing import Any

from benchmarks.report import Report
from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.compile import compile_blueprint
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.blueprint.program import Program
from make_bridge.engine.ports import Ports
from make_bridge.engine.runner.request import RunLimits, RunRequest
from make_bridge.engine.runner.run import run as run_program
from make_bridge.engine.values import Value

_SIZES = (100, 1_000, 10_000)
_REPEATS = 7
_LIMITS = RunLimits(logged_steps=1_000)


def _module(number: int, name: str, mapper: object, parameters: dict[str, int] | None = None) -> dict[str, Any]:
    return {"id": number, "module": name, "version": 1, "parameters": parameters or {}, "mapper": mapper}


_LOOP = [
    _module(1, "gateway:CustomWebHook", {}, parameters={"hook": 1}),
    _module(2, "builtin:BasicFeeder", {"array": "{{1.rows}}"}),
    _module(
        3,
        "util:SetVariables",
        {
            "scope": "roundtrip",
            "variables": [
                {"name": "title", "value": "{{upper(2.name)}} ({{2.sku}})"},
                {"name": "total", "value": "{{2.price * 2.qty}}"},
            ],
        },
    ),
]
_AGGREGATE = _module(
    4, "builtin:BasicAggregator", {"title": "{{3.title}}", "total": "{{3.total}}"}, parameters={"feeder": 2}
)


def run(report: Report) -> None:
    """Measure and report."""
    aggregating = _program([*_LOOP, _AGGREGATE])
    times = {size: _seconds(aggregating, size) for size in _SIZES}
    for size, seconds in times.items():
        report.line(f"{size} bundles", f"{seconds * 1000:.1f} ms, {seconds / size * 1e6:.1f} µs a bundle")
    report.goal("1 000 bundles, aggregated (ms)", times[1_000] * 1000, at_most=30.0)
    growth = (times[10_000] / 10_000) / (times[1_000] / 1_000)
    report.goal("cost per bundle, 10 000 / 1 000", growth, at_most=1.5)
    streaming = _program(_LOOP)
    small, large = (_peak(streaming, size) for size in (1_000, 10_000))
    report.line("memory of a stream", f"{small / 1024:.0f} KiB for 1 000, {large / 1024:.0f} KiB for 10 000")
    report.goal("memory of a stream, 10 000 / 1 000", large / small, at_most=1.5)


def _program(flow: list[dict[str, Any]]) -> Program:
    return compile_blueprint(parse_blueprint({"name": "Loop", "flow": flow, "metadata": {"version": 1}}), CATALOGUE)


def _request(size: int, limits: RunLimits = _LIMITS) -> RunRequest:
    rows: list[Value] = [{"sku": f"SKU-{n}", "name": f"item {n}", "price": 1.5 * n, "qty": n % 7} for n in range(size)]
    return RunRequest(
        execution_id="0" * 32,
        organization_id=1,
        team_id=1,
        scenario_id=1,
        scenario_name="Loop",
        trigger_bundles=[{"rows": rows}],
        started_at=datetime(2026, 3, 31, tzinfo=UTC),
        seed=1,
        limits=limits,
    )


def _seconds(program: Program, size: int) -> float:
    request, best = _request(size), float("inf")
    for _ in range(_REPEATS):
        began = time.perf_counter()
        result = asyncio.run(run_program(program, request, Ports()))
        best = min(best, time.perf_counter() - began)
        assert result.status == "success", result.error
    return best


def _peak(program: Program, size: int) -> int:
    """Return the most memory the run itself took, without the data it was given."""
    request = _request(size, RunLimits(logged_steps=100, logged_bytes=0))
    asyncio.run(run_program(program, request, Ports()))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        asyncio.run(run_program(program, request, Ports()))
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
