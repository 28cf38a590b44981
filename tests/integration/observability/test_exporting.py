"""The exporter before a collector that is well, and before one that is not: nobody waits, and every span is counted."""

import asyncio
import resource
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from make_bridge.kernel.entropy import random_hex
from make_bridge.platform.observability.metrics import Declarations
from make_bridge.platform.observability.metrics.traces import LOSSES, TraceCounters
from make_bridge.platform.observability.tracing.config import ExportConfig
from make_bridge.platform.observability.tracing.encoding import Encoder
from make_bridge.platform.observability.tracing.exporting import Exporter
from make_bridge.platform.observability.tracing.tracer import TraceRules, Tracing
from support.collector import Collector, Mood, collecting
from support.waiting import until_async

WITHIN = 20.0
SECRET = "collector-secret-3f1a"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


class Stage:
    """An exporter, with whoever begins traces before it."""

    def __init__(self, **config: object) -> None:
        declared = Declarations()
        self.registry = declared.registry
        self.counters = TraceCounters(declared)
        settings = ExportConfig(**{"every": 0.05, "deadline": 0.5, **config})  # type: ignore[arg-type]
        self.exporter = Exporter(settings, Encoder({"service.name": "make-bridge"}), self.counters)
        self.tracing = Tracing(TraceRules(share=1.0), self.exporter.offer)

    def spans(self, count: int) -> float:
        """End so many spans, and return the longest time that one took."""
        worst = 0.0
        for _ in range(count):
            began = time.perf_counter()
            with self.tracing.request(random_hex(16), []):
                pass
            worst = max(worst, time.perf_counter() - began)
        return worst

    def count(self, name: str, **labels: str) -> int:
        return int(self.registry.get_sample_value(f"trace_spans_{name}", labels) or 0)

    def lost(self) -> dict[str, int]:
        counts = {reason: self.count("dropped_total", reason=reason) for reason in LOSSES}
        return {reason: count for reason, count in counts.items() if count}

    @property
    def exported(self) -> int:
        return self.count("exported_total")

    async def settled(self, spans: int) -> None:
        async def is_settled() -> bool:
            return self.exported + sum(self.lost().values()) == spans

        await until_async(is_settled, f"{spans} spans are accounted for", within=WITHIN)


@asynccontextmanager
async def exporting(url: str, **config: object) -> AsyncIterator[Stage]:
    stage = Stage(url=f"{url}/v1/traces", **config)
    stage.exporter.start()
    try:
        yield stage
    finally:
        await stage.exporter.close()
    assert not any(thread.name == "span-export" for thread in threading.enumerate())


async def test_spans_arrive_in_batches_with_the_operators_headers(collector: Collector) -> None:
    async with exporting(collector.url, batch=100, headers=(("authorization", f"Bearer {SECRET}"),)) as stage:
        stage.spans(250)
        await stage.settled(250)
    assert (stage.exported, stage.lost(), len(collector.spans)) == (250, {}, 250)
    assert max(collector.exports) <= 100
    assert {headers["authorization"] for headers in collector.headers} == {f"Bearer {SECRET}"}


async def test_what_waits_is_sent_at_the_end(collector: Collector) -> None:
    async with exporting(collector.url, every=60.0) as stage:
        stage.spans(30)
    assert (stage.exported, len(collector.spans)) == (30, 30)


async def test_a_full_batch_waits_for_nobody(collector: Collector) -> None:
    async with exporting(collector.url, every=60.0, batch=50) as stage:
        stage.spans(50)
        await stage.settled(50)
        assert stage.count("waiting") == 0
    assert stage.exported == 50


async def test_what_a_collector_refuses_of_a_batch_is_counted(collector: Collector) -> None:
    collector.mood = "partly"
    async with exporting(collector.url) as stage:
        stage.spans(10)
        await stage.settled(10)
    assert (stage.exported, stage.lost()) == (9, {"refused": 1})


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("refuses", "refused"),
        ("later", "refused"),
        ("redirects", "refused"),
        ("rubbish", "unreadable"),
        ("other type", "unreadable"),
        ("endless", "unreadable"),
        ("hangs", "unreachable"),
        ("drips", "unreachable"),
        ("breaks", "unreachable"),
    ],
)
async def test_a_collector_that_is_unwell_costs_its_spans_and_nothing_else(
    collector: Collector, mood: Mood, reason: str
) -> None:
    collector.mood = mood
    async with exporting(collector.url) as stage:
        stage.spans(20)
        await stage.settled(20)
        assert (stage.exported, stage.lost()) == (0, {reason: 20})
        collector.mood = "takes"
        stage.spans(5)
        await stage.settled(25)
    assert (stage.exported, len(collector.spans)) == (5, 5)
    assert collector.exports == [5]


async def test_nobody_listens_and_later_somebody_does(collector: Collector) -> None:
    collector.stop()
    async with exporting(collector.url) as stage:
        stage.spans(20)
        await stage.settled(20)
        assert stage.lost() == {"unreachable": 20}
        collector.start()
        stage.spans(5)
        await stage.settled(25)
    assert stage.exported == 5


async def test_what_finds_the_queue_full_is_dropped_at_once_and_memory_stays(collector: Collector) -> None:
    collector.mood = "hangs"
    async with exporting(collector.url, most_waiting=500, batch=100, deadline=2.0) as stage:
        stage.spans(2000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        stage.spans(50_000)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert stage.count("waiting") <= 600
    assert grown < 8 * 1024
    assert stage.exported == 0
    lost = stage.lost()
    assert sum(lost.values()) == 52_000
    assert lost["full"] >= 51_000


async def test_the_end_is_bounded_however_slow_the_collector_is(collector: Collector) -> None:
    collector.mood = "hangs"
    stage = Stage(url=f"{collector.url}/v1/traces", deadline=0.5, batch=10)
    stage.exporter.start()
    stage.spans(500)
    began = asyncio.get_running_loop().time()
    await stage.exporter.close()
    assert asyncio.get_running_loop().time() - began < 5
    assert stage.exported + sum(stage.lost().values()) == 500
    assert stage.lost()["closing"] > 0


async def test_the_loop_that_serves_is_not_held_up(collector: Collector) -> None:
    collector.mood = "drips"
    async with exporting(collector.url) as stage:
        stage.spans(100)
        assert stage.spans(20_000) < 0.5


def test_the_headers_are_told_to_nobody() -> None:
    config = ExportConfig(url="http://a", headers=(("authorization", SECRET),))
    assert SECRET not in repr(config)
