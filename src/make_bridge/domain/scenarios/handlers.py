"""What changes scenarios: create, save, switch on and off, delete, and their hooks."""

from dataclasses import dataclass
from typing import Any

import msgspec

from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.folders import store as folder_store
from make_bridge.domain.organizations.zones import Zones
from make_bridge.domain.scenarios import model, ordering, schedules, store
from make_bridge.domain.scenarios.blueprints import BlueprintFacts, read_facts
from make_bridge.domain.scenarios.messages import (
    ActivateScenario,
    BlueprintSaved,
    CreateHook,
    CreateScenario,
    DeactivateScenario,
    DeleteScenario,
    EditScenario,
    Hook,
    Ordering,
    SaveBlueprint,
    Scenario,
    ScenarioActivated,
    ScenarioCreated,
    ScenarioDeactivated,
    ScenarioDeleted,
    ScenarioEdited,
    SetInterface,
    SetOrdering,
)
from make_bridge.domain.scenarios.model import JsonObject, ScenarioState
from make_bridge.domain.scenarios.schedules import Plan
from make_bridge.engine.schedule.shapes import SHORTEST_SECONDS, read_schedule
from make_bridge.kernel.errors import Conflict
from make_bridge.kernel.ids import HookId, ScenarioId, TeamId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.security.sealing import Sealing
from make_bridge.platform.security.secrets import new_opaque_token, opaque_token_digest

