"""Answers written into the template's blueprint: the last step of the wizard.

The flow calls it once, when it makes the scenario. A text is written as it was typed: in a mapper,
where ``{{`` would begin an expression, it is escaped unless the field allows mapping. Settings and
schedules are not evaluated, so nothing is escaped there.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

from make_bridge.domain.templates.controller import Controller, ControllerField
from make_bridge.domain.templates.form import Values
from make_bridge.domain.templates.places import ASKED_COMPONENTS, Domain, Key, Path
from make_bridge.engine.blueprint.settings import whole_number
from make_bridge.kernel.errors import InvalidInput

JsonObject = dict[str, Any]

_OPENING: Final = "{{"
_LITERAL_OPENING: Final = '{{"{{"}}'
_MISSING: Final = object()


def fill_blueprint(blueprint: Mapping[str, object], controller: Controller, answers: Values) -> JsonObject:
    """Return a new blueprint with the answers in their places; places without an answer stay as they are.

    ``answers`` are the checked answers of all steps together with prefill.hard. None empties a place.
    """
    filled: JsonObject = copy.deepcopy(dict(blueprint))
    modules = {whole_number(module.get("id")): module for module in _modules(filled.get("flow"))}
    for field in controller.fields:
        value = answer_of(controller, field, answers)
        module = modules.get(field.place.module_id)
        if value is _MISSING or module is None or field.place.domain is Domain.SCHEDULE:
            continue
        section = "mapper" if field.place.domain is Domain.MAPPER else "parameters"
        if section == "mapper" and not field.allow_mapping:
            value = literal(value)
        module[section] = _put(module.get(section), field.place.path, value)
    return filled


def fill_scheduling(scheduling: Mapping[str, object], controller: Controller, answers: Values) -> JsonObject:
    """Return a new scheduling with the answers of fields that belong to it."""
    filled: Any = copy.deepcopy(dict(scheduling))
    for field in controller.fields:
        value = answer_of(controller, field, answers)
        if field.place.domain is Domain.SCHEDULE and value is not _MISSING:
            filled = _put(filled, field.place.path, value)
    if not isinstance(filled, dict):
        raise InvalidInput("The answers leave the scenario without a schedule.")
    return filled


def answer_of(controller: Controller, field: ControllerField, answers: Values) -> object:
    """Return the answer of a field or of the one whose answer it takes over."""
    current: ControllerField | None = field
    for _ in controller.fields:
        if current is None or current.uuid in answers:
            break
        current = controller.field(current.reuse) if current.reuse is not None else None
    return answers[current.uuid] if current is not None and current.uuid in answers else _MISSING


def component_ids(controller: Controller, answers: Values) -> dict[str, int]:
    """Return the chosen connections, keys and hooks by uuid; their owner has to be checked before they are used."""
    chosen = {}
    for field in controller.fields:
        value = answers.get(field.uuid)
        if field.place.domain in ASKED_COMPONENTS and isinstance(value, int):
            chosen[field.uuid] = value
    return chosen


def literal(value: object) -> object:
    """Return a value whose texts evaluate to themselves."""
    if isinstance(value, str):
        return value.replace(_OPENING, _LITERAL_OPENING)
    if isinstance(value, list):
        return [literal(item) for item in value]
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}
    return value


def _modules(flow: object) -> Iterator[JsonObject]:
    """Return every module of a raw flow, those of routes, branches and handlers included."""
    waiting = [flow]
    while waiting:
        current = waiting.pop()
        for module in current if isinstance(current, list) else ():
            if not isinstance(module, dict):
                continue
            yield module
            for name in ("routes", "branches"):
                exits = module.get(name)
                waiting += [item.get("flow") for item in exits or () if isinstance(item, dict)]
            waiting.append(module.get("onerror"))


def _put(section: object, path: Path, value: object) -> object:
    """Return the section with the value at the path; what is missing on the way is made."""
    if not path:
        return value
    if section is None or (section == [] and isinstance(path[0], str)):
        section = {} if isinstance(path[0], str) else []
    _set(section, path[0], _put(_get(section, path[0]), path[1:], value))
    return section


def _get(section: object, key: Key) -> object:
    if isinstance(section, dict):
        return section.get(key)
    return section[key] if isinstance(section, list) and isinstance(key, int) and key < len(section) else None


def _set(section: object, key: Key, value: object) -> None:
    match section, key:
        case dict(), str():
            section[key] = value
        case list(), int() if 0 <= key < len(section):
            section[key] = value
        case _:
            raise InvalidInput("The template's controller points at a place that its blueprint does not have.")
