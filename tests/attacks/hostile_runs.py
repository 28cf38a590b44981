"""Whole scenarios that try to hurt, run in a process of its own by `test_expressions.py`.

Each is carried out as a worker does it, beside a neighbour on the same loop who only wants a turn now and then. As a
script it prints, as JSON, for each: how it ended, its processor time, the neighbour's longest wait (in processor time,
so that a busy machine does not count), and the growth of the process's peak memory. The process may not take more
memory or time than its limits: a bomb that goes off ends it.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from make_bridge.engine.ports import Ports
from make_bridge.engine.runner.request import RunLimits
from make_bridge.engine.runner.run import run
from support.blueprints import aggregator, feeder, module, program, request, router, webhook, when

Json = dict[str, Any]
MEMORY = 1536 * 1024 * 1024
SECONDS = 60
# The worker's pace; the run's own sum of work is cut down, for one case may not take the time of all.
LIMITS = RunLimits(pause_every=50, run_expression_steps=300_000)
WIDE = "1.i" + " + 1" * 16_000
REPEATED = module(1, "builtin:BasicRepeater", {"start": 1, "repeats": 10_000, "step": 1})
TEN = [{"text": "x" * 100_000, "n": n} for n in range(10)]


def composed(number: int, value: object, **rest: Any) -> Json:
    return module(number, "util:ComposeTransformer", {"value": value}, **rest)


def scenarios() -> Iterator[tuple[str, tuple[Json, ...], Json]]:
    """Name, flow and the webhook's bundle."""
    slow = '{{length(replace(1.many + 1.i; "/a(.*b)?/g"; ""))}}'
    yield "sums of thousands of operands", (REPEATED, composed(2, "{{" + WIDE + "}}")), {}
    yield "a filter of wide sums", (REPEATED, composed(2, "x", filter=when("{{" + WIDE + "}}", "number:less", "0"))), {}
    patterns = composed(3, slow.replace("1.i", "2.i"))
    repeated = module(2, "builtin:BasicRepeater", {"start": 1, "repeats": 10_000, "step": 1})
    yield "patterns that look ahead", (webhook(), repeated, patterns), {"many": "a" * 3_000}
    backtracks = when("{{1.many}}", "text:pattern", "(a+)+$")
    yield "a filter that backtracks", (webhook(), repeated, composed(3, "x", filter=backtracks)), {"many": "a" * 60_000}
    yield "one mapper of many templates", (webhook(), composed(2, ["{{upper(1.big)}}"] * 5_000)), {"big": "é" * 50_000}
    doubling = [composed(n, f"{{{{{n - 1}.value}}}}{{{{{n - 1}.value}}}}") for n in range(3, 60)]
    yield "doubling from module to module", (webhook(), composed(2, "{{1.big}}"), *doubling), {"big": "x" * 1_000}
    hoard = (webhook(), feeder(2, "{{1.items}}"), module(3, "builtin:BasicRepeater", {"repeats": 10_000}))
    yield "an aggregator that hoards", (*hoard, aggregator(4, 2, {"text": "{{2.value.text}}{{3.i}}"})), {"items": TEN}
    long = when("{{1.big}}", "text:contain:ci", "{{1.other}}")
    comparing = (webhook(), repeated, composed(3, "x", filter=long))
    yield "a filter that compares megabytes", comparing, {"big": "É" * 2_000_000, "other": "é" * 1_000_000}
    members = when("{{1.list}}", "array:contain:ci", "nobody")
    yield (
        "a filter over many members",
        (webhook(), repeated, composed(3, "x", filter=members)),
        {"list": ["É"] * 50_000},
    )
    nested = module(2, "builtin:BasicRepeater", {"start": 1, "repeats": 10_000, "step": 1})
    never = when("{{2.i}}", "number:less", "0")
    yield "loops in loops that do nothing", (REPEATED, nested, composed(3, "x", filter=never)), {}
    route = composed(9, "{{1.i" + " + 1" * 1_000 + "}}")
    yield "many routes", (REPEATED, router(2, *[[route | {"id": n}] for n in range(10, 60)])), {}


async def neighbour(waits: list[float], stopped: asyncio.Event) -> None:
    """Ask for a turn again and again."""
    last = time.process_time()
    while not stopped.is_set():
        await asyncio.sleep(0)
        now = time.process_time()
        waits.append(now - last)
        last = now


async def fate_of(flow: tuple[Json, ...], bundle: Json) -> Json:
    compiled = program(*flow)
    peak, waits, stopped = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, [0.0], asyncio.Event()
    beside = asyncio.create_task(neighbour(waits, stopped))
    await asyncio.sleep(0)
    began = time.process_time()
    result = await run(compiled, request(bundle, limits=LIMITS), Ports(sleeper=asyncio))
    seconds = time.process_time() - began
    stopped.set()
    await beside
    return {
        "status": result.status,
        "error": result.error and result.error.message,
        "unexpected": [repr(error) for error in result.unexpected],
        "seconds": seconds,
        "longest_wait": max(waits),
        "grown_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak,
    }


async def report() -> Json:
    return {name: await fate_of(flow, bundle) for name, flow, bundle in scenarios()}


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    json.dump(asyncio.run(report()), sys.stdout)
