"""The scheduler: starts the runs of scenarios whose time has come.

One process leads on each shard (`platform.coordination.leadership`); a tick's execution, its queue row and the
schedule's next tick commit together, guarded by the leader's fence and by locks on the scenarios' rows. So a tick is
fired once, or not yet: kill -9 before the commit leaves it due, after it the run is in the queue, and of two processes
that both believe to lead one finds nothing. Between ticks the leader sleeps until the next one, and looks once a
second for schedules that another process has switched on; a change in this process wakes it at once.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import msgspec
import structlog

from make_bridge.domain.executions import store, tick_store
from make_bridge.domain.executions.model import NewRun
from make_bridge.domain.executions.ordering import Place, ordering_key
from make_bridge.domain.executions.perform import seed_of
from make_bridge.domain.executions.run_spans import describe
from make_bridge.domain.executions.surroundings import ORIGIN_SCHEDULE, ZoneOf
from make_bridge.domain.executions.tick_store import DueScenario, Moved
from make_bridge.domain.executions.ticks import CatchUp, Decision, decide
from make_bridge.domain.executions.trigger import CallHead, TickNote, encode_head
from make_bridge.domain.usage.quotas import Quotas
from make_bridge.engine.blueprint.model import Settings
from make_bridge.engine.schedule.shapes import Schedule, read_schedule
from make_bridge.kernel.errors import InvalidInput, NotFound, Unavailable
from make_bridge.kernel.ids import new_execution_id
from make_bridge.platform.coordination.leadership import leases
from make_bridge.platform.coordination.port import Candidacy, CandidacyOf
from make_bridge.platform.coordination.tenure import Tenure
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.observability.metrics.loops import LATE_AFTER
from make_bridge.platform.observability.tracing.spans import carried
from make_bridge.platform.observability.tracing.tracer import Tracing
from make_bridge.platform.queue.leases import LOW
from make_bridge.platform.sharding.following import PerShard, ShardTasks

DUTY: Final = "scheduler"
_LOOK_SECONDS: Final = 1.0
_SHORTEST_SECONDS: Final = 0.02
_SHOWN: Final = 10
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerConfig:
    """``catch_up`` is the policy for missed ticks, ``batch`` how many schedules one transaction moves on.

    Where ``candidacy_of`` gives no other way, a lease decides who leads.
    """

    node: str
    catch_up: CatchUp = "one"
    batch: int = 100
    candidacy_of: CandidacyOf | None = None
    tracing: Tracing = field(default_factory=Tracing)


class Scheduler:
    """See the module."""

    def __init__(
        self,
        shards: Shards,
        zones: ZoneOf,
        metrics: Metrics,
        config: SchedulerConfig,
        started: Callable[[], None],
        quotas: Quotas | None = None,
    ) -> None:
        """``started`` is told that runs are in the queue, so that a worker of this process takes them at once."""
        self._quotas = quotas or Quotas()
        self._shards = shards
        self._zones = zones
        self._metrics = metrics
        self._config = config
        self._started = started
        self._awake: PerShard[asyncio.Event] = PerShard(lambda _shard: asyncio.Event())
        self._loops = ShardTasks("scheduler", (self._keep,))

    def wake(self) -> None:
        """Say that a schedule was changed; a hint, never needed for correctness."""
        for event in self._awake.values():
            event.set()

    async def start(self) -> None:
        """Begin to lead where nobody does."""
        await self._shards.follow(self._loops)

    async def stop(self) -> None:
        """Stop between two steps, and let another process lead at once."""
        await self._shards.leave(self._loops)

    async def step(self, shard: Shard, leadership: Candidacy, fence: int) -> int:
        """Handle one batch of due schedules; return how many there were."""
        async with shard.engine_write() as tx:
            found = await tick_store.due(
                tx, name=leadership.name, owner=leadership.owner, fence=fence, most=self._config.batch
            )
            if not found:
                return 0
            runs: list[NewRun] = []
            moved: list[Moved] = []
            for due in found:
                decision = await self._decide(due)
                run = self._new_run(shard, due, decision) if decision.fires else None
                runs += [] if run is None else [run]
                moved.append(_moved(due, decision, run))
            if runs:
                await store.enqueue_all(tx, runs)
            await tick_store.move_on(tx, moved)
        self._report(found, moved)
        if runs:
            self._started()
        return len(found)

    async def _keep(self, shard: Shard) -> None:
        awake = self._awake[shard]
        candidacy = (self._config.candidacy_of or leases(self._config.node))(shard, DUTY)
        tenure = Tenure(candidacy)
        self._metrics.coordination.watch(DUTY, shard, tenure)
        try:
            with self._metrics.loops.turning("schedules", shard.number, within=LATE_AFTER) as turned:
                while True:
                    awake.clear()
                    pause = await self._turn(shard, candidacy, tenure)
                    if pause is not None:
                        turned()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_SECONDS if pause is None else pause):
                            await awake.wait()
        finally:
            await tenure.end()

    async def _turn(self, shard: Shard, candidacy: Candidacy, tenure: Tenure) -> float | None:
        """Do what is due and return how long there is nothing to do; None where that went wrong."""
        try:
            fence = await tenure.fence()
            if fence is None:
                return min(_LOOK_SECONDS, candidacy.look_seconds)
            seconds = await _wait_seconds(shard)
            if seconds is not None and seconds <= 0:
                async with tenure.acting():
                    if await self.step(shard, candidacy, fence) >= self._config.batch:
                        return 0.0
                seconds = await _wait_seconds(shard)
        except Unavailable as error:
            _log.warning("schedule_failed", shard=shard.number, error=error.message)
            return None
        except Exception:  # noqa: BLE001
            # Whatever it is, schedules of every tenant hang on this loop: it tells and goes on.
            _log.exception("schedule_step_failed", shard=shard.number)
            return None
        return _LOOK_SECONDS if seconds is None else min(max(seconds, _SHORTEST_SECONDS), _LOOK_SECONDS)

    async def _decide(self, due: DueScenario) -> Decision:
        """Decide; a schedule that can no longer be read stops instead of holding up all others."""
        try:
            zone = await self._zones.of(due.organization_id)
            reached = self._quotas.reached(due.organization_id, due.team_id)
            return decide(due, _schedule(due), zone, self._config.catch_up, is_over_limit=bool(reached))
        except (InvalidInput, NotFound) as error:
            _log.error("schedule_unreadable", scenario_id=due.id, error=error.message)
            return Decision(fires=False, next_run_at=None, missed=due.ticks_missed, skipped=due.ticks_skipped)

    def _new_run(self, shard: Shard, due: DueScenario, decision: Decision) -> NewRun:
        """Return the run of a tick, with which its trace begins."""
        run = _new_run(shard, due, decision)
        with self._config.tracing.root(run.id, "schedule", "producer", due.organization_id) as span:
            describe(span, run)
            return msgspec.structs.replace(run, trace_context=carried()) if span.is_recording else run

    def _report(self, found: list[DueScenario], moved: list[Moved]) -> None:
        """Count, and tell in one line what had no run; each scenario's next run tells its own."""
        fired = sum(after.run is not None for after in moved)
        self._metrics.executions.ticks["fired"].inc(fired)
        self._metrics.executions.ticks["left_out"].inc(len(moved) - fired)
        pairs = list(zip(found, moved, strict=True))
        left_out = [due.id for due, after in pairs if after.skipped > due.ticks_skipped]
        missed = [due.id for due, after in pairs if after.missed > due.ticks_missed]
        if left_out or missed:
            _log.warning(
                "schedule_ticks_without_a_run",
                left_out=len(left_out),
                missed=len(missed),
                scenarios=[*left_out, *missed][:_SHOWN],
            )


