"""A template's draft: what a blueprint brings, what its author adds, and whether it may be published.

Pure. The blueprint is kept as it came (unwrapped); what the product must know of it, the apps it uses
and when it runs, is derived here once, when it is saved.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from make_bridge.domain.templates.controller import Controller, read_controller
from make_bridge.domain.templates.controller_check import check_controller, controller_findings
from make_bridge.domain.templates.controller_default import default_controller, renewed_controller
from make_bridge.domain.templates.places import Catalogue, Domain, Ground, component_domain
from make_bridge.engine.blueprint.findings import Severity
from make_bridge.engine.blueprint.model import Blueprint
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.engine.blueprint.validate import validate
from make_bridge.engine.schedule.shapes import SHORTEST_SECONDS, schedule_mistakes
from make_bridge.kernel.errors import Conflict, InvalidInput, TooLarge

JsonObject = dict[str, Any]

MAX_BLUEPRINT_BYTES: Final = 4 * 1024 * 1024
MAX_CONTROLLER_BYTES: Final = 1024 * 1024
MAX_NAME: Final = 120
MAX_DESCRIPTION: Final = 4000
UNNAMED: Final = "New template"
WITHDRAWN: Final = "withdrawn"
VISIBILITIES: Final = ("private", "public")
_NOT_APPS: Final = frozenset({"builtin", "placeholder"})
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_MOST_SHOWN: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a template holds between two publishings."""

    name: str
    description: str
    language: str
    visibility: str
    blueprint: Blueprint
    controller: Controller
    scheduling: JsonObject

    @property
    def used_packages(self) -> list[str]:
        """Return the apps in the order they first appear; flow control is no app."""
        apps = dict.fromkeys(node.app for node in self.blueprint.modules())
        return [app for app in apps if app not in _NOT_APPS]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftParts:
    """What a command says about a draft; None where it says nothing."""

    blueprint: JsonObject | None = None
    controller: JsonObject | None = None
    name: str | None = None
    description: str | None = None
    scheduling: JsonObject | None = None
    shortest_interval: int = SHORTEST_SECONDS


def new_draft(parts: DraftParts, catalogue: Catalogue, *, language: str, visibility: str) -> Draft:
    """Return a draft for a new template; without a controller one is derived. Raises InvalidInput."""
    blueprint = read_blueprint(parts.blueprint or {})
    scheduling = parts.scheduling if parts.scheduling is not None else blueprint.scheduling
    if scheduling is None:
        scheduling = default_scheduling(blueprint, catalogue)
    draft = Draft(
        name=_checked_name(parts.name if parts.name is not None else blueprint.name.strip() or UNNAMED),
        description=_checked_description(parts.description if parts.description is not None else blueprint.description),
        language=_checked_language(language),
        visibility=_checked_visibility(visibility),
        blueprint=blueprint,
        controller=Controller(fields=()),
        scheduling=checked_scheduling(scheduling, parts.shortest_interval),
    )
    return _with_controller(draft, parts.controller, catalogue)


def edited_draft(draft: Draft, parts: DraftParts, catalogue: Catalogue) -> Draft:
    """Return the draft with the changes. With a new blueprint the controller is carried over as far as it fits."""
    blueprint = draft.blueprint if parts.blueprint is None else read_blueprint(parts.blueprint)
    scheduling = draft.scheduling
    if parts.scheduling is not None:
        scheduling = checked_scheduling(parts.scheduling, parts.shortest_interval)
    elif parts.blueprint is not None and scheduling == default_scheduling(draft.blueprint, catalogue):
        scheduling = default_scheduling(blueprint, catalogue)
    edited = replace(
        draft,
        name=draft.name if parts.name is None else _checked_name(parts.name),
        description=draft.description if parts.description is None else _checked_description(parts.description),
        blueprint=blueprint,
        scheduling=scheduling,
    )
    if parts.blueprint is None and parts.controller is None:
        return edited
    return _with_controller(edited, parts.controller, catalogue)


