"""Carrying out jobs: from a claimed queue row to its settlement. Called by the worker, which owns leases and capacity.

A try runs in a task of its own, so that a job can be cancelled while its settlement goes on. What becomes of it:

* the work returns or raises: settled as it says, with the type's backoff;
* it takes too long: stopped, a failed try;
* somebody cancels the job: seen with the next heartbeat, stopped, settled as cancelled;
* the lease is lost, or the worker drains: the worker cancels the whole attempt and nothing is settled;
* the process dies: the row is swept like any other, and after three deaths buried (``bury``).
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, assert_never

import structlog

from make_bridge.kernel.errors import BridgeError, OrganizationMoved, Unavailable
from make_bridge.kernel.ids import ExecutionId, JobId, OrganizationId
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import Row
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.observability.tracing.tracer import Tracing
from make_bridge.platform.queue import job_settling, job_store, leases
from make_bridge.platform.queue.group_commit import GroupCommit
from make_bridge.platform.queue.job_messages import JobProgressed
from make_bridge.platform.queue.job_settling import LONGEST_NOTE, State, Verdict
from make_bridge.platform.queue.jobs import (
    NO_JOBS,
    Done,
    Failed,
    JobLimits,
    JobResult,
    JobType,
    JobTypes,
    Later,
    RunningJob,
    chance,
    pause_after,
    pause_until_later,
)
from make_bridge.platform.queue.leases import Lease
from make_bridge.platform.sharding.following import PerShard

UNKNOWN_PAUSE: Final = timedelta(seconds=60)
PROGRESS_SECONDS: Final = 1.0
READ_SECONDS: Final = 2.0
STOP_SECONDS: Final = 5.0
_MOVE_PAUSE: Final = 0.03
CANCELLED: Final = "It was cancelled while it ran."
_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class _Try:
    """One try under way: what it said last of how far it is, and whether somebody wants it to end."""

    shard: Shard
    job_id: JobId
    kind: JobType
    fence: int
    began: float
    is_alone: bool = False
    written_at: float = -PROGRESS_SECONDS
    percent: int | None = None
    note: str | None = None
    is_cancelled: bool = False
    work: "asyncio.Future[JobResult] | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRunnerConfig:
    """``patience`` is for settling while the database is away, in seconds."""

    node: str
    limits: JobLimits = field(default_factory=JobLimits)
    patience: float = 60.0
    tracing: Tracing = field(default_factory=Tracing)


class JobRunner:
    """See the module."""

    def __init__(
        self, shards: Shards, types: JobTypes, metrics: Metrics, config: JobRunnerConfig,
        settling: Callable[[ExecutionId], None],
    ) -> None:  # fmt: skip
        """``settling`` is told before a settlement is written: from then on its lease may be gone because of it."""
        self._types = types
        self._metrics = metrics
        self._config = config
        self._settling = settling
        self._tries: dict[JobId, _Try] = {}
        self._shards = shards
        self._writers = PerShard(_writer)

    @staticmethod
    def takes(kind: str) -> bool:
        """Say whether a queue row of this kind is a job; also of a type that this process does not know."""
        return kind not in NO_JOBS

    async def read(self, shard: Shard, claimed: Sequence[Lease]) -> dict[str, Row]:
        """Return the jobs among what was claimed together, by id; none when that takes too long."""
        held = [(lease.id, lease.fence) for lease in claimed if self.takes(lease.kind)]
        if not held:
            return {}
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(READ_SECONDS), shard.engine_statement() as tx:
                return await job_store.begin(tx, held)
        return {}

    async def attempt(self, shard: Shard, lease: Lease, row: Row | None = None) -> None:
        """Try a claimed job, which may have been read; raises Unavailable when nothing can be read or written now."""
        kind = self._types.find(lease.kind)
        if kind is None:
            # A newer version knows it: it is left for whoever does, and said loudly that somebody has to.
            self._metrics.queue.jobs_unknown.inc()
            _log.warning("job_of_unknown_type", job_id=lease.id, type=lease.kind)
            await leases.hand_back(shard, [(lease.id, lease.fence)], UNKNOWN_PAUSE)
            return
        if row is None:
            async with shard.engine_statement() as tx:
                row = (await job_store.begin(tx, [(lease.id, lease.fence)])).get(lease.id)
        if row is None:
            _log.info("job_lease_lost", job_id=lease.id)
            return
        began = asyncio.get_running_loop().time()
        trying = _Try(shard=shard, job_id=JobId(lease.id), kind=kind, fence=lease.fence, began=began)
        trying.is_alone = row["batch_id"] is None
        trying.is_cancelled = row["cancel_requested"]
        with self._config.tracing.going_on(row["trace_context"], f"process {kind.name}", "consumer") as span:
            span.set("messaging.system", "make_bridge")
            span.set("messaging.operation.type", "process")
            span.set("messaging.destination.name", kind.name)
            span.set("make_bridge.organization.id", row["organization_id"])
            span.set("make_bridge.job.id", lease.id)
            span.set("make_bridge.job.try", row["tries"] + 1)
            verdict = await self._try(trying, row)
            if verdict.state == "failed":
                span.fail("job_failed")
        await self._settle(shard, kind, verdict)

    async def bury(self, shard: Shard, lease: Lease, sentence: str) -> None:
        """End a job that outlived as many holders as it may; its letter waits for a replay."""
        kind = self._types.find(lease.kind)
        verdict = Verdict(
            id=JobId(lease.id), fence=lease.fence, state="failed", tells=kind is not None and kind.tells,
            deaths=lease.attempts, error=sentence, node=lease.last_node,
        )  # fmt: skip
        await self._settle(shard, kind, verdict)

    async def hear_cancellations(self, shard: Shard) -> None:
        """Stop tries whose job somebody has cancelled; called with each heartbeat of a shard."""
        ids = [trying.job_id for trying in self._tries.values() if trying.shard is shard]
        if not ids:
            return
        try:
            async with shard.engine_statement() as tx:
                wanted = await job_store.to_cancel(tx, ids)
        except Unavailable as error:
            _log.warning("cancellations_not_heard", shard=shard.number, error=error.message)
            return
        for job_id in wanted:
            if (found := self._tries.get(JobId(job_id))) is not None and found.work is not None:
                found.is_cancelled = True
                found.work.cancel()

    async def close(self) -> None:
        """Write every settlement that is under way."""
        await self._writers.close(GroupCommit.close)

    async def _try(self, trying: _Try, row: Row) -> Verdict:
        if trying.is_cancelled:
            return self._verdict(trying, "cancelled", row["tries"], error=CANCELLED)
        job = RunningJob(
            id=trying.job_id,
            type=row["type"],
            organization_id=row["organization_id"],
            team_id=row["team_id"],
            payload=bytes(row["payload"]),
            number_of_try=row["tries"] + 1,
            created_at=row["created_at"],
            report=lambda percent, note: self._report(trying, row, percent, note),
        )
        work = trying.work = asyncio.create_task(_call(trying.kind, job))
        work.add_done_callback(_heard)
        self._tries[trying.job_id] = trying
        try:
            await _ended_within(work, trying.kind.seconds)
        finally:
            is_late = not work.done()
            self._tries.pop(trying.job_id, None)
            work.cancel()
        if is_late:
            # It gets a moment to clean up; what does not listen is left behind, its settlement does not wait.
            await asyncio.wait([work], timeout=STOP_SECONDS)
        return self._judge(trying, work, row["tries"], is_late=is_late)

    def _judge(self, trying: _Try, work: "asyncio.Future[JobResult]", tries: int, *, is_late: bool) -> Verdict:
        if trying.is_cancelled:
            return self._verdict(trying, "cancelled", tries, error=CANCELLED)
        if is_late or work.cancelled():
            seconds = trying.kind.seconds
            return self._failed_try(trying, tries + 1, f"It took longer than {seconds:g} seconds and was stopped.")
        error = work.exception()
        if error is not None:
            _log.warning("job_try_failed", job_id=trying.job_id, type=trying.kind.name, error=type(error).__name__)
            return self._failed_try(trying, tries + 1, _sentence(error))
        match work.result():
            case Done(result=result):
                if len(result) > self._config.limits.result_bytes:
                    most = self._config.limits.result_bytes
                    return self._verdict(trying, "failed", tries + 1, error=f"Its result is larger than {most} bytes.")
                return self._verdict(trying, "completed", tries, result=result)
            case Later(after_seconds=seconds, why=why, counts=counts):
                if counts and tries + 1 >= trying.kind.tries.most:
                    return self._verdict(trying, "failed", tries + 1, error=why)
                delay = pause_until_later(seconds, chance())
                return self._verdict(trying, "waiting", tries + int(counts), error=why, delay=delay)
            case Failed(why=why):
                return self._verdict(trying, "failed", tries + 1, error=why)
            case never:
                assert_never(never)

    def _failed_try(self, trying: _Try, tries: int, why: str) -> Verdict:
        if tries >= trying.kind.tries.most:
            return self._verdict(trying, "failed", tries, error=why)
        return self._verdict(trying, "waiting", tries, error=why, delay=pause_after(trying.kind, tries, chance()))

    def _verdict(
        self, trying: _Try, state: State, tries: int, *, error: str = "", result: bytes = b"", delay: float = 0.0
    ) -> Verdict:
        return Verdict(
            id=trying.job_id,
            fence=trying.fence,
            state=state,
            tells=trying.kind.tells,
            delay=delay,
            tries=tries,
            error=error,
            result=result,
            progress=100 if state == "completed" else trying.percent,
            note=trying.note,
            node=self._config.node,
            seconds=asyncio.get_running_loop().time() - trying.began,
            is_alone=trying.is_alone,
        )

    async def _report(self, trying: _Try, row: Row, percent: int, note: str) -> None:
        """Keep progress; one that cannot be written now is no reason to fail, the settlement carries the last."""
        trying.percent, trying.note = percent, job_store.plain(note, LONGEST_NOTE)
        now = asyncio.get_running_loop().time()
        if now - trying.written_at < PROGRESS_SECONDS:
            return
        trying.written_at = now
        with suppress(Unavailable):
            async with trying.shard.engine_write() as tx:
                held = (trying.job_id, trying.fence)
                is_ours = await job_store.note_progress(tx, *held, percent, trying.note, now - trying.began)
                if is_ours and trying.kind.tells:
                    event = JobProgressed(
                        job_id=trying.job_id, type=trying.kind.name, percent=percent, note=trying.note
                    )
                    await job_store.tell(tx, [(row["organization_id"], f"job/{trying.job_id}", event)])

    async def _settle(self, shard: Shard, kind: JobType | None, verdict: Verdict) -> None:
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + self._config.patience, 0.1
        is_written = is_doubtful = False
        state: State | None = None
        self._settling(ExecutionId(verdict.id))
        while not is_written:
            try:
                state = await self._submit(shard, verdict, is_doubtful=is_doubtful)
                is_written = True
            except OrganizationMoved as moved:
                if loop.time() > deadline:
                    raise
                self._shards.forget(OrganizationId(moved.organization_id))
                shard = await self._shards.of(OrganizationId(moved.organization_id))
                await asyncio.sleep(_MOVE_PAUSE)
            except Unavailable:
                is_doubtful = True
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
        if state is None:
            self._metrics.queue.settles_refused.inc()
            _log.warning("settle_refused", job_id=verdict.id, fence=verdict.fence)
            return
        if kind is not None:
            self._metrics.queue.jobs.labels(kind.name, "put_off" if state == "waiting" else state).inc()
        if state == "failed":
            self._metrics.queue.dead_letters.inc()

    async def _submit(self, shard: Shard, verdict: Verdict, *, is_doubtful: bool) -> State | None:
        """Settle; after an attempt whose answer was lost, a refusal may mean that this very verdict is there."""
        state = await self._writers[shard].submit(verdict)
        if state is None and is_doubtful:
            async with shard.engine_statement() as tx:
                return verdict.state if await job_store.is_settled(tx, verdict.id, verdict.fence) else None
        return state


async def _ended_within(work: "asyncio.Task[JobResult]", seconds: float) -> None:
    """Wait for the end of the work, or of the time; what ``asyncio.wait`` does for many costs a job a tenth."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def tell(_work: object = None) -> None:
        if not ended.done():
            ended.set_result(None)

    timer = loop.call_later(seconds, tell)
    work.add_done_callback(tell)
    try:
        await ended
    finally:
        timer.cancel()
        work.remove_done_callback(tell)


async def _call(kind: JobType, job: RunningJob) -> JobResult:
    return await kind.run(job)


def _heard(work: "asyncio.Future[JobResult]") -> None:
    """Take note of an error that nobody waits for any more."""
    if not work.cancelled():
        work.exception()


def _sentence(error: BaseException) -> str:
    """Return what is kept of an error: our own sentences; of others only the kind, their text may hold anything."""
    return error.message if isinstance(error, BridgeError) else f"It ended with an error ({type(error).__name__})."


def _writer(shard: Shard) -> GroupCommit[Verdict, State | None]:
    async def flush(verdicts: Sequence[Verdict]) -> list[State | None]:
        settled = await job_settling.settle(shard, verdicts)
        return [settled.get(verdict.id) for verdict in verdicts]

    return GroupCommit(flush)
