"""The worker: claims ready executions and jobs, keeps their leases alive, settles their outcomes.

One worker per process serves every shard the process has open. It carries out what it claims and
what the ingest hands over already leased. A run whose lease was lost (this process slept too long)
is cancelled; if it was faster than that, its outcome is refused by the fence and counted. A worker
that drains hands its leases back, so that another starts them at once. What a job does is its type's
(``platform/queue/job_runner.py``); leases, capacity, sweep and burial are the same for both.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from make_bridge.domain.executions import store
from make_bridge.domain.executions.claimed_ahead import Claimed, ClaimedAhead, ClaimsUnderWay
from make_bridge.domain.executions.confidential import Answers, Payloads, is_sealed, needs_answer
from make_bridge.domain.executions.dead_letters import Burying, sentence
from make_bridge.domain.executions.incomplete import RETRY, TIMER, IncompleteLimits
from make_bridge.domain.executions.journal import LeaseLost
from make_bridge.domain.executions.lending import LentSlots
from make_bridge.domain.executions.model import NewRun, Outcome
from make_bridge.domain.executions.perform import Performance, Performer, failed_outcome
from make_bridge.domain.executions.programs import Programs
from make_bridge.domain.executions.reading_back import ReadingBack
from make_bridge.domain.executions.resuming import Resuming
from make_bridge.domain.executions.run_spans import ended, run_span
from make_bridge.domain.executions.trigger import Bundle, decode_head, decode_settings, trigger_bundle
from make_bridge.domain.executions.waiting import Waiting
from make_bridge.domain.usage.quotas import Quotas
from make_bridge.engine.blueprint.program import Program
from make_bridge.engine.ports import Responder
from make_bridge.kernel.errors import BridgeError, NotFound, OrganizationMoved, Unavailable
from make_bridge.kernel.ids import ExecutionId, OrganizationId, TeamId
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import Row
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.observability.metrics.loops import LATE_AFTER
from make_bridge.platform.observability.tracing.spans import start_apart
from make_bridge.platform.observability.tracing.tracer import Tracing
from make_bridge.platform.queue import leases
from make_bridge.platform.queue.group_commit import GroupCommit
from make_bridge.platform.queue.job_runner import JobRunner, JobRunnerConfig
from make_bridge.platform.queue.jobs import JobLimits, JobTypes
from make_bridge.platform.queue.leases import ClaimRules, Lease
from make_bridge.platform.sharding.following import PerShard, ShardTasks

_PUT_OFF = timedelta(seconds=5)
_MOVE_PAUSE = 0.03
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """``most_running`` bounds runs in flight; times are in seconds."""

    node: str
    most_running: int = 200
    claim_batch: int = 100
    idle_poll: float = 0.5
    settle_patience: float = 60.0
    drain_patience: float = 20.0
    max_body_bytes: int = 5 * 1024 * 1024
    incomplete: IncompleteLimits = field(default_factory=IncompleteLimits)
    claims: ClaimRules = field(default_factory=ClaimRules)
    most_attempts: int = leases.MOST_ATTEMPTS
    jobs: JobLimits = field(default_factory=JobLimits)
    tracing: Tracing = field(default_factory=Tracing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machinery:
    """What the worker and the ingest of one process share."""

    shards: Shards
    programs: Programs
    performer: Performer
    waiting: Waiting
    metrics: Metrics
    resuming: Resuming
    payloads: Payloads
    answers: Answers
    lent: LentSlots = field(default_factory=LentSlots)
    jobs: JobTypes = field(default_factory=JobTypes)
    quotas: Quotas = field(default_factory=Quotas)


@dataclass(slots=True, kw_only=True)
class _Held:
    shard: Shard
    fence: int
    team_id: TeamId
    organization_id: OrganizationId
    leased_at: float
    """When its lease was last got or extended, by the loop's clock."""
    task: asyncio.Task[None] | None = None
    is_settling: bool = False


