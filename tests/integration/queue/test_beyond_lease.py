"""A process shows what it carries out, and which of that has outlived its lease: another may hold it by then."""

import asyncio
from typing import Any

import pytest

from make_bridge.domain.executions import store
from make_bridge.domain.executions.worker import Machinery, Worker, WorkerConfig
from make_bridge.kernel.clock import SystemClock
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.queue import leases
from support.endings import make_place
from support.waiting import until_async

PATIENCE = 30.0
pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")


class Hanging:
    """Programs that never come."""

    def __init__(self):
        self.asked = asyncio.Event()

    async def get(self, *_):
        self.asked.set()
        await asyncio.Event().wait()


async def test_a_run_whose_lease_was_not_extended_in_time_shows_until_it_is(shards, monkeypatch):
    place, programs, unasked = await make_place(shards), Hanging(), None
    found: Any = programs
    nothing: Any = unasked
    machinery = Machinery(
        shards=Shards(shards.directory, {place.shard.number: place.shard}, SystemClock()),
        programs=found, performer=nothing, waiting=nothing, metrics=Metrics(), resuming=nothing, payloads=nothing,
        answers=nothing,
    )  # fmt: skip
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 0.2)
    worker = Worker(machinery, WorkerConfig(node="me", idle_poll=0.02, drain_patience=0.0))
    run = place.run(owner=None)
    await store.accept(place.shard, [run])
    await worker.start()
    async with asyncio.timeout(PATIENCE):
        await programs.asked.wait()
    assert (worker.running, worker.beyond_lease) == (1, 0)
    # As after a minute in which the database was away.
    worker._held[run.id].leased_at -= 60  # noqa: SLF001
    assert worker.beyond_lease == 1

    async def is_extended():
        return worker.beyond_lease == 0

    await until_async(is_extended, "the next beat extends it", within=PATIENCE)
    await worker.stop()
    assert worker.beyond_lease == 0
