"""The collector of traces is gone, hangs, refuses or answers rubbish: who serves notices nothing; every span counts.

Everything is sampled and the queue is small, so that it overflows at once. Webhooks are answered all the same, what is
lost is counted by why, memory stays, and the server ends in time.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg
import pytest

from faults.scene import Scene, build_scene, tell
from support.collector import Collector, Mood, collecting
from support.server import Installation, ServerProcess, installed
from support.target import Target, serving_target
from support.waiting import until

CALLS, AT_ONCE = 600, 8
QUEUE, BATCH = 300, 50
EXPORT_SECONDS = 1.0
# Beside what a server takes to end anyway, one export and one farewell.
ENDS_WITHIN = 15.0
GROWS_MB = 40.0
WITHIN = 30.0

pytestmark = pytest.mark.timeout(240)


@dataclass(slots=True, kw_only=True)
class Stage:
    """A server that exports everything, and the collector it exports to."""

    installation: Installation
    server: ServerProcess
    scene: Scene
    target: Target
    collector: Collector

    def call(self, number: int) -> int:
        connected = self.scene.slow if number % 4 == 0 else self.scene.quick
        return connected.call_hook({"op": f"op {number}", "url": self.target.url}).status

    def call_all(self) -> list[int]:
        with ThreadPoolExecutor(AT_ONCE) as callers:
            return list(callers.map(self.call, range(CALLS)))

    def dropped(self, reason: str | None = None) -> float:
        labels = {} if reason is None else {"reason": reason}
        return self.server.metric("trace_spans_dropped_total", **labels)

    def megabytes(self) -> float:
        assert self.server.process is not None
        pages = int(Path(f"/proc/{self.server.process.pid}/statm").read_text().split()[1])
        return pages * 4096 / 1e6

    def executions(self) -> int:
        with psycopg.connect(self.installation.shard_dsn) as connection:
            found = connection.execute("SELECT count(*) FROM shard.outcomes").fetchone()
        return 0 if found is None else found[0]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with collecting() as collector, serving_target() as target:
        settings = {
            "EGRESS_ALLOW": "127.0.0.1",
            "OTLP_ENDPOINT": collector.url,
            "TRACE_SAMPLE": "1",
            "TRACE_QUEUE": str(QUEUE),
            "TRACE_BATCH": str(BATCH),
            "TRACE_EVERY_SECONDS": "0.1",
            "TRACE_EXPORT_SECONDS": str(EXPORT_SECONDS),
        }
        with installed("embedded", tmp_path / "w", None, **settings) as installation:
            server = installation.server().start()
            scene = build_scene(installation, server.url)
            yield Stage(
                installation=installation, server=server, scene=scene, target=target, collector=collector
            )  # fmt: skip


@pytest.mark.parametrize("mood", ["gone", "hangs", "drips", "refuses", "later", "rubbish", "endless", "breaks"])
def test_an_unwell_collector_fails_no_request_and_every_span_is_counted(
    stage: Stage, mood: Mood | Literal["gone"], record_property: Callable[[str, object], None]
) -> None:
    if mood == "gone":
        stage.collector.stop()
    else:
        stage.collector.mood = mood
    stage.call_all()
    before = stage.megabytes()
    statuses = stage.call_all()
    grown = stage.megabytes() - before
    assert statuses == [200] * CALLS
    until(lambda: stage.executions() == 2 * CALLS, "every webhook has its outcome", within=WITHIN)
    dropped, waiting = stage.dropped(), stage.server.metric("trace_spans_waiting")
    record_property("dropped", dropped)
    tell(f"{mood}: {dropped:.0f} spans dropped, {stage.dropped('full'):.0f} for want of room, {grown:+.1f} MB")
    assert waiting <= QUEUE + BATCH
    # A webhook has four spans and more, and all of them were kept.
    assert dropped + waiting >= 2 * CALLS * 4
    assert grown < GROWS_MB
    began = time.monotonic()
    assert stage.server.end() is None
    assert time.monotonic() - began < ENDS_WITHIN


def test_a_collector_that_comes_back_is_sent_to_again(stage: Stage) -> None:
    stage.collector.stop()
    assert set(stage.call_all()) == {200}
    until(lambda: stage.dropped("unreachable") > 0, "a batch is given up", within=WITHIN)
    stage.collector.start()
    exported = stage.server.metric("trace_spans_exported_total")
    until(lambda: stage.call(1) == 200 and stage.collector.spans, "spans arrive again", within=WITHIN)
    until(lambda: stage.server.metric("trace_spans_exported_total") > exported, "they are counted", within=WITHIN)