_SHOWN_ERRORS = 5
_AUDITED = frozenset({"name", "scheduling", "blueprint_version", "is_invalid"})
_SWITCHED = frozenset({"is_active"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioHandlers:
    """The handlers, with what they need beside the unit of work."""

    sealing: Sealing
    zones: Zones
    shortest_interval: int = SHORTEST_SECONDS

    async def create(self, work: UnitOfWork, command: CreateScenario) -> Scenario:
        """Make a scenario, its first blueprint version and, for an instant first module, its hook."""
        organization_id = work.context.organization_id
        require_sight(work.context, command.team_id)
        await store.require_team(work.tx, organization_id, command.team_id)
        if command.folder_id is not None:
            await folder_store.hold(work.tx, organization_id, command.folder_id, command.team_id)
        facts, hook_id = read_facts(command.blueprint), command.hook_id
        if command.make_hook and hook_id is None and model.needs_hook(facts.document):
            hook_id = (await self._make_hook(work, command.team_id, command.name or facts.name)).id
        if hook_id is not None:
            facts = read_facts(model.with_hook(facts.document, hook_id))
        new = self._row(facts, command, hook_id)
        scenario = await store.insert(work.tx, organization_id, new, facts.raw)
        if hook_id is not None:
            await store.attach_hook(work.tx, organization_id, hook_id, command.team_id, scenario.id)
        work.touch(f"scenario/{scenario.id}", name=scenario.name)
        work.change(after=scenario)
        work.emit(ScenarioCreated(scenario_id=scenario.id, team_id=scenario.team_id), subject=f"scenario/{scenario.id}")
        return scenario

    async def save_blueprint(self, work: UnitOfWork, command: SaveBlueprint) -> Scenario:
        """Write the next version of a blueprint."""
        current = await store.lock(work.tx, work.context.organization_id, command.scenario_id)
        return await self._save(work, current, command.blueprint)

    async def set_interface(self, work: UnitOfWork, command: SetInterface) -> Scenario:
        """Write the next version of a blueprint, with other inputs and outputs declared."""
        organization_id = work.context.organization_id
        current = await store.lock(work.tx, organization_id, command.scenario_id, command.expected)
        blueprint = msgspec.json.decode(await store.get_blueprint(work.tx, organization_id, current.id))
        declared = {"input": command.input, "output": command.output}
        return await self._save(work, current, model.with_interface(blueprint, declared))

    async def _save(
        self, work: UnitOfWork, current: Scenario, blueprint: JsonObject, scheduling: JsonObject | None = None
    ) -> Scenario:
        """Write the next version; one that is switched on has to fit ``scheduling``, by default its own."""
        organization_id = work.context.organization_id
        scheduling = current.scheduling if scheduling is None else scheduling
        facts = read_facts(blueprint)
        if current.hook_id is not None and model.needs_hook(facts.document):
            facts = read_facts(model.with_hook(facts.document, current.hook_id))
        if current.is_active and not facts.errors:
            await self._plan(work, scheduling, facts)
        create = CreateScenario(
            team_id=current.team_id, blueprint=facts.document, name=current.name, scheduling=scheduling
        )
        new = self._row(facts, create, current.hook_id)
        scenario = await store.save_blueprint(work.tx, organization_id, current.id, new, facts.raw)
        work.touch(f"scenario/{scenario.id}", version=scenario.blueprint_version)
        work.change(before=current, after=scenario)
        saved = BlueprintSaved(scenario_id=scenario.id, version=scenario.blueprint_version)
        work.emit(saved, subject=f"scenario/{scenario.id}")
        return scenario

    async def activate(self, work: UnitOfWork, command: ActivateScenario) -> ScenarioId:
        """Switch on, or say what in the blueprint forbids it."""
        organization_id = work.context.organization_id
        scenario = await store.lock(work.tx, organization_id, command.scenario_id)
        facts = read_facts(msgspec.json.decode(await store.get_blueprint(work.tx, organization_id, scenario.id)))
        if scenario.is_invalid:
            raise Conflict(_why_invalid(facts.errors), code="scenario_invalid")
        plan = await self._plan(work, scenario.scheduling, facts)
        await self._switch(work, scenario, ScenarioState.ACTIVE)
        if not scenario.is_active:
            await store.set_plan(work.tx, organization_id, scenario.id, plan)
        work.emit(ScenarioActivated(scenario_id=scenario.id), subject=f"scenario/{scenario.id}")
        return scenario.id

    async def deactivate(self, work: UnitOfWork, command: DeactivateScenario) -> ScenarioId:
        """Switch off."""
        scenario = await store.lock(work.tx, work.context.organization_id, command.scenario_id)
        await self._switch(work, scenario, ScenarioState.INACTIVE)
        await store.set_plan(work.tx, work.context.organization_id, scenario.id, schedules.OFF)
        event = ScenarioDeactivated(scenario_id=scenario.id, cause="request")
        work.emit(event, subject=f"scenario/{scenario.id}")
        return scenario.id

    async def edit(self, work: UnitOfWork, command: EditScenario) -> Scenario:
        """Rename, save, or let it run at other times; one that is on goes by its new schedule from now on."""
        organization_id = work.context.organization_id
        before = current = await store.lock(work.tx, organization_id, command.scenario_id, command.expected)
        scheduling = current.scheduling if command.scheduling is None else command.scheduling
        if command.scheduling is not None:
            read_schedule(scheduling, shortest=self.shortest_interval)
        if command.blueprint is not None:
            current = await self._save(work, current, command.blueprint, scheduling)
        if command.scheduling is not None and current.is_active:
            raw = await store.get_blueprint(work.tx, organization_id, current.id)
            plan = await self._plan(work, scheduling, read_facts(msgspec.json.decode(raw)))
            await store.set_plan(work.tx, organization_id, current.id, plan)
        name = current.name if command.name is None else model.checked_name(command.name)
        description = None if command.description is None else model.checked_description(command.description)
        scenario = await store.edit(work.tx, organization_id, current.id, name, scheduling, description)
        await self._move(work, scenario, command)
        work.touch(f"scenario/{scenario.id}", name=scenario.name, scheduling=scheduling, folder=command.folder_id)
        work.change(before=before, after=scenario)
        work.emit(ScenarioEdited(scenario_id=scenario.id), subject=f"scenario/{scenario.id}")
        return scenario

    async def _move(self, work: UnitOfWork, scenario: Scenario, command: EditScenario) -> None:
        """Put a scenario into another folder, or out of the one it stands in; raises NotFound."""
        organization_id = work.context.organization_id
        if command.folder_id is not None:
            await folder_store.hold(work.tx, organization_id, command.folder_id, scenario.team_id)
        if command.folder_id is not None or command.out_of_folder:
            await store.set_folder(work.tx, organization_id, scenario.id, command.folder_id)

    async def set_ordering(self, work: UnitOfWork, command: SetOrdering) -> Ordering:
        """Order the runs that arrive from now on; what waits keeps its place."""
        organization_id = work.context.organization_id
        current = await store.lock(work.tx, organization_id, command.scenario_id)
        blueprint = await store.get_blueprint(work.tx, organization_id, current.id)
        expression = ordering.checked_expression(command.expression, blueprint)
        await store.set_ordering(work.tx, organization_id, current.id, expression)
        work.touch(f"scenario/{current.id}", orderingKey=expression)
        work.change(before=current, after={"ordering_key": expression})
        work.emit(ScenarioEdited(scenario_id=current.id), subject=f"scenario/{current.id}")
        return ordering.ordering_of(await store.get(work.tx, organization_id, current.id), blueprint)

    async def delete(self, work: UnitOfWork, command: DeleteScenario) -> None:
        """Remove a scenario with what belongs to it."""
        await store.delete(work.tx, work.context.organization_id, command.scenario_id)
        subject = f"scenario/{command.scenario_id}"
        work.touch(subject)
        work.emit(ScenarioDeleted(scenario_id=command.scenario_id), subject=subject)

    async def create_hook(self, work: UnitOfWork, command: CreateHook) -> Hook:
        """Make a webhook address."""
        require_sight(work.context, command.team_id)
        await store.require_team(work.tx, work.context.organization_id, command.team_id)
        name, type_name = model.checked_hook_name(command.name), model.checked_hook_type(command.type_name)
        row = store.NewHook(type_name=type_name, settings=msgspec.json.encode(command.data))
        return await self._make_hook(work, command.team_id, name, row)

    async def _make_hook(self, work: UnitOfWork, team_id: TeamId, name: str, row: store.NewHook = store.PLAIN) -> Hook:
        organization_id = work.context.organization_id
        token = new_opaque_token(organization_id)
        hook_id = HookId(await store.new_id(work.tx))
        hook = Hook(
            id=hook_id, team_id=team_id, name=name[: model.MAX_NAME], token=token, scenario_id=None, enabled=True
        )
        sealed = await self.sealing.seal(organization_id, ("hook", hook_id, "token"), token.encode())
        await store.insert_hook(work.tx, organization_id, hook, opaque_token_digest(token), sealed, row)
        work.touch(f"hook/{hook_id}", name=hook.name)
        return hook

    async def _plan(self, work: UnitOfWork, scheduling: JsonObject, facts: BlueprintFacts) -> Plan:
        """Return when a scenario would run if it were switched on now; raises when its schedule does not fit it."""
        schedule = read_schedule(scheduling, shortest=self.shortest_interval)
        zone = await self.zones.of(work.context.organization_id)
        return schedules.plan(schedule, facts, zone, await store.moment(work.tx))

    def _row(self, facts: BlueprintFacts, command: CreateScenario, hook_id: HookId | None) -> store.NewScenario:
        scheduling = schedules.scheduling_of(command.scheduling, facts)
        read_schedule(scheduling, shortest=self.shortest_interval)
        return store.NewScenario(
            team_id=command.team_id,
            template_version_id=command.template_version_id,
            flow_id=command.flow_id,
            name=model.checked_name((command.name or facts.name)[: model.MAX_NAME]),
            is_invalid=bool(facts.errors),
            used_packages=facts.used_packages,
            scheduling=scheduling,
            interface=facts.interface,
            hook_id=hook_id,
            is_sequential=facts.is_sequential,
            folder_id=command.folder_id,
        )

    async def _switch(self, work: UnitOfWork, scenario: Scenario, target: ScenarioState) -> None:
        current = ScenarioState.ACTIVE if scenario.is_active else ScenarioState.INACTIVE
        model.LIFECYCLE.move(current, target)
        await store.set_state(work.tx, work.context.organization_id, scenario.id, target)
        work.touch(f"scenario/{scenario.id}", state=target.value)
        work.change(before=scenario, after={"is_active": target is ScenarioState.ACTIVE})


def _why_invalid(errors: list[str]) -> str:
    shown = "; ".join(errors[:_SHOWN_ERRORS])
    more = f"; and {len(errors) - _SHOWN_ERRORS} more" if len(errors) > _SHOWN_ERRORS else ""
    return f"This scenario cannot be switched on: {shown}{more}."


def commands(handlers: ScenarioHandlers) -> list[CommandRegistration[Any, Any]]:
    """Return the slice's commands for the composition root."""
    write = "scenarios:write"
    return [
        CommandRegistration(
            command=CreateScenario,
            handler=handlers.create,
            result=Scenario,
            permission=write,
            action="scenario.create",
            audited=_AUDITED,
        ),
        CommandRegistration(
            command=SaveBlueprint,
            handler=handlers.save_blueprint,
            result=Scenario,
            permission=write,
            action="scenario.save_blueprint",
            audited=_AUDITED,
        ),
        CommandRegistration(
            command=SetInterface,
            handler=handlers.set_interface,
            result=Scenario,
            permission=write,
            action="scenario.set_interface",
            audited=_AUDITED,
        ),
        CommandRegistration(
            command=ActivateScenario,
            handler=handlers.activate,
            result=int,
            permission=write,
            action="scenario.activate",
            audited=_SWITCHED,
        ),
        CommandRegistration(
            command=EditScenario,
            handler=handlers.edit,
            result=Scenario,
            permission=write,
            action="scenario.edit",
            audited=_AUDITED,
        ),
        CommandRegistration(
            command=SetOrdering,
            handler=handlers.set_ordering,
            result=Ordering,
            permission=write,
            action="scenario.set_ordering",
            audited=frozenset({"ordering_key"}),
        ),
        CommandRegistration(
            command=DeactivateScenario,
            handler=handlers.deactivate,
            result=int,
            permission=write,
            action="scenario.deactivate",
            audited=_SWITCHED,
        ),
        CommandRegistration(
            command=DeleteScenario, handler=handlers.delete, result=None, permission=write, action="scenario.delete"
        ),
        CommandRegistration(
            command=CreateHook, handler=handlers.create_hook, result=Hook, permission=write, action="hook.create"
        ),
    ]
