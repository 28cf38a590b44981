"""What follows from a run that did not simply succeed, in the transaction that settles it.

Called by ``store`` for batches with a warning, an error or a retry among them; a batch of successes never
comes here. First it is decided what the store of incomplete executions has room for, because that changes how
a run ended; after the outcomes are written, bundles are parked, retried records are moved or resolved,
scenarios are counted, paused or switched off, and the facts go to the outbox.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec

from make_bridge.domain.executions import dead_letter_store, incomplete_store, runlog, trouble_store
from make_bridge.domain.executions.incomplete import IncompleteLimits, Parked
from make_bridge.domain.executions.incomplete_messages import (
    ExecutionFailed,
    ExecutionWarned,
    IncompleteExecutionResolved,
    IncompleteExecutionStored,
    ScenarioPaused,
)
from make_bridge.domain.executions.model import Outcome, Status
from make_bridge.domain.executions.trouble_store import Fact
from make_bridge.domain.scenarios.messages import ScenarioDeactivated
from make_bridge.kernel.entropy import chance
from make_bridge.kernel.ids import ExecutionId, OrganizationId, ScenarioId
from make_bridge.kernel.messages import Event
from make_bridge.platform.database.transactions import WriteTx

_FULL = "OutOfSpaceError"
_Use = dict[tuple[OrganizationId, ScenarioId | None], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Outcomes as they will be written, and those whose scenario has to stand still for want of room."""

    outcomes: list[Outcome]
    paused: list[Outcome]

    def of(self, settled: Collection[ExecutionId]) -> "Batch":
        """Return the part that was settled; the rest was refused and nothing follows from it."""
        return Batch([o for o in self.outcomes if o.id in settled], [o for o in self.paused if o.id in settled])


async def make_room(tx: WriteTx, outcomes: Sequence[Outcome], limits: IncompleteLimits) -> Batch:
    """Decide for each new record whether it is kept, dropped with a warning, or kept and the scenario paused."""
    parking = [outcome for outcome in outcomes if _new_records(outcome)]
    if not parking:
        return Batch(list(outcomes), [])
    await incomplete_store.lock_room(tx, [outcome.organization_id for outcome in parking])
    use: _Use = {}
    for outcome in parking:
        for key in _keys(outcome):
            if key not in use:
                use[key] = await incomplete_store.used(tx, *key)
    written, paused = [], []
    for outcome in outcomes:
        fitted, stops = _fitted(outcome, use, limits) if _new_records(outcome) else (outcome, False)
        written.append(fitted)
        if stops:
            paused.append(fitted)
    return Batch(written, paused)


def _new_records(outcome: Outcome) -> tuple[Parked, ...]:
    """Return the bundles that need a record: the first of a retry has one already."""
    return outcome.parked if outcome.resumed is None else outcome.parked[1:]


def _keys(outcome: Outcome) -> tuple[tuple[OrganizationId, ScenarioId | None], ...]:
    return ((outcome.organization_id, None), (outcome.organization_id, outcome.scenario_id))


def _fitted(outcome: Outcome, use: _Use, limits: IncompleteLimits) -> tuple[Outcome, bool]:
    """Return the outcome without what was dropped, or as an error that stops its scenario (then True)."""
    kept = list(outcome.parked[: len(outcome.parked) - len(_new_records(outcome))])
    dropped, stops = 0, False
    for parked in _new_records(outcome):
        full = _is_full(outcome, parked, use, limits)
        if full and parked.may_drop:
            dropped += 1
            continue
        stops = stops or full
        kept.append(parked)
        for key in _keys(outcome):
            records, size = use[key]
            use[key] = (records + 1, size + parked.size)
    if not dropped and not stops:
        return outcome, False
    detail = outcome.detail
    if dropped:
        detail = runlog.with_warning(detail, _dropped(dropped))
    if stops:
        detail = runlog.with_error(detail, _FULL, _STOPPED)
    status = Status.ERROR if stops else outcome.status
    return msgspec.structs.replace(outcome, parked=tuple(kept), detail=detail, status=status), stops


def _is_full(outcome: Outcome, parked: Parked, use: _Use, limits: IncompleteLimits) -> bool:
    of_all, of_scenario = (use[key] for key in _keys(outcome))
    return (
        of_all[0] >= limits.per_organization
        or of_all[1] + parked.size > limits.bytes_per_organization
        or of_scenario[0] >= limits.per_scenario
        or of_scenario[1] + parked.size > limits.bytes_per_scenario
    )


