"""The look at who is silent: every half minute, by one process on each shard, never by a call itself.

It reads which scenarios were called since the look before, teaches what that says of their webhooks' rhythm, and tells
once of one that is missed and once of its return. Each batch is one transaction under the leader's fence, so of two
processes that both believe to lead one finds nothing to tell. Times in which nobody looked are outages: nobody could
be called then. Where services are apart, a look without any gateway that lives does not count either.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import structlog

from make_bridge.domain.gaps import store
from make_bridge.domain.gaps.messages import HookResumed, HookSilent, ScheduleLate, ScheduleResumed
from make_bridge.domain.gaps.model import (
    GapRules,
    Outage,
    Rhythm,
    counted_seconds,
    heard,
    patience,
    silence,
    switched,
    unheard,
)
from make_bridge.domain.gaps.store import KnownHook
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.ids import HookId, OrganizationId, ScenarioId
from make_bridge.kernel.messages import Event
from make_bridge.platform.coordination import leader_store
from make_bridge.platform.coordination.port import Candidacy, CandidacyOf
from make_bridge.platform.coordination.tenure import Tenure
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.observability.metrics.gaps import GapGauges
from make_bridge.platform.sharding.following import ShardTasks

DUTY: Final = "gaps"
_MOST_SCHEDULES: Final = 1000
# The lead is kept between two looks, too: its term is shorter than the time between them.
_KEEP_SECONDS: Final = 3.0
_log = structlog.get_logger(__name__)
Receives = Callable[[], Awaitable[bool]]
"""Says whether anybody takes calls from the world at this moment."""


@dataclass(slots=True)
class _Found:
    """What a batch of webhooks came to: rows to write, events to tell, and how many are silent."""

    changed: list[tuple[KnownHook, Rhythm]] = field(default_factory=list)
    facts: list[tuple[OrganizationId, str, Event]] = field(default_factory=list)
    silent: int = 0


class GapWatch:
    """See the module."""

    def __init__(
        self,
        shards: Shards,
        gauges: GapGauges,
        clock: Clock,
        rules: GapRules,
        candidacy_of: CandidacyOf,
        receives: Receives,
    ) -> None:
        """``candidacy_of`` decides which process looks."""
        self._clock = clock
        self._shards = shards
        self._gauges = gauges
        self._rules = rules
        self._candidacy_of = candidacy_of
        self._receives = receives
        self._loops = ShardTasks("gaps", (self._keep_looking,))

    async def start(self) -> None:
        """Begin to look where nobody does."""
        await self._shards.follow(self._loops)

    async def stop(self) -> None:
        """Stop between two batches."""
        await self._shards.leave(self._loops)

    async def look(self, shard: Shard, candidacy: Candidacy, fence: int) -> None:
        """Look once at everything on a shard; raises Unavailable, also when another process leads by now."""
        if not await self._receives():
            return
        async with shard.engine_write() as tx:
            await leader_store.require(tx, candidacy.name, candidacy.owner, fence)
            looked = await store.look(tx, self._rules.outage)
            called = await store.called(tx, looked)
        if looked.outages:
            _log.warning("gap_outage_noted", shard=shard.number, since=looked.before.isoformat())
        async with shard.engine_statement() as tx:
            away = await store.outages(tx)
        after, silent = HookId(0), 0
        while True:
            async with shard.engine_write() as tx:
                await leader_store.require(tx, candidacy.name, candidacy.owner, fence)
                hooks = await store.hooks(tx, after, self._rules.batch)
                found = judge_all(hooks, called, looked.at, away, self._rules)
                await store.keep(tx, found.changed)
                await store.tell(tx, found.facts)
            silent += found.silent
            if len(hooks) < self._rules.batch:
                break
            after = hooks[-1].hook_id
        async with shard.engine_write() as tx:
            await leader_store.require(tx, candidacy.name, candidacy.owner, fence)
            late = await self._look_at_schedules(tx, looked.at, away)
        self._gauges.show(shard.number, hooks=silent, schedules=late)

    async def _look_at_schedules(self, tx: WriteTx, now: datetime, outages: list[Outage]) -> int:
        """Tell of schedules that are late, and of those that run again; return how many are late."""
        grace = self._rules.late
        told = await store.told_late(tx, grace, _MOST_SCHEDULES)
        over = [schedule for schedule in told if not (schedule.is_on and schedule.is_behind)]
        behind = await store.behind(tx, grace, _MOST_SCHEDULES)
        late = [schedule for schedule in behind if counted_seconds(schedule.due_at, now, outages) > grace]
        facts: list[tuple[OrganizationId, str, Event]] = [
            (
                schedule.organization_id,
                f"scenario/{schedule.scenario_id}",
                ScheduleResumed(
                    scenario_id=schedule.scenario_id,
                    team_id=schedule.team_id,
                    due_at=schedule.due_at,
                    late_at=schedule.late_at,
                ),
            )
            for schedule in over
            if schedule.is_on
        ]
        facts += [
            (
                schedule.organization_id,
                f"scenario/{schedule.scenario_id}",
                ScheduleLate(
                    scenario_id=schedule.scenario_id,
                    team_id=schedule.team_id,
                    due_at=schedule.due_at,
                    late_seconds=round(counted_seconds(schedule.due_at, now, outages)),
                ),
            )
            for schedule in late
        ]
        if over:
            await store.forget_late(tx, [schedule.scenario_id for schedule in over])
        if late:
            await store.note_late(tx, late, now)
        await store.tell(tx, facts)
        return len(told) - len(over) + len(late)

    async def _keep_looking(self, shard: Shard) -> None:
        candidacy = self._candidacy_of(shard, DUTY)
        tenure = Tenure(candidacy)
        next_look = 0.0
        try:
            while True:
                if await self._turn(shard, candidacy, tenure, next_look):
                    next_look = self._clock.monotonic() + self._rules.look
                await asyncio.sleep(min(self._rules.look, _KEEP_SECONDS))
        finally:
            await tenure.end()

    async def _turn(self, shard: Shard, candidacy: Candidacy, tenure: Tenure, next_look: float) -> bool:
        """Look when it is time and this process leads; say whether it did."""
        try:
            fence = await tenure.fence()
            if fence is None:
                self._gauges.forget(shard.number)
                return False
            if self._clock.monotonic() < next_look:
                return False
            async with tenure.acting():
                await self.look(shard, candidacy, fence)
        except Unavailable as error:
            _log.info("gap_look_failed", shard=shard.number, error=error.message)
        except Exception:  # noqa: BLE001
            # Every tenant's alarm hangs on this loop: it tells and goes on.
            _log.exception("gap_look_failed", shard=shard.number)
        return True


def judge_all(
    hooks: list[KnownHook],
    called: Mapping[ScenarioId, datetime],
    now: datetime,
    outages: list[Outage],
    rules: GapRules,
) -> _Found:
    """Judge a batch; ``called`` says when scenarios were called last, lately."""
    found = _Found()
    for hook in hooks:
        after, event = judge(hook, called.get(hook.scenario_id), now, outages, rules)
        if after is not None and after != hook.rhythm:
            found.changed.append((hook, after))
        if event is not None:
            found.facts.append((hook.organization_id, f"hook/{hook.hook_id}", event))
        found.silent += after is not None and after.silent_at is not None
    return found


def judge(
    hook: KnownHook, called_at: datetime | None, now: datetime, outages: list[Outage], rules: GapRules
) -> tuple[Rhythm | None, HookSilent | HookResumed | None]:
    """Return what is known of a webhook now, and what there is to tell."""
    rhythm = hook.rhythm
    if called_at is not None and (rhythm is None or not rhythm.times or called_at > rhythm.heard):
        return heard(rhythm, called_at, rules, outages), _resumed(hook, rhythm, called_at)
    if not hook.is_on:
        known = rhythm or (None if hook.expected is None else unheard(now))
        return (known, None) if known is None or known.is_off else (switched(known, is_on=False, now=now), None)
    if rhythm is not None and rhythm.is_off:
        return switched(rhythm, is_on=True, now=now), None
    most = patience(rhythm, hook.expected, rules)
    gone_by = silence(rhythm, hook.expected, now, outages)
    if most is None or gone_by is None or gone_by <= most:
        # What was silent may be given more time, or be missed no more: that is no call, and tells nothing.
        return (rhythm if rhythm is None else replace(rhythm, silent_at=None)), None
    known = rhythm or unheard(now if hook.expected is None else hook.expected.since)
    if known.silent_at is not None:
        return known, None
    return replace(known, silent_at=now), _silent(hook, known, gone_by)


def _silent(hook: KnownHook, known: Rhythm, seconds: float) -> HookSilent:
    said = None if hook.expected is None else hook.expected.seconds
    return HookSilent(
        hook_id=hook.hook_id,
        scenario_id=hook.scenario_id,
        team_id=hook.team_id,
        heard_at=known.heard if known.times else None,
        silent_seconds=round(seconds),
        expected_seconds=round(known.pause) if said is None else said,
        is_learned=said is None,
    )


def _resumed(hook: KnownHook, rhythm: Rhythm | None, called_at: datetime) -> HookResumed | None:
    if rhythm is None or rhythm.silent_at is None:
        return None
    return HookResumed(
        hook_id=hook.hook_id,
        scenario_id=hook.scenario_id,
        team_id=hook.team_id,
        silent_at=rhythm.silent_at,
        heard_at=called_at,
    )