class Worker:
    """See the module."""

    def __init__(self, machinery: Machinery, config: WorkerConfig) -> None:
        """Nothing runs before ``start``."""
        self._shards = machinery.shards
        self._programs = machinery.programs
        self._performer = machinery.performer
        self._waiting = machinery.waiting
        self._metrics = machinery.metrics
        self._resuming = machinery.resuming
        self._payloads = machinery.payloads
        self._answers = machinery.answers
        self._burying = Burying(resuming=machinery.resuming)
        runner_config = JobRunnerConfig(
            node=config.node, limits=config.jobs, patience=config.settle_patience, tracing=config.tracing
        )
        self._jobs = JobRunner(
            machinery.shards, machinery.jobs, machinery.metrics, runner_config, settling=self._mark_settling
        )
        self._reading_back = ReadingBack()
        self._lent = machinery.lent
        self._lent.listen(self.wake)
        self._config = config
        self._behind: set[Shard] = set()
        self._held: dict[ExecutionId, _Held] = {}
        self._ahead = ClaimedAhead(config.claim_batch)
        self._settling = 0
        self._claims = ClaimsUnderWay()
        self._awake: PerShard[asyncio.Event] = PerShard(lambda _shard: asyncio.Event())
        self._woken: list[Callable[[], None]] = []
        self._stopping = False
        self._loops = ShardTasks("worker", (self._claiming, self._beating, self._sweeping))
        self._settlements = PerShard(self._writer)

    @property
    def free(self) -> int:
        """How many more runs this process takes on: one that is only being settled makes room for the next."""
        most = self._config.most_running
        running = len(self._held) - min(self._settling, most)
        return 0 if self._stopping else most - running + self._lent.count

    @property
    def running(self) -> int:
        """How many executions and jobs are in flight here."""
        return len(self._held)

    @property
    def beyond_lease(self) -> int:
        """How many of them have outlived their lease: somebody else may hold them by now."""
        earliest = asyncio.get_running_loop().time() - leases.LEASE.total_seconds()
        return sum(held.leased_at < earliest and not held.is_settling for held in self._held.values())

    @property
    def may_run_in_place(self) -> bool:
        """Whether a run that arrives now may begin at once: there is room, and it jumps no queue."""
        return self.free > 0 and not self._behind

    def is_below_cap(self, team_id: TeamId) -> bool:
        """Whether a team may have one more run in flight here; claims count it over all processes."""
        cap = self._config.claims.team_cap
        return len(self._held) < cap or sum(held.team_id == team_id for held in self._held.values()) < cap

    def pass_on(self, wake: Callable[[], None]) -> None:
        """Have others woken too: this process is to carry out nothing itself."""
        self._woken.append(wake)

    def wake(self) -> None:
        """Say that something became ready; a hint, never needed for correctness."""
        self._look()
        for wake in self._woken:
            wake()

    def _look(self) -> None:
        """Have every shard's claims looked at again."""
        for awake in self._awake.values():
            awake.set()

    async def start(self) -> None:
        """Begin claiming, beating and sweeping, on each shard by itself."""
        await self._shards.follow(self._loops)

    async def stop(self) -> None:
        """Stop claiming, let runs end for a while, hand back the rest, write every outcome."""
        self._stopping = True
        self.wake()
        await self._leave_ahead(everything=True)
        deadline = asyncio.get_running_loop().time() + self._config.drain_patience
        while self._held and asyncio.get_running_loop().time() < deadline:
            tasks = [held.task for held in self._held.values() if held.task is not None]
            if not tasks:
                break
            await asyncio.wait(tasks, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        await self._shards.leave(self._loops)
        # A claim that was under way when the drain began has found no room.
        await self._leave_ahead(everything=True)
        await self._hand_back()
        await self._reading_back.close()
        await self._settlements.close(GroupCommit.close)
        await self._jobs.close()

    def begin(
        self, shard: Shard, run: NewRun, program: Program, bundles: list[Bundle], responder: Responder | None
    ) -> None:
        """Carry out a run that was accepted already leased to this process (fence 1)."""
        self._launch(shard, run, 1, self._carry_out(shard, run, program, bundles, 1, responder))

    def reserve(self, shard: Shard, run: NewRun) -> None:
        """Count a run against the capacity before its acceptance is written."""
        self._hold(shard, run, 1)

    def release(self, execution_id: ExecutionId) -> None:
        """Give a reservation up: the acceptance failed."""
        self._held.pop(execution_id, None)

    def _launch(self, shard: Shard, job: NewRun | Lease, fence: int, work: "asyncio._CoroutineLike[None]") -> None:
        self._forget(job.id)
        held = self._hold(shard, job, fence)
        held.task = start_apart(work)
        held.task.add_done_callback(lambda task: self._ended(job.id, task))

    def _hold(self, shard: Shard, job: NewRun | Lease, fence: int) -> _Held:
        held = self._held[job.id] = _Held(
            shard=shard,
            fence=fence,
            team_id=job.team_id,
            organization_id=job.organization_id,
            leased_at=asyncio.get_running_loop().time(),
        )
        return held

    def _ended(self, execution_id: ExecutionId, task: asyncio.Task[None]) -> None:
        # Work whose lease was lost may have been claimed here again meanwhile: that entry is not its own.
        if (held := self._held.get(execution_id)) is not None and held.task is task:
            self._forget(execution_id)
        self._ahead.note_end(asyncio.get_running_loop().time())
        self._begin_ahead()
        self._look()
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, LeaseLost):
            self._metrics.queue.journal_refused.inc()
            _log.warning("journal_refused", execution_id=execution_id)
        else:
            _log.error("execution_task_failed", execution_id=execution_id, error=repr(error))

    def _forget(self, execution_id: ExecutionId) -> None:
        held = self._held.pop(execution_id, None)
        self._settling -= held is not None and held.is_settling

    async def _carry_out(
        self, shard: Shard, run: NewRun, program: Program, bundles: list[Bundle], fence: int,
        responder: Responder | None,
    ) -> None:  # fmt: skip
        with run_span(self._config.tracing, run, attempt=fence) as span:
            performance = await self._performer.perform(run, program, bundles, fence=fence, responder=responder)
            outcome = performance.outcome
            ended(span, outcome)
        if outcome.confidential and needs_answer(run, program, responder):
            outcome = await self._with_answer(performance)
        await self._settle(shard, outcome)

    async def _with_answer(self, performance: Performance) -> Outcome:
        """Keep the answer for who waits elsewhere; a run is never repeated because its answer could not be sealed."""
        outcome = performance.outcome
        if performance.result is None:
            return outcome
        try:
            return await self._answers.beside(outcome, performance.result)
        except Unavailable as error:
            _log.warning("answer_not_kept", execution_id=outcome.id, error=error.message)
            return outcome

    async def _attempt(self, shard: Shard, lease: Lease, job: Row | None = None) -> None:
        """Carry out what was claimed; what cannot be done now is no attempt, what breaks us is one of few."""
        is_job = self._jobs.takes(lease.kind)
        if lease.attempts > 1:
            self._metrics.queue.retries["job" if is_job else "run"].inc()
        try:
            if is_job:
                await self._jobs.attempt(shard, lease, job)
            else:
                await self._resume(shard, lease)
        except Unavailable as error:
            _log.warning("execution_put_off", execution_id=lease.id, error=error.message)
            await leases.hand_back(shard, [(lease.id, lease.fence)], _PUT_OFF)
        except Exception as error:
            if lease.attempts < self._config.most_attempts:
                raise
            _log.exception("execution_given_up", execution_id=lease.id)
            given_up = replace(lease, last_node=self._config.node)
            await self._bury(shard, given_up, f"by an error of this server ({type(error).__name__})")

    async def _bury(self, shard: Shard, lease: Lease, cause: str) -> None:
        if self._jobs.takes(lease.kind):
            await self._jobs.bury(shard, lease, sentence(lease, cause))
            return
        outcome = await self._burying.end(shard, lease, cause)
        if outcome is None:
            self._metrics.queue.dead_letters.inc()
        else:
            await self._settle(shard, outcome)

    async def _resume(self, shard: Shard, lease: Lease) -> None:
        if lease.kind == TIMER:
            await self._begin_retry(shard, lease)
            return
        run, settings = await self._read_back(shard, lease)
        if lease.kind == RETRY:
            await self._retry(shard, run, lease.fence)
            return
        sealed = is_sealed(run)
        try:
            if sealed:
                run = await self._payloads.open(run)
            program = await self._programs.get(run.organization_id, run.scenario_id, run.blueprint_version)
            head = decode_head(run.head)
            bundle = trigger_bundle(head, run.body, decode_settings(settings), max_bytes=self._config.max_body_bytes)
        except Unavailable:
            raise
        except BridgeError as error:
            await self._settle(shard, failed_outcome(run, lease.fence, error, confidential=sealed))
            return
        await self._carry_out(shard, run, program, [bundle], lease.fence, self._waiting.responder(run.id))

    async def _begin_retry(self, shard: Shard, timer: Lease) -> None:
        run = await self._resuming.begin(shard, timer, self._config.node)
        if run is not None:
            self._metrics.queue.retries["incomplete"].inc()
            self._launch(shard, run, 1, self._retry(shard, run, 1))

    async def _retry(self, shard: Shard, run: NewRun, fence: int) -> None:
        """Go on where an incomplete execution stopped; one whose blueprint cannot run waits for a person again."""
        try:
            program, attempt = await self._resuming.load(shard, run)
            with run_span(self._config.tracing, run, attempt=fence) as span:
                performance = await self._performer.perform(run, program, [], fence=fence, attempt=attempt)
                ended(span, performance.outcome)
        except Unavailable:
            raise
        except BridgeError as error:
            resumed = await self._resuming.resumed(shard, run)
            await self._settle(shard, failed_outcome(run, fence, error, resumed))
            return
        await self._settle(shard, performance.outcome)

    async def _read_back(self, shard: Shard, lease: Lease) -> tuple[NewRun, bytes]:
        row = await self._reading_back.read(shard, lease.organization_id, lease.id)
        if row is None:
            message = f"Execution {lease.id} has a queue row but no payload."
            raise NotFound(message)
        run = NewRun(
            id=lease.id,
            organization_id=row["organization_id"],
            team_id=row["team_id"],
            scenario_id=row["scenario_id"],
            blueprint_version=row["blueprint_version"],
            origin=row["origin"],
            seed=row["seed"],
            head=bytes(row["head"]),
            body=bytes(row["body"]),
            ordering_key=row["ordering_key"],
            trace_context=row["trace_context"],
        )
        return run, bytes(row["settings"] or b"{}")

    async def _settle(self, shard: Shard, outcome: Outcome) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._config.settle_patience
        pause = 0.1
        accepted: bool | None = None
        is_doubtful = False
        self._mark_settling(outcome.id)
        while accepted is None:
            try:
                accepted = await self._submit(shard, outcome, is_doubtful=is_doubtful)
            except OrganizationMoved:
                # Nothing was written there: its row, with this lease, is where the organization is by now.
                if loop.time() > deadline:
                    raise
                self._shards.forget(outcome.organization_id)
                shard = await self._shards.of(outcome.organization_id)
                await asyncio.sleep(_MOVE_PAUSE)
            except Unavailable:
                is_doubtful = True
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
        if not accepted:
            self._metrics.queue.settles_refused.inc()
            _log.warning("settle_refused", execution_id=outcome.id, fence=outcome.fence)
            return
        status, seconds = outcome.status.name.lower(), outcome.duration_ms / 1000
        self._metrics.executions.count_settled({status: 1}, outcome.operations, [seconds])
        if outcome.dead is not None:
            self._metrics.queue.dead_letters.inc()
        self._waiting.settled(outcome)

    async def _submit(self, shard: Shard, outcome: Outcome, *, is_doubtful: bool) -> bool:
        """Settle; after an attempt whose answer was lost, a refusal may mean that this very outcome is there."""
        if await self._settlements[shard].submit(outcome):
            return True
        home = await self._shards.of(outcome.organization_id)
        if home is not shard and await self._settlements[home].submit(outcome):
            return True
        return is_doubtful and await store.is_settled(shard, outcome, self._config.node)

    def _mark_settling(self, execution_id: ExecutionId) -> None:
        """Leave a run to its settling: a lease may be gone because of it, and the fence refuses the rest."""
        held = self._held.get(execution_id)
        if held is not None and not held.is_settling:
            held.is_settling = True
            self._settling += 1
            self._begin_ahead()

    def _writer(self, shard: Shard) -> GroupCommit[Outcome, bool]:
        async def flush(outcomes: Sequence[Outcome]) -> list[bool]:
            settled = await store.settle(shard, outcomes, self._config.node, self._config.incomplete)
            return [outcome.id in settled for outcome in outcomes]

        return GroupCommit(flush, tenant=lambda outcome: outcome.organization_id)

    async def _claiming(self, shard: Shard) -> None:
        awake = self._awake[shard]
        try:
            with self._metrics.loops.turning("claims", shard.number, within=LATE_AFTER) as turned:
                while not self._stopping:
                    awake.clear()
                    claimed = await self._claim_from(shard)
                    if claimed is not None:
                        turned()
                    if (claimed or 0) >= self._config.claim_batch or self.free <= 0:
                        self._behind.add(shard)
                    else:
                        self._behind.discard(shard)
                    if not claimed or self._wanted() <= 0:
                        await _wait(awake, self._config.idle_poll)
                    self._begin_ahead()
                    await self._leave_ahead(shard)
        finally:
            # One that is gone must not keep the runs of others from beginning in place.
            self._behind.discard(shard)

    async def _claim_from(self, shard: Shard) -> int | None:
        """Claim what there is room for and return how many; None where the shard could not be asked."""
        most = min(self._wanted(), self._config.claim_batch)
        if most <= 0:
            return 0
        try:
            with self._claims.of(most, asyncio.get_running_loop().time()):
                claimed = await leases.claim(shard, self._config.node, most, self._config.claims)
        except Unavailable as error:
            _log.warning("claim_failed", shard=shard.number, error=error.message)
            return None
        jobs: dict[str, Row] = {}
        try:
            jobs = await self._jobs.read(shard, claimed)
        finally:
            now = asyncio.get_running_loop().time()
            for lease in claimed:
                self._ahead.put(Claimed(shard, lease, now, jobs.get(lease.id)))
        self._begin_ahead()
        return len(claimed)

    def _wanted(self) -> int:
        """Return how many more to claim: for the free places, and ahead of the next ones."""
        if self._stopping:
            return 0
        now = asyncio.get_running_loop().time()
        return max(self.free - len(self._ahead), 0) + self._ahead.room(now) - self._claims.count(now)

    def _begin_ahead(self) -> None:
        while self.free > 0 and (claimed := self._ahead.take()) is not None:
            shard, lease = claimed.shard, claimed.lease
            self._launch(shard, lease, lease.fence, self._attempt(shard, lease, claimed.job))

    async def _leave_ahead(self, shard: Shard | None = None, *, everything: bool = False) -> None:
        """Hand back what was claimed and finds no room; what cannot be handed back now is swept later."""
        for left in self._ahead.leave(asyncio.get_running_loop().time(), shard, everything=everything):
            with suppress(Unavailable):
                await leases.hand_back(left.shard, [(left.lease.id, left.lease.fence)])

    async def _beating(self, shard: Shard) -> None:
        with self._metrics.loops.turning("heartbeats", shard.number, within=LATE_AFTER) as turned:
            while True:
                await asyncio.sleep(leases.HEARTBEAT_SECONDS)
                if await self._beat(shard):
                    turned()
                await self._jobs.hear_cancellations(shard)

    async def _beat(self, shard: Shard) -> bool:
        """Extend the leases that are held here; False where the shard could not be asked."""
        held = {i: h.fence for i, h in self._held.items() if h.shard is shard and h.task is not None}
        ahead = self._ahead.of(shard)
        held |= ahead
        if not held:
            return True
        began = asyncio.get_running_loop().time()
        try:
            kept = await leases.beat(shard, list(held.items()))
        except OrganizationMoved as moved:
            # Those of other organizations first: a beat that names a row of one that has left extends none.
            if await self._follow(OrganizationId(moved.organization_id), shard):
                return await self._beat(shard)
            return True
        except Unavailable as error:
            _log.warning("heartbeat_failed", shard=shard.number, error=error.message)
            return False
        for execution_id in kept:
            if (entry := self._held.get(execution_id)) is not None:
                entry.leased_at = began
        self._metrics.queue.leases_lost.inc(self._ahead.drop(ahead.keys() - kept))
        for execution_id in held.keys() - kept:
            entry = self._held.get(execution_id)
            if entry is None or entry.is_settling or await self._follow(entry.organization_id, shard):
                continue
            if entry.task is not None and not entry.task.done():
                self._metrics.queue.leases_lost.inc()
                entry.task.cancel()
        return True

    async def _follow(self, organization_id: OrganizationId, shard: Shard) -> bool:
        """Look for runs of an organization on the shard it has moved to, from the next beat on; False where it is here.

        What was claimed ahead of it is left: it has not begun, and is swept where it is by now.
        """
        self._shards.forget(organization_id)
        try:
            home = await self._shards.of(organization_id)
        except (NotFound, Unavailable):
            return False
        if home is shard:
            return False
        self._ahead.drop_of(organization_id)
        for held in self._held.values():
            if held.organization_id == organization_id:
                held.shard = home
        return True

    async def _sweeping(self, shard: Shard) -> None:
        with self._metrics.loops.turning("sweeps", shard.number, within=LATE_AFTER) as turned:
            while True:
                with suppress(Unavailable):
                    await self._sweep(shard)
                    turned()
                await asyncio.sleep(leases.SWEEP_SECONDS)

    async def _sweep(self, shard: Shard) -> None:
        if not await leases.is_any_silent(shard):
            return
        freed = await leases.sweep(shard, self._config.most_attempts)
        poison = await self._take_poison(shard)
        if freed:
            self._metrics.queue.leases_swept.inc(freed)
            _log.info("leases_swept", shard=shard.number, count=freed)
            self.wake()
        for lease in poison:
            self._launch(shard, lease, lease.fence, self._bury(shard, lease, "its worker fell silent"))

    async def _take_poison(self, shard: Shard) -> list[Lease]:
        if self._stopping:
            return []
        return await leases.take_poison(shard, self._config.node, most_attempts=self._config.most_attempts)

    async def _hand_back(self) -> None:
        for shard in self._shards.all():
            held = [(i, h.fence) for i, h in self._held.items() if h.shard is shard]
            for execution_id, _ in held:
                task = self._held[execution_id].task
                if task is not None:
                    task.cancel()
            if held:
                await leases.hand_back(shard, held)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
