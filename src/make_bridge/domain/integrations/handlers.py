"""What moves a flow: begin, leave the intro, save a step, make a component, finish.

Every command locks the flow's row, so two windows of one customer take turns. Finishing makes the
scenario in the same transaction, once: asked again, it answers with the scenario it made.
"""

from dataclasses import dataclass
from typing import Any

from make_bridge.domain.connections.handlers import ComponentHandlers
from make_bridge.domain.connections.messages import Component, CreateComponent
from make_bridge.domain.integrations import store
from make_bridge.domain.integrations.changing import AnswerChanges
from make_bridge.domain.integrations.messages import (
    BeginFlowConsent,
    ChangeAnswers,
    CreateFlowComponent,
    FinalizeFlow,
    FlowCompleted,
    FlowOptions,
    FlowStarted,
    FlowState,
    LeaveIntro,
    ReopenFlow,
    SaveStep,
    StartFlow,
)
from make_bridge.domain.integrations.model import LIFECYCLE, FlowDocument, FlowPhase, decode_document
from make_bridge.domain.integrations.reading import FlowReader
from make_bridge.domain.integrations.walk import Walk, choices
from make_bridge.domain.oauth.handlers import OAuthHandlers
from make_bridge.domain.oauth.messages import ConsentTicket, CreateOAuthConnection
from make_bridge.domain.oauth.model import CONNECTION_TYPE
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.handlers import ScenarioHandlers
from make_bridge.domain.scenarios.messages import ActivateScenario, CreateHook, CreateScenario, Scenario
from make_bridge.domain.templates.answers import check_step
from make_bridge.domain.templates.fill import fill_blueprint, fill_scheduling
from make_bridge.domain.templates.form import FormField, FormStep
from make_bridge.domain.templates.places import Domain
from make_bridge.domain.templates.prefill import check_prefill
from make_bridge.kernel.errors import Conflict, InvalidInput, NotFound
from make_bridge.kernel.ids import ComponentId, HookId, ScenarioId, TeamId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.security.secrets import digest_of, new_opaque_token, new_secret

