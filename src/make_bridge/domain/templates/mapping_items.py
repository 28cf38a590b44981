"""What a customer may map: the items of earlier modules, as expressions with a label.

The form offers them beside a field that allows mapping, and an answer may refer to nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from make_bridge.domain.templates.places import Ground
from make_bridge.engine.apps.fields import Field
from make_bridge.engine.blueprint.model import Module
from make_bridge.engine.blueprint.settings import feeder_id

_MOST: Final = 200
_MAX_DEPTH: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingItem:
    """One item to offer."""

    label: str
    expression: str


def upstream(ground: Ground, module_id: int) -> tuple[Module, ...]:
    """Return the modules whose items a module can see, nearest first; none for an unknown module."""
    return tuple(reversed(_before(ground.blueprint.flow, (), module_id) or ()))


def mapping_items(ground: Ground, module_id: int) -> tuple[MappingItem, ...]:
    """Return the items of earlier modules, nearest module first, at most two hundred."""
    found: list[MappingItem] = []
    for node in upstream(ground, module_id):
        spec = ground.spec(node)
        fields = {field.name: field for field in (*(spec.output if spec else ()), *node.interface)}
        found += _items(str(node.id), "", tuple(fields.values()), 1)
    return tuple(found[:_MOST])


def _before(flow: tuple[Module, ...], outer: tuple[Module, ...], module_id: int) -> tuple[Module, ...] | None:
    seen = outer
    for node in flow:
        if node.id == module_id:
            return seen
        if node.skipped:
            continue
        for inner in node.flows():
            found = _before(inner, (*seen, node), module_id)
            if found is not None:
                return found
        seen = (*_outside_the_loop(seen, node), node)
    return None


def _outside_the_loop(seen: tuple[Module, ...], node: Module) -> tuple[Module, ...]:
    """An aggregator hides the modules of the loop it closes."""
    feeder = feeder_id(node)
    ids = [earlier.id for earlier in seen]
    return seen[: ids.index(feeder)] if feeder in ids else seen


def _items(expression: str, label: str, fields: tuple[Field, ...], depth: int) -> Iterator[MappingItem]:
    for field in fields:
        inner = f"{expression}.{_key(field.name)}"
        shown = f"{label} › {field.label or field.name}" if label else field.label or field.name  # noqa: RUF001
        yield MappingItem(label=shown, expression=f"{{{{{inner}}}}}")
        if field.type == "collection" and depth < _MAX_DEPTH:
            yield from _items(inner, shown, field.spec, depth + 1)


def _key(name: str) -> str:
    """Write a key as expressions need it: anything but a plain word stands in backticks."""
    plain = name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit() and name[0] != "_"
    return name if plain else f"`{name}`"