def require_publishable(draft: Draft, catalogue: Catalogue) -> None:
    """Raise Conflict that lists every module and field that keeps the draft from being published."""
    fatal = [found for found in validate(draft.blueprint, catalogue) if found.severity is Severity.FATAL]
    if fatal:
        shown = [f"module {found.module_id} at {found}" for found in fatal[:_MOST_SHOWN]]
        more = f" And {len(fatal) - _MOST_SHOWN} more." if len(fatal) > _MOST_SHOWN else ""
        raise Conflict(f"This template cannot be published: {' '.join(shown)}{more}", code="template_invalid")
    if not draft.blueprint.flow:
        raise Conflict("This template cannot be published: it has no modules.", code="template_invalid")
    ground = Ground(draft.blueprint, catalogue, draft.scheduling)
    wrong = [sentence for _, sentence in controller_findings(draft.controller, ground)]
    if wrong:
        shown_wrong = " ".join(wrong[:_MOST_SHOWN])
        raise Conflict(f"This template cannot be published: {shown_wrong}", code="controller_invalid")


def read_blueprint(document: Mapping[str, object]) -> Blueprint:
    """Unwrap and parse; raises TooLarge or BlueprintInvalid."""
    if _size(document) > MAX_BLUEPRINT_BYTES:
        raise TooLarge(f"The blueprint is larger than {MAX_BLUEPRINT_BYTES // 1024 // 1024} MB.")
    return parse_blueprint(document)


def default_scheduling(blueprint: Blueprint, catalogue: Catalogue) -> JsonObject:
    """Return when a scenario runs unless its author says: at once for an instant first module, else by hand."""
    return {"type": "immediately" if is_instant(blueprint, catalogue) else "on-demand"}


def is_instant(blueprint: Blueprint, catalogue: Catalogue) -> bool:
    """Say whether the first module waits for a webhook."""
    first = next((node for node in blueprint.flow if not node.skipped), None)
    if first is None:
        return False
    spec = catalogue.get(first.module)
    fields = spec.parameters if spec is not None else first.parameter_fields
    return any(component_domain(field) is Domain.HOOK for field in fields) or (spec is None and blueprint.instant)


def checked_scheduling(scheduling: JsonObject, shortest_interval: int = SHORTEST_SECONDS) -> JsonObject:
    """Return a schedule, or raise InvalidInput; what is not there yet may be asked for in the wizard."""
    mistakes = schedule_mistakes(scheduling, shortest=shortest_interval)
    wrong = [mistake.sentence for mistake in mistakes if not mistake.missing]
    if wrong:
        raise InvalidInput(" ".join(wrong), code="scheduling_invalid")
    return scheduling


def _with_controller(draft: Draft, given: JsonObject | None, catalogue: Catalogue) -> Draft:
    ground = Ground(draft.blueprint, catalogue, draft.scheduling)
    if given is not None and not _is_foreign(given):
        if _size(given) > MAX_CONTROLLER_BYTES:
            raise TooLarge(f"The controller is larger than {MAX_CONTROLLER_BYTES // 1024 // 1024} MB.")
        controller = read_controller(given)
        check_controller(controller, ground)
    elif draft.controller.fields:
        controller = renewed_controller(draft.controller, ground)
    else:
        controller = default_controller(ground)
    return replace(draft, controller=controller)


def _size(document: Mapping[str, object]) -> int:
    try:
        return len(msgspec.json.encode(document))
    except UnicodeEncodeError as error:
        raise InvalidInput("A text holds half a surrogate pair, which no file can hold.") from error


def _is_foreign(controller: JsonObject) -> bool:
    """Say whether this is Make's own controller, whose format was never published: a default replaces it."""
    return "modules" in controller and "fields" not in controller


def _checked_name(text: str) -> str:
    name = unicodedata.normalize("NFC", text).strip()
    if not name or len(name) > MAX_NAME or not _is_plain(name):
        raise InvalidInput(f"A template's name has 1 to {MAX_NAME} characters and no control characters.")
    return name


def _checked_description(text: str) -> str:
    if len(text) > MAX_DESCRIPTION or not _is_plain(
        text.translate({ord("\n"): None, ord("\r"): None, ord("\t"): None})
    ):
        raise InvalidInput(f"A description has at most {MAX_DESCRIPTION} characters and no control characters.")
    return text


def _checked_language(text: str) -> str:
    if not _LANGUAGE.fullmatch(text):
        raise InvalidInput("The language is a code such as en or pt-BR.")
    return text


def _checked_visibility(text: str) -> str:
    if text not in VISIBILITIES:
        raise InvalidInput(f"The visibility is one of {', '.join(VISIBILITIES)}.")
    return text


def _is_plain(text: str) -> bool:
    return not any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)
