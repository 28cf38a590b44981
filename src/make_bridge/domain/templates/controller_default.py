"""A controller for a template that brought none: every connection, key and hook, every required empty field.

Called on import and when a blueprint is replaced. The uuids derive from the place (module id, domain,
path), so importing the same blueprint again keeps them and saved answers stay valid; what an author
changed by hand is carried over as long as its place exists.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid5

import msgspec

from make_bridge.domain.templates.controller import Controller, ControllerField, ControllerStep
from make_bridge.domain.templates.controller_check import controller_findings
from make_bridge.domain.templates.places import (
    ASKED_COMPONENTS,
    Domain,
    Ground,
    Path,
    Place,
    Spot,
    component_domain,
    item_field,
)
from make_bridge.engine.apps.fields import Field
from make_bridge.engine.blueprint.model import Module

_NAMESPACE: Final = UUID("0d3a5f52-6f5c-4a7e-9c39-5d6b6e0f4c11")
_MAX_DEPTH: Final = 10
# A module with several ways to sign in needs the credentials of the chosen one, and no others.
_CREDENTIALS_OF: Final = {"apiKey": "apiKeyKeychain", "basicAuth": "basicAuthKeychain", "oAuth": "oAuthAccount"}


def stable_uuid(place: Place) -> str:
    """Return the uuid of a place: the same for the same place, always."""
    name = msgspec.json.encode([place.module_id, place.domain.value, place.path])
    return str(uuid5(_NAMESPACE, name.decode()))


def default_controller(ground: Ground) -> Controller:
    """Return the controller that asks for what the blueprint cannot run without."""
    return Controller(fields=tuple(_shared(_wanted(ground), ground)))


def renewed_controller(old: Controller, ground: Ground) -> Controller:
    """Return the old controller for a new blueprint: what still fits is kept, what is newly needed is added."""
    broken = {uuid for uuid, _ in controller_findings(old, ground)}
    while dependent := {
        field.uuid for field in old.fields if field.uuid not in broken and broken & set(_depends_on(field))
    }:
        broken |= dependent
    kept = tuple(field for field in old.fields if field.uuid not in broken)
    uuids, places = {field.uuid for field in kept}, {field.place for field in kept}
    added = tuple(
        replace(field, reuse=field.reuse if field.reuse in uuids else None)
        for field in default_controller(ground).fields
        if field.place not in places and field.uuid not in uuids
    )
    steps = (
        ControllerStep(title=step.title, fields=tuple(uuid for uuid in step.fields if uuid in uuids))
        for step in old.steps
    )
    return Controller(fields=kept + added, steps=tuple(step for step in steps if step.fields))


def _depends_on(field: ControllerField) -> Iterator[str]:
    if field.reuse is not None:
        yield field.reuse
    if field.show_when is not None:
        yield field.show_when.uuid


def _wanted(ground: Ground) -> Iterator[ControllerField]:
    for node in ground.modules():
        yield from _component_fields(node, ground)
        yield from _empty_fields(node, Domain.PARAMETERS, ground.parameter_fields(node), ground)
        if not isinstance(node.mapper, str):
            yield from _empty_fields(node, Domain.MAPPER, ground.mapper_fields(node), ground)


def _component_fields(node: Module, ground: Ground) -> Iterator[ControllerField]:
    fields = ground.parameter_fields(node)
    for name, field in fields.items():
        domain = component_domain(field)
        if domain in ASKED_COMPONENTS and _is_needed(node, field, choice="authenticationType" in fields):
            yield _field(Place(module_id=node.id, domain=domain, path=(name,)), required=True, use_value=False)


def _is_needed(node: Module, field: Field, *, choice: bool) -> bool:
    if choice and field.name in _CREDENTIALS_OF.values():
        return _CREDENTIALS_OF.get(str(node.parameters.get("authenticationType"))) == field.name
    return field.required or node.parameters.get(field.name) not in (None, "")


def _empty_fields(
    node: Module, domain: Domain, fields: Mapping[str, Field], ground: Ground
) -> Iterator[ControllerField]:
    for field in fields.values():
        if component_domain(field) is not None:
            continue
        for path in _empty_paths(node, domain, (field.name,), ground):
            yield _field(Place(module_id=node.id, domain=domain, path=path), required=None, use_value=True)


def _empty_paths(node: Module, domain: Domain, path: Path, ground: Ground) -> Iterator[Path]:
    """Return the required places at and below a path that the template leaves open."""
    spot = ground.find(Place(module_id=node.id, domain=domain, path=path))
    if spot is None or len(path) > _MAX_DEPTH:
        return
    if spot.empty:
        if spot.field.required and spot.field.default is None:
            yield path
        return
    for key in _inner_keys(spot):
        yield from _empty_paths(node, domain, (*path, key), ground)


def _inner_keys(spot: Spot) -> Iterator[str | int]:
    if isinstance(spot.value, Mapping):
        yield from (field.name for field in spot.field.spec)
    elif isinstance(spot.value, list) and item_field(spot.field) is not None:
        yield from range(len(spot.value))


def _field(place: Place, *, required: bool | None, use_value: bool) -> ControllerField:
    return ControllerField(
        uuid=stable_uuid(place), place=place, label={}, help={}, required=required, use_value=use_value
    )


def _shared(fields: Iterator[ControllerField], ground: Ground) -> Iterator[ControllerField]:
    """Let a connection or key that stands for the same one as an earlier field take over its answer."""
    first: dict[tuple[Domain, str, str], str] = {}
    for field in fields:
        spot = ground.find(field.place)
        if spot is None or field.place.domain not in {Domain.CONNECTION, Domain.KEY}:
            yield field
            continue
        same = (field.place.domain, spot.field.type, "" if spot.empty else repr(spot.value))
        earlier = first.setdefault(same, field.uuid)
        yield field if earlier == field.uuid else replace(field, reuse=earlier)
