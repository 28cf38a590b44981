"""Starting an execution by hand or through an API, with inputs or with what an earlier one was started with."""

from dataclasses import dataclass
from typing import Any

from make_bridge.domain.executions import store
from make_bridge.domain.executions.callbacks import Callbacks
from make_bridge.domain.executions.confidential import Payloads, is_sealed_head
from make_bridge.domain.executions.incomplete import ORIGIN as RETRIED
from make_bridge.domain.executions.messages import ExecutionRequested, ReplayExecution, RunScenario
from make_bridge.domain.executions.model import NewRun
from make_bridge.domain.executions.ordering import Place, ordering_key
from make_bridge.domain.executions.perform import seed_of
from make_bridge.domain.executions.trigger import Bundle, CallHead, decode_head, encode_head, stored_bundle
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.blueprints import compile_stored
from make_bridge.domain.scenarios.messages import Scenario
from make_bridge.domain.usage import store as usage_store
from make_bridge.domain.usage.model import WHOLE
from make_bridge.kernel.errors import Conflict, LimitExceeded, NotFound
from make_bridge.kernel.ids import ExecutionId, TeamId, new_execution_id, shard_of
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.transactions import Row
from make_bridge.platform.observability.tracing.spans import carried
from make_bridge.platform.queue.leases import HIGH

_ASK_AGAIN_SECONDS = 3600.0
_RETRIED = "This was an attempt at an incomplete execution: try that one again instead."
_GONE = "What this execution was started with is not stored any more, so it cannot be replayed."
_CONFIDENTIAL = "What an execution of a confidential scenario was started with is erased or sealed: it is not replayed."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """What a run is started with: the stored form, and the bundle that it makes."""

    origin: str
    head: bytes
    body: bytes
    bundle: Bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionHandlers:
    """The handler, with what it needs beside the unit of work."""

    payloads: Payloads
    callbacks: Callbacks

    async def run_scenario(self, work: UnitOfWork, command: RunScenario) -> ExecutionId:
        """Store one run, ready for any worker; it commits together with its audit record."""
        scenario = await scenario_store.get(work.tx, work.context.organization_id, command.scenario_id)
        head = encode_head(CallHead(method="RUN", inputs=command.inputs))
        start = _Start(origin=command.origin, head=head, body=b"", bundle=command.inputs or {})
        execution_id = await self._begin(work, scenario, start)
        if command.callback_url is not None:
            place = (work.context.organization_id, scenario.team_id, scenario.id)
            await self.callbacks.ask(work.tx, place, execution_id, command.callback_url)
        work.touch(f"scenario/{scenario.id}", execution=execution_id)
        return execution_id

    async def replay(self, work: UnitOfWork, command: ReplayExecution) -> ExecutionId:
        """Store one run that begins as an earlier one did; raises NotFound, and Conflict where that is gone."""
        organization_id = work.context.organization_id
        scenario = await scenario_store.get(work.tx, organization_id, command.scenario_id)
        old = await store.read_run(work.tx, organization_id, command.execution_id)
        if old is None and await store.is_accepted(work.tx, organization_id, command.execution_id):
            raise Conflict(_GONE, code="payload_gone")
        if old is None or old["scenario_id"] != scenario.id:
            raise NotFound("There is no such execution of this scenario.")
        execution_id = await self._begin(work, scenario, _start_of(old))
        work.touch(f"scenario/{scenario.id}", execution=execution_id, replayed=command.execution_id)
        return execution_id

    async def _begin(self, work: UnitOfWork, scenario: Scenario, start: _Start) -> ExecutionId:
        organization_id = work.context.organization_id
        if scenario.is_invalid:
            message = "This scenario has errors in its blueprint and cannot run: switch it on to see them."
            raise Conflict(message, code="scenario_invalid")
        await _require_usage(work, scenario.team_id)
        raw = await scenario_store.get_blueprint(work.tx, organization_id, scenario.id)
        settings = compile_stored(raw).settings
        execution_id = new_execution_id(shard=shard_of(scenario.id))
        place = Place(execution_id=execution_id, scenario_id=scenario.id, seed=seed_of(execution_id))
        run = NewRun(
            id=execution_id,
            organization_id=organization_id,
            team_id=scenario.team_id,
            scenario_id=scenario.id,
            blueprint_version=scenario.blueprint_version,
            origin=start.origin,
            seed=seed_of(execution_id),
            head=start.head,
            body=start.body,
            ordering_key=ordering_key(scenario.ordering_key, settings, place, start.bundle),
            queue_class=HIGH,
            trace_context=carried(),
        )
        stored = await self.payloads.seal(run) if settings.confidential else run
        await store.enqueue(work.tx, stored)
        requested = ExecutionRequested(execution_id=execution_id, scenario_id=scenario.id)
        work.emit(requested, subject=f"execution/{execution_id}")
        return execution_id

    def commands(self) -> list[CommandRegistration[Any, Any]]:
        """Return the slice's commands for the composition root."""
        return [
            CommandRegistration(
                command=RunScenario,
                handler=self.run_scenario,
                result=str,
                permission="scenarios:run",
                action="scenario.run",
            ),
            CommandRegistration(
                command=ReplayExecution,
                handler=self.replay,
                result=str,
                permission="scenarios:run",
                action="scenario.replay",
            ),
        ]


def _start_of(old: Row) -> _Start:
    """Return what a stored execution was started with; raises Conflict. A tick of a schedule carries nothing."""
    if old["origin"] == RETRIED:
        raise Conflict(_RETRIED, code="incomplete_execution")
    head = bytes(old["head"])
    if not head:
        raise Conflict(_GONE, code="payload_gone")
    if is_sealed_head(head):
        raise Conflict(_CONFIDENTIAL, code="payload_gone")
    if decode_head(head).tick is not None:
        head = encode_head(CallHead(method="RUN", inputs={}))
    return _Start(origin="manual", head=head, body=bytes(old["body"]), bundle=stored_bundle(old))


async def _require_usage(work: UnitOfWork, team_id: TeamId) -> None:
    """Raise LimitExceeded for a team that may use nothing more: whoever asks by hand is there to hear it."""
    reached = await usage_store.reached_now(work.tx, work.context.organization_id, team_id)
    if reached is None:
        return
    whose = "organization" if reached.team_id == WHOLE else "customer"
    message = (
        f"This {whose} has used what it may use this month ({reached.measure}: {reached.used} of {reached.most}). "
        "Runs start again when the limit is raised, or with the next month (UTC)."
    )
    raise LimitExceeded(message, code="usage_limit_reached", retry_after=_ASK_AGAIN_SECONDS)