async def _wait_seconds(shard: Shard) -> float | None:
    """Look by a single statement when something is due: nearly always nothing is, and then no transaction begins."""
    async with shard.engine_statement() as tx:
        return await tick_store.wait_seconds(tx)


def _schedule(due: DueScenario) -> Schedule:
    return read_schedule(msgspec.json.decode(due.scheduling, type=dict[str, object]), shortest=1)


def _moved(due: DueScenario, decision: Decision, run: NewRun | None) -> Moved:
    if run is None:
        return Moved(
            id=due.id,
            next_run_at=decision.next_run_at,
            run=None,
            missed=decision.missed,
            skipped=decision.skipped,
        )
    return Moved(id=due.id, next_run_at=decision.next_run_at, run=run.id)


def _new_run(shard: Shard, due: DueScenario, decision: Decision) -> NewRun:
    execution_id = new_execution_id(shard=shard.number)
    place = Place(execution_id=execution_id, scenario_id=due.id, seed=seed_of(execution_id))
    key = ordering_key(due.ordering_key, Settings(sequential=due.is_sequential), place, {})
    note = TickNote(due=_instant(due.next_run_at), missed=decision.missed, skipped=decision.skipped)
    return NewRun(
        id=execution_id,
        organization_id=due.organization_id,
        team_id=due.team_id,
        scenario_id=due.id,
        blueprint_version=due.blueprint_version,
        origin=ORIGIN_SCHEDULE,
        seed=seed_of(execution_id),
        head=encode_head(CallHead(method="TICK", tick=note)),
        body=b"",
        ordering_key=key,
        queue_class=LOW,
    )


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