JsonObject = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class _Open:
    """A locked flow under way."""

    flow_id: str
    team_id: TeamId
    walk: Walk
    document: FlowDocument
    scenario_id: ScenarioId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowHandlers:
    """The handlers, with the slices below that a flow uses."""

    scenarios: ScenarioHandlers
    components: ComponentHandlers
    oauth: OAuthHandlers
    reader: FlowReader

    @property
    def changes(self) -> AnswerChanges:
        """Return what begins and ends a change of answers."""
        return AnswerChanges(scenarios=self.scenarios, reader=self.reader)

    async def start(self, work: UnitOfWork, command: StartFlow) -> FlowStarted:
        """Begin a flow for a published template."""
        organization_id = work.context.organization_id
        version = await self.reader.templates.offered_version(work.tx, organization_id, command.version_id)
        document = _document(command.options)
        walk = Walk.over(version, document)
        check_prefill(walk.ground, walk.controller, document.hard, document.soft)
        flow_id, secret = new_opaque_token(organization_id), new_secret()
        new = store.NewFlow(
            id=flow_id,
            team_id=command.team_id,
            version_id=version.id,
            secret_digest=digest_of(secret),
            document=document,
        )
        await store.insert(work.tx, organization_id, new)
        work.touch(f"flow/{flow_id}", template_version=version.id)
        if document.auto_activate:
            flow = await self._open(work, flow_id)
            await self._advance(work, flow)
        return FlowStarted(flow_id=flow_id, secret=secret)

    async def leave_intro(self, work: UnitOfWork, command: LeaveIntro) -> FlowState:
        """Go to the first step."""
        flow = await self._open(work, command.flow_id)
        if flow.document.phase is FlowPhase.INTRO:
            await self._advance(work, flow)
        return await self.reader.state(work.tx, work.context.organization_id, command.flow_id)

    async def save_step(self, work: UnitOfWork, command: SaveStep) -> FlowState:
        """Check and keep the answers of one step, then go on."""
        flow = await self._open(work, command.flow_id)
        step = _step(flow, command.step_id)
        answers = check_step(flow.walk.form, step, command.values, flow.document.answers, flow.walk.ground)
        await self._check_components(work, flow, step, answers)
        before = dict(flow.document.answers)
        kept = {field.uuid: flow.document.answers.get(field.uuid) for field in flow.walk.hook_fields(step.id)}
        for uuid in (field.uuid for field in step.fields):
            flow.document.answers.pop(uuid, None)
        flow.document.answers |= answers | {uuid: value for uuid, value in kept.items() if value is not None}
        flow.document.is_changed |= flow.document.answers != before
        if step.id not in flow.document.done_steps:
            flow.document.done_steps.append(step.id)
        await self._advance(work, flow)
        return await self.reader.state(work.tx, work.context.organization_id, command.flow_id)

    async def create_component(self, work: UnitOfWork, command: CreateFlowComponent) -> JsonObject:
        """Make a connection or key for a field and choose it."""
        flow = await self._open(work, command.flow_id)
        field = _field(_step(flow, command.step_id), command.uuid)
        need = field.component
        if need is None or need.kind == "hook" or not flow.document.allow_creating:
            message = "Nothing can be created for this field."
            raise InvalidInput(message, fields={command.uuid: message})
        component = await self.components.create(
            work,
            CreateComponent(
                team_id=flow.team_id, kind=need.kind, type=need.type, name=command.name, values=command.values
            ),
        )
        flow.document.created_components.append(component.id)
        flow.document.answers[field.uuid] = component.id
        flow.document.is_changed = True
        await self._save(work, flow)
        return {"id": component.id, "label": component.name}

    async def begin_consent(self, work: UnitOfWork, command: BeginFlowConsent) -> ConsentTicket:
        """Let the customer agree at a provider for a field; what comes of it shows in the flow's state."""
        flow = await self._open(work, command.flow_id)
        field = _field(_step(flow, command.step_id), command.uuid)
        need = field.component
        if need is None or (need.kind, need.type) != ("connection", CONNECTION_TYPE):
            message = "Nobody has to agree to anything for this field."
            raise InvalidInput(message, fields={command.uuid: message})
        connection_id = await self._connecting(work, flow, field, command)
        return await self.oauth.admit(work, connection_id, flow_id=command.flow_id)

    async def _connecting(
        self, work: UnitOfWork, flow: _Open, field: FormField, command: BeginFlowConsent
    ) -> ComponentId:
        """Return the connection to agree to: one chosen, the one begun before, or a new one."""
        components = await self.reader.components(work.tx, work.context.organization_id, flow.team_id)
        if command.connection_id is not None:
            if command.connection_id not in {found.id for found in choices(components, field, flow.document)}:
                raise NotFound("There is no such connection to choose here.")
            return command.connection_id
        application_id = command.application_id
        if application_id is None or not flow.document.allow_creating:
            message = "Nothing can be created for this field."
            raise InvalidInput(message, fields={command.uuid: message})
        key = f"{field.uuid}/{application_id}"
        begun = flow.document.connecting.get(key)
        if any(found.id == begun and found.state == "pending" for found in components):
            return ComponentId(begun or 0)
        name = command.name.strip() or field.label
        new = CreateOAuthConnection(team_id=flow.team_id, application_id=application_id, name=name)
        made = (await self.oauth.connect(work, new)).id
        flow.document.created_components.append(made)
        flow.document.connecting[key] = made
        await self._save(work, flow)
        return made

    async def finalize(self, work: UnitOfWork, command: FinalizeFlow) -> FlowState:
        """Make the scenario; asked again, tell what was made."""
        flow = await self._open(work, command.flow_id)
        if flow.document.phase is not FlowPhase.DONE:
            await self._finish(work, flow)
        return await self.reader.state(work.tx, work.context.organization_id, command.flow_id)

    async def _open(self, work: UnitOfWork, flow_id: str) -> _Open:
        if work.context.team_id is None:
            message = "There is no such flow."
            raise NotFound(message)
        organization_id = work.context.organization_id
        row = await store.lock(work.tx, organization_id, flow_id)
        version = await self.reader.version(work.tx, organization_id, row["template_version_id"])
        document = decode_document(bytes(row["document"]))
        work.touch(f"flow/{flow_id}", phase=document.phase.value)
        return _Open(
            flow_id=flow_id,
            team_id=row["team_id"],
            walk=Walk.over(version, document),
            document=document,
            scenario_id=row["scenario_id"],
        )

    async def _advance(self, work: UnitOfWork, flow: _Open) -> None:
        """Go to the next open step, to the check, or straight to the end."""
        document = flow.document
        if document.phase is FlowPhase.DONE:
            message = "This set-up is finished: change the integration where you found it."
            raise Conflict(message, code="flow_completed")
        open_steps = [step for step in flow.walk.step_ids if step not in document.done_steps]
        document.phase = LIFECYCLE.move(document.phase, FlowPhase.STEP if open_steps else FlowPhase.CHECK)
        if open_steps:
            await self._make_hooks(work, flow, open_steps[0])
        elif document.auto_finalize:
            await self._finish(work, flow)
            return
        await self._save(work, flow)

    async def _make_hooks(self, work: UnitOfWork, flow: _Open, step_id: str) -> None:
        """Make the webhooks of the step that is about to be shown, so that it can show their addresses."""
        for field in flow.walk.hook_fields(step_id):
            if field.uuid not in flow.document.answers:
                command = CreateHook(team_id=flow.team_id, name=f"{flow.walk.version.name}: {field.label}")
                flow.document.answers[field.uuid] = (await self.scenarios.create_hook(work, command)).id

    async def _check_components(
        self, work: UnitOfWork, flow: _Open, step: FormStep, answers: dict[str, object]
    ) -> None:
        """Refuse components of another team, of another type, or not made here where reuse is off."""
        errors = {}
        components: tuple[Component, ...] | None = None
        for field in step.fields:
            chosen = answers.get(field.uuid)
            if field.component is None or chosen is None:
                continue
            if field.component.kind == "hook":
                answers.pop(field.uuid)
                continue
            if components is None:
                components = await self.reader.components(work.tx, work.context.organization_id, flow.team_id)
            states = {component.id: component.state for component in choices(components, field, flow.document)}
            if chosen not in states:
                errors[field.uuid] = "Choose one from the list, or create a new one."
            elif states[ComponentId(chosen)] != "active":
                errors[field.uuid] = "This connection has to be connected again first."
        if errors:
            message = "Some answers need another look."
            raise InvalidInput(message, fields=errors)

    async def _finish(self, work: UnitOfWork, flow: _Open) -> None:
        missing = [step for step in flow.walk.step_ids if step not in flow.document.done_steps]
        if missing:
            message = f"There are {len(missing)} steps left to answer."
            raise Conflict(message, code="flow_incomplete")
        changes = flow.document.changes
        if changes is None:
            scenario = await self._make_scenario(work, flow)
        else:
            scenario = await self.changes.apply(work, flow.walk, flow.document, changes)
        flow.scenario_id = scenario.id
        flow.document.blueprint_version = scenario.blueprint_version
        flow.document.phase = LIFECYCLE.move(flow.document.phase, FlowPhase.DONE)
        await self._save(work, flow)
        work.touch(f"flow/{flow.flow_id}", scenario=scenario.id)
        if changes is None:
            event = FlowCompleted(flow_id=flow.flow_id, scenario_id=scenario.id)
            work.emit(event, subject=f"flow/{flow.flow_id}")

    async def _make_scenario(self, work: UnitOfWork, flow: _Open) -> Scenario:
        walk, document = flow.walk, flow.document
        values = walk.values(document)
        scenario = await self.scenarios.create(
            work,
            CreateScenario(
                team_id=flow.team_id,
                blueprint=fill_blueprint(walk.version.blueprint, walk.controller, values),
                name=document.scenario_name or walk.version.name,
                scheduling=fill_scheduling(walk.version.scheduling, walk.controller, values),
                template_version_id=walk.version.id,
                flow_id=flow.flow_id,
                hook_id=_hook(walk, values),
            ),
        )
        if document.scenario_enable and not scenario.is_invalid:
            await self.scenarios.activate(work, ActivateScenario(scenario_id=scenario.id))
            return await scenario_store.get(work.tx, work.context.organization_id, scenario.id)
        return scenario

    async def _save(self, work: UnitOfWork, flow: _Open) -> None:
        await store.save(work.tx, work.context.organization_id, flow.flow_id, flow.document, flow.scenario_id)


