"""Does a controller fit its blueprint? Asked on import, on every edit and before publishing.

Every finding is a sentence that names the uuid, because a controller is edited by hand and by
console, and its author must find the line.
"""

from collections.abc import Callable, Iterator

from make_bridge.domain.templates.controller import Controller, ControllerField, ControllerInvalid
from make_bridge.domain.templates.places import ASKED_COMPONENTS, Domain, Ground, Place, Spot, component_domain

Finding = tuple[str, str]


def check_controller(controller: Controller, ground: Ground) -> None:
    """Raise ControllerInvalid with everything that does not fit."""
    findings = list(controller_findings(controller, ground))
    if findings:
        raise ControllerInvalid(findings)


def controller_findings(controller: Controller, ground: Ground) -> Iterator[Finding]:
    """Return everything that does not fit, as (uuid, sentence)."""
    yield from _duplicates(controller)
    for field in controller.fields:
        yield from _place_findings(field, ground)
        yield from _reuse_findings(field, controller, ground)
        yield from _show_when_findings(field, controller)
    yield from _cycles(controller, "reuse", lambda field: field.reuse)
    yield from _cycles(controller, "showWhen", lambda field: field.show_when.uuid if field.show_when else None)
    yield from _step_findings(controller)


def _duplicates(controller: Controller) -> Iterator[Finding]:
    uuids: set[str] = set()
    places: dict[Place, str] = {}
    for field in controller.fields:
        if field.uuid in uuids:
            yield field.uuid, f"The uuid {field.uuid} stands twice; every field needs its own."
        uuids.add(field.uuid)
        other = places.setdefault(field.place, field.uuid)
        if other != field.uuid:
            yield field.uuid, f"Field {field.uuid} points at the same place as {other}: {field.place}."


def _place_findings(field: ControllerField, ground: Ground) -> Iterator[Finding]:
    place = field.place
    if place.domain is not Domain.SCHEDULE and ground.module(place.module_id) is None:
        yield field.uuid, f"Field {field.uuid} names module {place.module_id}, which is not in the blueprint."
        return
    spot = ground.find(place)
    if spot is None:
        yield field.uuid, f"Field {field.uuid} points at a place that does not exist: {place}."
        return
    if place.domain is Domain.PARAMETERS and component_domain(spot.field) in ASKED_COMPONENTS:
        wanted = component_domain(spot.field)
        yield field.uuid, f"Field {field.uuid} names a {wanted}; its domain must be '{wanted}', not 'parameters'."
    if place.domain in ASKED_COMPONENTS and len(place.path) != 1:
        yield field.uuid, f"Field {field.uuid}: the path of a {place.domain} is the one name of its parameter."
    if field.required is False and field.show and _must_be_given(field, spot):
        yield (
            field.uuid,
            f"Field {field.uuid} is required by its module, so the controller cannot make it optional: {place}.",
        )
    if field.allow_mapping and place.domain is not Domain.MAPPER:
        yield field.uuid, f"Field {field.uuid} cannot allow mapping: only values of a mapper may hold expressions."


def _must_be_given(field: ControllerField, spot: Spot) -> bool:
    """Say whether an empty answer would leave the module without what it needs."""
    return spot.field.required and spot.field.default is None and field.reuse is None


def _reuse_findings(field: ControllerField, controller: Controller, ground: Ground) -> Iterator[Finding]:
    if field.reuse is None:
        return
    target = controller.field(field.reuse)
    if target is None:
        yield field.uuid, f"Field {field.uuid} reuses {field.reuse}, which is not in the controller."
    elif field.place.domain not in ASKED_COMPONENTS or target.place.domain is not field.place.domain:
        why = "only a connection, key or hook takes over the answer of another of its kind."
        yield field.uuid, f"Field {field.uuid} cannot reuse {field.reuse}: {why}"
    else:
        mine, its = ground.find(field.place), ground.find(target.place)
        if mine and its and mine.field.type != its.field.type:
            yield (
                field.uuid,
                f"Field {field.uuid} needs a {mine.field.type} and cannot reuse {field.reuse}, a {its.field.type}.",
            )


def _show_when_findings(field: ControllerField, controller: Controller) -> Iterator[Finding]:
    when = field.show_when
    if when is not None and controller.field(when.uuid) is None:
        yield field.uuid, f"Field {field.uuid} is shown depending on {when.uuid}, which is not in the controller."


def _cycles(controller: Controller, member: str, follow: Callable[[ControllerField], str | None]) -> Iterator[Finding]:
    targets = {field.uuid: follow(field) for field in controller.fields}
    for start, target in targets.items():
        seen = {start}
        current = target
        while current is not None and current not in seen:
            seen.add(current)
            current = targets.get(current)
        if current == start:
            yield start, f"Field {start} depends on itself through '{member}'."


def _step_findings(controller: Controller) -> Iterator[Finding]:
    known = {field.uuid for field in controller.fields}
    listed: set[str] = set()
    for index, step in enumerate(controller.steps):
        for uuid in step.fields:
            if uuid not in known:
                yield uuid, f"Step {index} lists {uuid}, which is not in the controller."
            elif uuid in listed:
                yield uuid, f"Field {uuid} is listed in two steps; it can be asked once."
            listed.add(uuid)
