"""Places in a blueprint that a controller field can point at, with what stands there and what may.

Used by everything of this slice that brings controller and blueprint together: checking, deriving,
forms, filling. What may stand at a place comes from the module's own description; a blueprint's
``metadata`` describes what the module leaves open, and an undescribed value describes itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from make_bridge.engine.apps.catalogue import APPS
from make_bridge.engine.apps.fields import Bounds, Field, choices
from make_bridge.engine.apps.module import ModuleSpec
from make_bridge.engine.blueprint.model import Blueprint, Module

Key = str | int
Path = tuple[Key, ...]
Catalogue = Mapping[str, ModuleSpec]


class Domain(StrEnum):
    """Which part of a module, or of the scenario, a field belongs to."""

    PARAMETERS = "parameters"
    MAPPER = "mapper"
    CONNECTION = "connection"
    KEY = "key"
    HOOK = "hook"
    DATASTORE = "datastore"
    SCHEDULE = "schedule"


# The part of a described type before the colon (account:google) says which kind of component it names.
COMPONENT_DOMAINS: Final = {
    "account": Domain.CONNECTION,
    "keychain": Domain.KEY,
    "hook": Domain.HOOK,
    "datastore": Domain.DATASTORE,
}
ASKED_COMPONENTS: Final = frozenset({Domain.CONNECTION, Domain.KEY, Domain.HOOK})
_SCHEDULE_LABEL: Final = "Schedule"
SCHEDULE_FIELDS: Final = (
    Field(
        name="type",
        type="select",
        label="When it runs",
        required=True,
        options=choices(
            immediately="Immediately",
            indefinitely="At regular intervals",
            once="Once",
            daily="Every day",
            weekly="Days of the week",
            monthly="Days of the month",
            yearly="Days of the year",
            cron="By a cron expression",
            **{"on-demand": "On demand"},
        ),
    ),
    Field(name="interval", type="uinteger", label="Seconds between runs", validate=Bounds(min=1)),
    Field(name="date", type="date", label="Date"),
    Field(name="time", type="time", label="Time"),
    Field(name="days", type="array", label="Days", spec=(Field(name="value", type="uinteger"),), scalar_items=True),
    Field(name="months", type="array", label="Months", spec=(Field(name="value", type="uinteger"),), scalar_items=True),
    Field(name="expression", type="text", label="Cron expression"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a field's value stands; ``module_id`` is None for the schedule."""

    module_id: int | None
    domain: Domain
    path: Path

    def __str__(self) -> str:
        """Write it for a sentence: ``module 3, mapper.headers[0].value``."""
        inner = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.path)
        part = f"{self.domain.value}{inner}"
        return part if self.module_id is None else f"module {self.module_id}, {part}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """What a place holds in the template, and the description of what may stand there."""

    value: object
    field: Field

    @property
    def empty(self) -> bool:
        """Whether the template leaves it open."""
        return self.value is None or self.value in ("", [], {})


class Ground:
    """One blueprint with the catalogue that explains it."""

    def __init__(self, blueprint: Blueprint, catalogue: Catalogue, scheduling: Mapping[str, object]) -> None:
        """Index the modules by id."""
        self.blueprint = blueprint
        self.catalogue = catalogue
        self._scheduling = scheduling
        self._modules = {node.id: node for node in blueprint.modules() if not node.placeholder}

    def modules(self) -> Iterator[Module]:
        """Return the modules that run, in reading order."""
        return (node for node in self._modules.values() if not node.disabled)

    def module(self, module_id: int | None) -> Module | None:
        """Return a module by its id."""
        return None if module_id is None else self._modules.get(module_id)

    def spec(self, node: Module) -> ModuleSpec | None:
        """Return the module's description; None for one this server does not know."""
        return self.catalogue.get(node.module)

    def app_label(self, app: str) -> str:
        """Return the name of an app as people know it."""
        return APPS.get(app, app)

    def module_label(self, module_id: int | None) -> str:
        """Return what the template's author called a module, else its own name."""
        node = self.module(module_id)
        if node is None:
            return _SCHEDULE_LABEL
        spec = self.spec(node)
        return node.label or (spec.label if spec else node.module)

    def parameter_fields(self, node: Module) -> dict[str, Field]:
        """Return the descriptions of a module's parameters; its own word comes before the blueprint's."""
        spec = self.spec(node)
        return _by_name((*node.parameter_fields, *(spec.parameters if spec else ())))

    def mapper_fields(self, node: Module) -> dict[str, Field]:
        """Return the descriptions of a module's mapper."""
        spec = self.spec(node)
        return _by_name((*node.expect, *(spec.mapper if spec else ())))

    def find(self, place: Place) -> Spot | None:
        """Return what stands at a place; None when neither the template nor a description knows it."""
        if place.domain is Domain.SCHEDULE:
            return _walk(self._scheduling, SCHEDULE_FIELDS, place.path)
        node = self.module(place.module_id)
        if node is None or not place.path:
            return None
        if place.domain is Domain.MAPPER:
            return _walk(node.mapper, tuple(self.mapper_fields(node).values()), place.path)
        spot = _walk(node.parameters, tuple(self.parameter_fields(node).values()), place.path)
        if spot is None or place.domain is Domain.PARAMETERS:
            return spot
        return spot if component_domain(spot.field) in {place.domain, None} else None


def component_domain(field: Field) -> Domain | None:
    """Return the domain of a parameter that names a component."""
    return COMPONENT_DOMAINS.get(field.type.partition(":")[0])


def item_field(field: Field) -> Field | None:
    """Return the description of an array's items."""
    if not field.spec:
        return None
    return field.spec[0] if field.scalar_items else Field(name=field.name, type="collection", spec=field.spec)


def _by_name(fields: tuple[Field, ...]) -> dict[str, Field]:
    return {field.name: field for field in fields}


def _walk(value: object, fields: tuple[Field, ...], path: Path) -> Spot | None:
    field: Field | None = Field(name="", type="collection", spec=fields)
    for key in path:
        if not _can_hold(value, key):
            return None
        described = _described(field, key)
        there, value = _member(value, key)
        if not there and (described is None or isinstance(key, int)):
            return None
        field = described
    last = path[-1] if path else ""
    return Spot(value=value, field=field or _self_described(str(last), value))


def _can_hold(value: object, key: Key) -> bool:
    """Say whether a value could have such a member: an expression for the whole collection has none."""
    return value is None or isinstance(value, list if isinstance(key, int) else Mapping)


def _described(field: Field | None, key: Key) -> Field | None:
    if field is None:
        return None
    if isinstance(key, int):
        return item_field(field)
    return next((member for member in field.spec if member.name == key), None)


def _member(value: object, key: Key) -> tuple[bool, object]:
    if isinstance(key, int):
        there = isinstance(value, list) and 0 <= key < len(value)
        return there, value[key] if there and isinstance(value, list) else None
    if isinstance(value, Mapping) and key in value:
        return True, value[key]
    return False, None


def _self_described(name: str, value: object) -> Field:
    kinds = {bool: "boolean", int: "number", float: "number", str: "text", list: "array", dict: "collection"}
    return Field(name=name, type=kinds.get(type(value), "any"))