def _document(options: FlowOptions) -> FlowDocument:
    return FlowDocument(
        phase=FlowPhase.INTRO,
        allow_reusing=options.allow_reusing_components,
        allow_creating=options.allow_creating_components,
        auto_activate=options.auto_activate,
        auto_finalize=options.auto_finalize,
        redirect_uri=options.redirect_uri,
        scenario_name=options.scenario_name,
        scenario_enable=options.scenario_enable,
        hard=options.prefill_hard,
        soft=options.prefill_soft,
    )


def _step(flow: _Open, step_id: str) -> FormStep:
    if flow.document.phase is FlowPhase.DONE:
        message = "This set-up is finished: change the integration where you found it."
        raise Conflict(message, code="flow_completed")
    step = flow.walk.form.step(step_id)
    if step is None:
        message = "There is no such step."
        raise NotFound(message)
    return step


def _field(step: FormStep, uuid: str) -> FormField:
    field = next((field for field in step.fields if field.uuid == uuid), None)
    if field is None:
        message = "There is no such field in this step."
        raise NotFound(message)
    return field


def _hook(walk: Walk, values: JsonObject) -> HookId | None:
    """Return the webhook made for the first module, if the form asked for one."""
    for field in walk.form.fields():
        if field.place.domain is Domain.HOOK and isinstance(values.get(field.uuid), int):
            return HookId(values[field.uuid])
    return None


