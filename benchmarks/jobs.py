"""Jobs that do nothing: enqueued, claimed, run, settled, beside the queue that people would take instead.

Goals, in one run on one server with durability on: as many a second as pgqueuer with 100 in flight and twice as many
with 10, and twice as many enqueued one at a time by each of ten callers. Ours keeps a row per job with its outcome,
takes turns between teams and fences every settlement; pgqueuer has its own driver (asyncpg) and its log table.
For orientation: Bull, on Redis, does 15.8 k/s with 10 in flight.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # a peer of benchmarks only
import uvloop
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

from benchmarks.report import Report
from make_bridge.boot import open_domain
from make_bridge.domain.executions.resuming import Resuming
from make_bridge.domain.executions.worker import Machinery, Worker, WorkerConfig
from make_bridge.domain.organizations.messages import NewOrganization
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.database.embedded import EmbeddedConfig, facts_of_running
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import Done, JobResult, JobType, JobTypes, NewJob, RunningJob
from make_bridge.settings import load_settings
from make_bridge.wiring.domain import Domain

_JOBS = 10_000
_SINGLE = 3_000
_CALLERS = 10
_ROUNDS = 3
_NAME = "benchmark.nothing"
_FILL = """
WITH made AS (
    INSERT INTO shard.jobs (id, organization_id, team_id, type, class, payload)
    SELECT gen_random_uuid(), %(organization)s, %(team)s, %(type)s, 1, 'x' FROM generate_series(1, %(count)s::integer)
    RETURNING id
)
INSERT INTO shard.queue (id, organization_id, team_id, kind, class)
SELECT id, %(organization)s, %(team)s, %(type)s, 1 FROM made
"""


def run(report: Report) -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory(prefix="make-bridge-bench-") as folder:
        figures = uvloop.run(_measure(Path(folder) / "data"))
    for name, ours, theirs, goal in figures:
        report.line(f"{name}: ours", f"{ours:.0f}/s")
        report.line(f"{name}: pgqueuer", f"{theirs:.0f}/s")
        report.goal(f"{name}: ours / pgqueuer", ours / theirs, at_least=goal)


async def _measure(data_dir: Path) -> list[tuple[str, float, float, float]]:
    async with AsyncExitStack() as stack:
        domain = await open_domain(stack, load_settings(None, {"data_dir": data_dir}), lambda _: None)
        ours = await _Ours.open(domain)
        theirs = await stack.enter_async_context(_theirs(data_dir))
        figures = []
        for in_flight, goal in ((100, 1.0), (10, 2.0)):
            pairs = [(await ours.carry_out(in_flight), await theirs.carry_out(in_flight)) for _ in range(_ROUNDS)]
            figures.append((f"{in_flight} in flight", _median(p[0] for p in pairs), _median(p[1] for p in pairs), goal))
        pairs = [(await ours.enqueue(), await theirs.enqueue()) for _ in range(_ROUNDS)]
        figures.append(("enqueued", _median(pair[0] for pair in pairs), _median(pair[1] for pair in pairs), 2.0))
        return figures


def _median(figures: Iterable[float]) -> float:
    return sorted(figures)[_ROUNDS // 2]


async def _by_callers(enqueue: Callable[[], Awaitable[object]]) -> float:
    """Return how many a second ten callers enqueue, each one after the other."""
    left = _SINGLE

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await enqueue()

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(_CALLERS)))
    return _SINGLE / (time.perf_counter() - began)


class _Ours:
    """The queue and a worker of this product, on a type of jobs that does nothing."""

    def __init__(self, domain: Domain, shard: Shard, organization_id: OrganizationId, team_id: TeamId) -> None:
        self._domain, self._shard = domain, shard
        self._place = {"organization": organization_id, "team": team_id, "type": _NAME, "count": _JOBS}
        self._job = NewJob(type=_NAME, organization_id=organization_id, team_id=team_id, payload=b"x")
        self._queue = JobQueue(types=JobTypes([JobType(name=_NAME, run=self._nothing)]))

    @classmethod
    async def open(cls, domain: Domain) -> "_Ours":
        created = await domain.service.create(NewOrganization(name="Benchmark"))
        shard = await domain.shards.of(created.organization_id)
        return cls(domain, shard, created.organization_id, created.team_id)

    async def _nothing(self, _job: RunningJob) -> JobResult:
        return Done()

    async def carry_out(self, in_flight: int) -> float:
        async with self._shard.engine_write() as tx:
            await tx.execute(_FILL, self._place)
        worker = self._worker(in_flight)
        began = time.perf_counter()
        await worker.start()
        while await self._waiting():  # noqa: ASYNC110 - what is waited for is a row
            await asyncio.sleep(0.02)
        elapsed = time.perf_counter() - began
        await worker.stop()
        return _JOBS / elapsed

    async def _waiting(self) -> bool:
        async with self._shard.engine_statement() as tx:
            return await tx.one("SELECT 1 AS waits FROM shard.queue LIMIT 1") is not None

    async def enqueue(self) -> float:
        async def one() -> None:
            async with self._shard.engine_statement() as tx:
                await self._queue.enqueue(tx, self._job)

        per_second = await _by_callers(one)
        async with self._shard.engine_write() as tx:
            await tx.execute("DELETE FROM shard.queue")
            await tx.execute("DELETE FROM shard.jobs")
        return per_second

    def _worker(self, in_flight: int) -> Worker:
        unasked: Any = None
        machinery = Machinery(
            shards=self._domain.shards, programs=unasked, performer=unasked, waiting=unasked, metrics=Metrics(),
            resuming=Resuming(programs=unasked, documents=unasked), payloads=unasked, answers=unasked,
            jobs=self._queue.types,
        )  # fmt: skip
        return Worker(machinery, WorkerConfig(node="benchmark", most_running=in_flight))


class _Theirs:
    """pgqueuer, in a database of its own on the same server."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._driver = AsyncpgPoolDriver(pool)
        self._queries = Queries(self._driver)

    async def install(self) -> None:
        await self._queries.install()

    async def carry_out(self, in_flight: int) -> float:
        await self._queries.enqueue([_NAME] * _JOBS, [b"x"] * _JOBS, [0] * _JOBS)
        manager = QueueManager(self._queries)

        @manager.entrypoint(_NAME)
        async def nothing(_job: Job) -> None:
            return

        began = time.perf_counter()
        await manager.run(
            dequeue_timeout=timedelta(seconds=1),
            batch_size=in_flight // 2,
            mode=QueueExecutionMode.drain,
            max_concurrent_tasks=in_flight,
        )
        return _JOBS / (time.perf_counter() - began)

    async def enqueue(self) -> float:
        async def one() -> None:
            await self._queries.enqueue(_NAME, b"x")

        per_second = await _by_callers(one)
        await self._queries.clear_queue()
        return per_second


@asynccontextmanager
async def _theirs(data_dir: Path) -> AsyncIterator[_Theirs]:
    facts = facts_of_running(EmbeddedConfig(data_dir=data_dir))
    assert facts is not None
    address = {"host": facts.host, "user": facts.user, "password": facts.password}
    admin = await asyncpg.connect(**address, database=facts.dbname)
    await admin.execute("CREATE DATABASE pgqueuer")
    await admin.close()
    async with asyncpg.create_pool(**address, database="pgqueuer", min_size=10, max_size=10) as pool:
        theirs = _Theirs(pool)
        await theirs.install()
        yield theirs
