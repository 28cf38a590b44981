"""A flow laid over its template's form: which steps there are, which comes next, what the page shows.

Pure. The handlers change the document; this says what the document means.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from make_bridge.domain.connections.messages import Component
from make_bridge.domain.connections.types import create_fields
from make_bridge.domain.integrations.model import STATUS, FlowDocument, FlowPhase, next_step
from make_bridge.domain.integrations.wording import Wording, plain
from make_bridge.domain.oauth.messages import OAuthApplication
from make_bridge.domain.oauth.model import CONNECTION_TYPE
from make_bridge.domain.templates.controller import Controller, read_controller
from make_bridge.domain.templates.form import Form, FormField, FormStep, build_form
from make_bridge.domain.templates.messages import TemplateVersion
from make_bridge.domain.templates.places import Domain, Ground
from make_bridge.engine.apps.catalogue import CATALOGUE
from make_bridge.engine.blueprint.parse import parse_blueprint

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """A template version's form with one flow's fixed values taken out."""

    version: TemplateVersion
    ground: Ground
    controller: Controller
    form: Form

    @classmethod
    def over(cls, version: TemplateVersion, document: FlowDocument) -> "Walk":
        """Build it; a published version is known to be sound."""
        ground = Ground(parse_blueprint(version.blueprint), CATALOGUE, version.scheduling)
        controller = read_controller(version.controller)
        form = build_form(ground, controller, language=version.language, hard=document.hard)
        return cls(version=version, ground=ground, controller=controller, form=form)

    @property
    def step_ids(self) -> list[str]:
        """Return the ids of the steps that have something to ask."""
        return [step.id for step in self.form.steps]

    def current(self, document: FlowDocument) -> str | None:
        """Return the step the customer is at, None outside of the steps."""
        return next_step(self.step_ids, document.done_steps) if document.phase is FlowPhase.STEP else None

    def values(self, document: FlowDocument) -> JsonObject:
        """Return everything that fills the blueprint: fixed values over answers over proposals never asked."""
        return {**document.answers, **document.hard}

    def hook_fields(self, step_id: str) -> list[FormField]:
        """Return the webhook fields of a step."""
        step = self.form.step(step_id)
        return [field for field in step.fields if field.place.domain is Domain.HOOK] if step else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What only the store knows: components to choose from, addresses of hooks, the scenario made."""

    integrator: str
    components: tuple[Component, ...]
    hook_tokens: Mapping[int, str]
    scenario_id: int | None
    scenario_name: str | None
    scenario_active: bool
    providers: tuple[OAuthApplication, ...] = ()
    """Where a customer can agree to a connection."""


def describe(walk: Walk, document: FlowDocument, flow_id: str, around: Surroundings) -> JsonObject:
    """Return the flow as the wizard's page shows it. Hook addresses hold tokens: the face makes URLs of them."""
    status_id, status_message = STATUS[document.phase]
    current = walk.current(document)
    return {
        "flow": {
            "id": flow_id,
            "statusId": status_id,
            "statusMessage": status_message,
            "isCompleted": document.phase is FlowPhase.DONE,
            "result": result(document, around),
        },
        "template": {
            "name": walk.version.name,
            "description": walk.version.description,
            "apps": [{"name": app, "label": walk.ground.app_label(app)} for app in walk.version.used_packages],
        },
        "integrator": {"name": around.integrator},
        "language": walk.version.language,
        "phase": document.phase.value,
        "currentStep": current,
        "steps": [_step(walk, document, step, current, around) for step in walk.form.steps],
        "summary": _summary(walk, document, around),
        "options": {
            "autoActivate": document.auto_activate,
            "autoFinalize": document.auto_finalize,
            "redirectUri": document.redirect_uri,
        },
        "scenario": {
            "name": document.scenario_name or walk.version.name,
            "enable": bool(document.scenario_enable),
            "id": around.scenario_id,
            "isActive": around.scenario_active,
        },
        "changes": None
        if document.changes is None
        else {"scenarioId": document.changes, "isChanged": document.is_changed},
    }


def result(document: FlowDocument, around: Surroundings) -> JsonObject | None:
    """Return what ``check-init`` tells of a completed flow."""
    if document.phase is not FlowPhase.DONE or around.scenario_id is None:
        return None
    return {"scenarios": [{"id": around.scenario_id, "description": around.scenario_name or ""}]}


def _step(walk: Walk, document: FlowDocument, step: FormStep, current: str | None, around: Surroundings) -> JsonObject:
    state = "done" if step.id in document.done_steps else ("current" if step.id == current else "todo")
    known = {**document.soft, **document.answers}
    by_uuid = {field.uuid: field for field in step.fields}
    wording = Wording(walk.ground)
    fields = []
    for described in walk.form.describe(step, known):
        field = by_uuid[described["uuid"]]
        value = document.answers.get(field.uuid, document.soft.get(field.uuid, field.initial))
        component = _component(field, document, value, around)
        shown = {"value": value, "error": None, "component": component, "items": wording.items(field.items)}
        fields.append({**described, **shown})
    return {"id": step.id, "title": step.title, "description": step.description, "state": state, "fields": fields}


def _component(field: FormField, document: FlowDocument, value: object, around: Surroundings) -> JsonObject | None:
    need = field.component
    if need is None:
        return None
    token = around.hook_tokens.get(value) if isinstance(value, int) and need.kind == "hook" else None
    return {
        "kind": need.kind,
        "app": need.app,
        "label": need.label,
        "existing": [
            {"id": component.id, "label": component.name, "needsConsent": component.state == "needs_consent"}
            for component in choices(around.components, field, document)
        ],
        "canReuse": document.allow_reusing,
        "canCreate": document.allow_creating,
        "createFields": [] if need.kind == "hook" else create_fields(need.type, need.kind),
        "hookUrl": token,
        "providers": [{"id": found.id, "name": found.facts.name} for found in around.providers]
        if need.kind == "connection" and need.type == CONNECTION_TYPE
        else [],
    }


def choices(components: tuple[Component, ...], field: FormField, document: FlowDocument) -> list[Component]:
    """Return the components a field may be answered with: of its type, and made here unless reuse is allowed.

    One that nobody has agreed to yet is none of them.
    """
    need = field.component
    if need is None or need.kind == "hook":
        return []
    return [
        component
        for component in components
        if component.kind == need.kind
        and component.type == need.type
        and component.state != "pending"
        and (document.allow_reusing or component.id in document.created_components)
    ]


def _summary(walk: Walk, document: FlowDocument, around: Surroundings) -> list[JsonObject]:
    names: dict[int, str] = {component.id: component.name for component in around.components}
    wording = Wording(walk.ground)
    rows = []
    for step in walk.form.steps:
        for field in walk.form.asked(step, {**document.soft, **document.answers}):
            value = document.answers.get(field.uuid)
            missing = field.required and value in (None, "") and field.place.domain is not Domain.HOOK
            row = {
                "stepId": step.id,
                "label": field.label,
                "ok": not missing,
                "message": "This still needs an answer." if missing else None,
            }
            rows.append(row | _shown(field, value, names, around, wording))
    return rows


def _shown(
    field: FormField, value: object, names: Mapping[int, str], around: Surroundings, wording: Wording
) -> JsonObject:
    """Return an answer as text, and as parts where it reads items of earlier modules."""
    if field.component is not None and isinstance(value, int):
        return {"value": around.hook_tokens.get(value) or names.get(value) or f"#{value}", "parts": None}
    parts = wording.say(value, field.field, mapped=field.allow_mapping)
    return {"value": plain(parts), "parts": parts if any("expression" in part for part in parts) else None}