def commands(handlers: FlowHandlers) -> list[CommandRegistration[Any, Any]]:
    """Return the slice's commands for the composition root."""
    walk = "flow:walk"
    return [
        CommandRegistration(
            command=StartFlow,
            handler=handlers.start,
            result=FlowStarted,
            permission="integrations:write",
            action="flow.start",
        ),
        CommandRegistration(
            command=ChangeAnswers,
            handler=handlers.changes.begin,
            result=FlowStarted,
            permission="integrations:write",
            action="flow.change",
        ),
        CommandRegistration(
            command=ReopenFlow,
            handler=handlers.changes.reopen,
            result=FlowStarted,
            permission=walk,
            action="flow.reopen",
        ),
        CommandRegistration(
            command=LeaveIntro, handler=handlers.leave_intro, result=FlowState, permission=walk, action="flow.begin"
        ),
        CommandRegistration(
            command=SaveStep, handler=handlers.save_step, result=FlowState, permission=walk, action="flow.save_step"
        ),
        CommandRegistration(
            command=CreateFlowComponent,
            handler=handlers.create_component,
            result=dict[str, Any],
            permission=walk,
            action="flow.create_component",
        ),
        CommandRegistration(
            command=BeginFlowConsent,
            handler=handlers.begin_consent,
            result=ConsentTicket,
            permission=walk,
            action="flow.begin_consent",
        ),
        CommandRegistration(
            command=FinalizeFlow, handler=handlers.finalize, result=FlowState, permission=walk, action="flow.finalize"
        ),
    ]
