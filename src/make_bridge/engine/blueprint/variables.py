"""Which custom variables a blueprint names, found when it is compiled.

Asked by `compile`: a run reads variables before it begins, so one that names none must cost nothing. What only the
system knows (``var.organization.id``) is not counted; a whole family (``{{var.team}}``) stands for all of it. Modules
that are switched off count too: their variables are read for nothing, which is safe.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from make_bridge.engine.blueprint.model import Blueprint, Module
from make_bridge.engine.iml import compile_template

SYSTEM: Final[Mapping[str, frozenset[str]]] = {"organization": frozenset({"id", "timezone"}), "team": frozenset({"id"})}
_NO_NAMES: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedVariables:
    """The names that expressions read, of the organization and of the team; None for all of them."""

    organization: frozenset[str] | None = _NO_NAMES
    team: frozenset[str] | None = _NO_NAMES


_NONE: Final = NamedVariables()


def named_variables(blueprint: Blueprint) -> NamedVariables | None:
    """Return what the expressions of a blueprint name, or None; they are well formed by now."""
    named: dict[str, set[str] | None] = {"organization": set(), "team": set()}
    for module in blueprint.modules():
        for text in expression_texts(module):
            for reference in compile_template(text).references:
                if reference.module_id is None:
                    _note(named, reference.path)
    found = {family: None if names is None else frozenset(names) for family, names in named.items()}
    made = NamedVariables(organization=found["organization"], team=found["team"])
    return None if made == _NONE else made


def expression_texts(module: Module) -> Iterator[str]:
    """Return the texts with expressions, wherever a module may have some."""
    filters = [module.filter, *(branch.condition for branch in module.branches), *module.merge_filters]
    sides = [(one.a, one.b) for found in filters if found is not None for group in found.groups for one in group]
    waiting: list[object] = [module.mapper, module.flags, sides, [output.mappings for output in module.outputs]]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if "{{" in value:
                yield value
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)


def _note(named: dict[str, set[str] | None], path: tuple[str | int | None, ...]) -> None:
    family, name = [*path, None, None][:2]
    if not isinstance(family, str) or family not in named:
        return
    names = named[family]
    if not isinstance(name, str):
        named[family] = None
    elif names is not None and name not in SYSTEM[family]:
        names.add(name)
