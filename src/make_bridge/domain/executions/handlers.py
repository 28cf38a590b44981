"""Starting an execution by hand or through an API."""

from dataclasses import dataclass
from typing import Any

from make_bridge.domain.executions import store
from make_bridge.domain.executions.confidential import Payloads
from make_bridge.domain.executions.messages import ExecutionRequested, RunScenario
from make_bridge.domain.executions.model import NewRun
from make_bridge.domain.executions.ordering import Place, ordering_key
from make_bridge.domain.executions.perform import seed_of
from make_bridge.domain.executions.trigger import CallHead, encode_head
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.blueprints import compile_stored
from make_bridge.domain.usage import store as usage_store
from make_bridge.domain.usage.model import WHOLE
from make_bridge.kernel.errors import Conflict, LimitExceeded
from make_bridge.kernel.ids import ExecutionId, TeamId, new_execution_id, shard_of
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.queue.leases import HIGH

_ASK_AGAIN_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionHandlers:
    """The handler, with what it needs beside the unit of work."""

    payloads: Payloads

    async def run_scenario(self, work: UnitOfWork, command: RunScenario) -> ExecutionId:
        """Store one run, ready for any worker; it commits together with its audit record."""
        organization_id = work.context.organization_id
        scenario = await scenario_store.get(work.tx, organization_id, command.scenario_id)
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
            origin=command.origin,
            seed=seed_of(execution_id),
            head=encode_head(CallHead(method="RUN", inputs=command.inputs)),
            body=b"",
            ordering_key=ordering_key(scenario.ordering_key, settings, place, command.inputs or {}),
            queue_class=HIGH,
        )
        stored = await self.payloads.seal(run) if settings.confidential else run
        await store.enqueue(work.tx, stored)
        work.touch(f"scenario/{scenario.id}", execution=execution_id)
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
            )
        ]


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