_STOPPED = (
    "There is no room for more incomplete executions. This one was still kept and the scenario is paused: "
    "resolve or delete some, then switch the scenario on again."
)


def _dropped(count: int) -> str:
    bundles = "One bundle was" if count == 1 else f"{count} bundles were"
    return f"{bundles} dropped: there is no room for more incomplete executions, and the scenario allows data loss."


async def follow(tx: WriteTx, batch: Batch) -> None:
    """Write what follows from outcomes that were just settled."""
    facts: list[Fact] = []
    for outcome in batch.outcomes:
        facts += _told(outcome)
        facts += await _follow_records(tx, outcome)
        if outcome.dead is not None:
            place = (outcome.organization_id, outcome.team_id, outcome.scenario_id)
            await dead_letter_store.keep(tx, outcome.id, place, outcome.dead)
    troubled = [outcome for outcome in batch.outcomes if _matters(outcome)]
    for row in await trouble_store.note(tx, troubled, batch.paused):
        facts.append(_switched(row["organization_id"], row["scenario_id"], row["done"], row["cause"]))
    await trouble_store.tell(tx, facts)


def _matters(outcome: Outcome) -> bool:
    return outcome.trouble is not None and (outcome.trouble.counts or outcome.trouble.waits)


async def _follow_records(tx: WriteTx, outcome: Outcome) -> list[Fact]:
    resumed, parked = outcome.resumed, outcome.parked
    if resumed is None:
        for item in parked:
            await incomplete_store.park(tx, outcome, item, parent=None)
        return [_stored(outcome, item, item.id) for item in parked]
    if parked:
        if not await incomplete_store.move(tx, outcome, parked[0], resumed.record_id, resumed.attempts + 1):
            return []
        for item in parked[1:]:
            await incomplete_store.park(tx, outcome, item, parent=resumed.record_id)
        return [_stored(outcome, item, item.id) for item in parked[1:]]
    if outcome.status is not Status.ERROR:
        gone = not await incomplete_store.resolve(tx, resumed.record_id, outcome.id)
        return [] if gone else [_resolved(outcome, resumed.record_id)]
    trouble = outcome.trouble
    kind, message = ("UnknownError", "") if trouble is None else (trouble.error_type, trouble.message)
    delay = resumed.plan.wait(resumed.attempts + 1, 0.0, chance())
    await incomplete_store.stay(tx, outcome, error_type=kind, message=message, delay=delay)
    return []


def _told(outcome: Outcome) -> list[Fact]:
    if outcome.status is Status.SUCCESS:
        return []
    scenario_id, execution_id = outcome.scenario_id, outcome.id
    if outcome.status is Status.WARNING:
        warned = ExecutionWarned(execution_id=execution_id, scenario_id=scenario_id)
        return [_fact(outcome, f"execution/{execution_id}", warned)]
    error = runlog.decode_detail(outcome.detail).error
    failed = ExecutionFailed(
        execution_id=execution_id,
        scenario_id=scenario_id,
        error="UnknownError" if error is None else error.name,
        message="" if error is None or outcome.confidential else error.message,
    )
    return [_fact(outcome, f"execution/{execution_id}", failed)]


def _stored(outcome: Outcome, parked: Parked, record_id: str) -> Fact:
    stored = IncompleteExecutionStored(
        incomplete_execution_id=record_id,
        scenario_id=outcome.scenario_id,
        execution_id=outcome.id,
        error=parked.error_type,
        retries=parked.plan.delay(0) is not None,
    )
    return _fact(outcome, f"incomplete_execution/{record_id}", stored)


def _resolved(outcome: Outcome, record_id: str) -> Fact:
    resolved = IncompleteExecutionResolved(
        incomplete_execution_id=record_id, scenario_id=outcome.scenario_id, execution_id=outcome.id
    )
    return _fact(outcome, f"incomplete_execution/{record_id}", resolved)


def _switched(organization_id: OrganizationId, scenario_id: ScenarioId, done: str, cause: str) -> Fact:
    kind = ScenarioPaused if done == "paused" else ScenarioDeactivated
    event = kind(scenario_id=scenario_id, cause=cause)
    return Fact(organization_id=organization_id, subject=f"scenario/{scenario_id}", event=event)


def _fact(outcome: Outcome, subject: str, event: Event) -> Fact:
    return Fact(
        organization_id=outcome.organization_id, subject=subject, event=event, trace_context=outcome.trace_context
    )
