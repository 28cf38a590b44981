"""Workers that carry out jobs over a real database, types whose work a test scripts, and waiting for rows."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from make_bridge.domain.executions.resuming import Resuming
from make_bridge.domain.executions.worker import Machinery, Worker, WorkerConfig
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.ids import JobId
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import Backoff, Done, JobResult, JobType, JobTypes, NewJob, RunningJob, Tries
from support.endings import Place

PATIENCE = 30.0


@dataclass
class Work:
    """The work of a type: gives the results it was told to, one per try (the last repeats); waits where it has to."""

    results: list[JobResult | Exception] = field(default_factory=lambda: [Done()])
    seen: list[RunningJob] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event | None = None
    stopped: int = 0

    async def run(self, job: RunningJob) -> JobResult:
        self.seen.append(job)
        self.begun.set()
        try:
            if self.may_end is not None:
                await self.may_end.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        result = self.results[min(len(self.seen), len(self.results)) - 1]
        if isinstance(result, Exception):
            raise result
        return result


class JobScene:
    """One worker on the shard of a place; types are added with `type`."""

    def __init__(
        self, shards: Shards, place: Place, name: str = "me", types: JobTypes | None = None, **config: Any
    ) -> None:
        self.place, self.metrics = place, Metrics()
        self.queue = JobQueue(types=types or JobTypes())
        unasked: Any = None
        machinery = Machinery(
            shards=Shards(shards.directory, {place.shard.number: place.shard}, SystemClock()),
            programs=unasked,
            performer=unasked,
            waiting=unasked,
            metrics=self.metrics,
            resuming=Resuming(programs=unasked, documents=unasked),
            payloads=unasked,
            answers=unasked,
            jobs=self.queue.types,
        )
        self.worker = Worker(machinery, WorkerConfig(node=name, idle_poll=0.02, drain_patience=0.2, **config))

    def type(self, name: str = "test.work", work: Work | None = None, **policy: Any) -> Work:
        work = work or Work()
        # Long pauses: on a busy machine a short one is over before a test has looked.
        policy.setdefault("tries", Tries(most=3, backoff=Backoff(first=60)))
        self.queue.types.add(JobType(name=name, run=work.run, **policy))
        return work

    async def enqueue(self, name: str = "test.work", **changes: Any) -> JobId:
        values: dict[str, Any] = {"team_id": self.place.team_id} | changes
        async with self.place.shard.write(self.place.organization_id) as tx:
            new = NewJob(type=name, organization_id=self.place.organization_id, **values)
            return await self.queue.enqueue(tx, new)

    async def job(self, job_id: JobId) -> Any:
        return await self.place.one("SELECT * FROM shard.jobs WHERE id = %s", job_id)

    async def queued(self) -> list[Any]:
        return await self.place.all("SELECT *, ready_at - now() AS left_over FROM shard.queue ORDER BY id")

    async def until_state(self, job_id: JobId, state: str) -> Any:
        async def is_there() -> bool:
            return bool((await self.job(job_id))["state"] == state)

        await until(is_there)
        return await self.job(job_id)

    async def until_tried(self, job_id: JobId, fence: int = 1) -> Any:
        """Wait until what the claim with this fence came to is settled."""

        async def is_there() -> bool:
            return bool((await self.job(job_id))["fence"] >= fence)

        await until(is_there)
        return await self.job(job_id)

    async def hurry(self) -> None:
        """Let the time pass that anything waits for."""
        async with self.place.shard.engine_write() as tx:
            await tx.execute("UPDATE shard.queue SET ready_at = now() WHERE ready_at > now()")
        self.worker.wake()

    def count(self, line: str) -> float:
        lines = self.metrics.render().decode().splitlines()
        return sum(float(found.rpartition(" ")[2]) for found in lines if found.startswith(line))

    async def events(self) -> Counter[str]:
        return await self.place.events()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - what is waited for is a row
            await asyncio.sleep(0.01)
