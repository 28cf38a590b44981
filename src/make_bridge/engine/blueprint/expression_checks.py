"""Checks of everything in a blueprint that is evaluated: mappers, filters, group keys, merge mappings.

Called by `validate` for each module with the ids of the modules that module can see.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from make_bridge.engine.apps.module import ModuleError
from make_bridge.engine.blueprint import mistakes
from make_bridge.engine.blueprint.call_checks import call_mistakes
from make_bridge.engine.blueprint.constants import ANY_ZONE
from make_bridge.engine.blueprint.findings import Finding, Severity
from make_bridge.engine.blueprint.model import Condition, Filter, Module
from make_bridge.engine.blueprint.operators import OPERATORS, UNARY, Incomparable
from make_bridge.engine.iml import ExpressionSyntaxError, Template, compile_template

_SIDES = {"array": "length", "semver": "version"}
_FAMILIES = ("input", "scenario", "organization", "team")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the expressions of a module may read: modules before it, of all there are, and declared inputs."""

    modules: Collection[int]
    everywhere: Collection[int]
    inputs: Collection[str]

    def with_branches(self, inside: Collection[int]) -> "Sight":
        """Return what a merge sees: also the modules in the branches it rejoins."""
        return Sight(modules=(*self.modules, *inside), everywhere=self.everywhere, inputs=self.inputs)


def check_expressions(node: Module, visible: Sight, inside: Collection[int]) -> Iterator[Finding]:
    """Return what is wrong; `inside` are modules in the branches that a merge rejoins."""
    rejoined = visible.with_branches(inside)
    yield from check_value(node, node.mapper, f"{node.position}.mapper", visible)
    group_by = node.flags.get("groupBy")
    yield from check_value(node, group_by, f"{node.position}.flags.groupBy", visible)
    if node.filter is not None:
        yield from check_filter(node, node.filter, visible)
    for branch in node.branches:
        yield from check_filter(node, branch.condition, visible)
    for filter_ in node.merge_filters:
        if filter_ is not None:
            yield from check_filter(node, filter_, rejoined)
    for output in node.outputs:
        yield from check_value(node, list(output.mappings), f"{output.position}.mappings", rejoined)
    yield from _forgotten_templates(node)


def check_filter(node: Module, source: Filter, visible: Sight) -> Iterator[Finding]:
    """Return what is wrong with the conditions."""
    for condition in (condition for group in source.groups for condition in group):
        yield from _check_operator(node, condition)
        yield from check_value(node, condition.a, f"{condition.position}.a", visible)
        yield from check_value(node, condition.b, f"{condition.position}.b", visible)


def check_value(node: Module, raw: object, position: str, visible: Sight) -> Iterator[Finding]:
    """Return what is wrong with the texts of a nested value."""
    waiting = [(raw, position)]
    while waiting:
        value, place = waiting.pop(0)
        if isinstance(value, str) and "{{" in value:
            yield from _check_text(node, value, place, visible)
        elif isinstance(value, Mapping):
            waiting.extend((item, f"{place}.{key}") for key, item in value.items())
        elif isinstance(value, list):
            waiting.extend((item, f"{place}[{index}]") for index, item in enumerate(value))


def _check_text(node: Module, text: str, place: str, visible: Sight) -> Iterator[Finding]:
    with_commas = dict.fromkeys(mistakes.comma_calls(text))
    commas = [
        _finding(
            node,
            Severity.ERROR,
            place,
            f"{name}() has commas between its arguments.",
            f"Separate arguments with semicolons: {name}(a; b).",
        )
        for name in with_commas
    ]
    yield from commas
    try:
        template = compile_template(text)
    except ExpressionSyntaxError as error:
        where = "" if error.position is None else f" at character {error.position + 1}"
        fix = commas[0].fix if commas else mistakes.syntax_fix(text)
        yield _finding(node, Severity.FATAL, place, f"The expression is not well formed{where}: {error.message}", fix)
        return
    for mistake in call_mistakes(text, frozenset(with_commas)):
        yield _finding(node, Severity.ERROR, place, mistake.message, mistake.fix)
    yield from _check_references(node, template, place, visible)


def _check_references(node: Module, template: Template, place: str, visible: Sight) -> Iterator[Finding]:
    ids = dict.fromkeys(reference.module_id for reference in template.references)
    for module_id in ids:
        if module_id is not None and module_id not in visible.modules:
            yield _finding(node, Severity.WARNING, place, *_unseen(module_id, visible))
    for reference in template.references:
        if reference.module_id is None:
            yield from _check_variable(node, reference.path, place, visible)
    if any(0 in reference.path for reference in template.references if _has_index(reference.path)):
        yield _finding(node, Severity.WARNING, place, "[0] is always empty.", "Positions count from 1: write [1].")


def _unseen(module_id: int, visible: Sight) -> tuple[str, str]:
    seen = mistakes.before(visible.modules)
    fix = f"Read from a module before it: {seen}." if seen else "Nothing comes before it; write a value instead."
    if module_id not in visible.everywhere:
        return f"There is no module {module_id}: the value will be empty.", fix
    return f"Module {module_id} does not come before this one on its path: the value will be empty.", fix


def _check_variable(node: Module, path: tuple[str | int | None, ...], place: str, visible: Sight) -> Iterator[Finding]:
    family, name = [*path, None, None][:2]
    if family not in _FAMILIES:
        message = f"There are no variables 'var.{family}': the value will be empty."
        yield _finding(node, Severity.WARNING, place, message, f"Write var. and one of {', '.join(_FAMILIES)}.")
    elif family == "input" and visible.inputs and isinstance(name, str) and name not in visible.inputs:
        meant = mistakes.nearest(name, visible.inputs)
        fix = f"Did you mean var.input.{meant}?" if meant else f"Declare it, or use {', '.join(visible.inputs)}."
        yield _finding(node, Severity.WARNING, place, f"The scenario declares no input '{name}'.", fix)


def _has_index(path: tuple[str | int | None, ...]) -> bool:
    return any(isinstance(step, int) for step in path)


def _check_operator(node: Module, condition: Condition) -> Iterator[Finding]:
    name = condition.operator
    if name in UNARY:
        return
    operator = OPERATORS.get(name)
    if operator is None:
        fix = mistakes.operator_fix(name, [*OPERATORS, *UNARY])
        message = f"There is no filter operator '{name}'; the module will fail when it gets there."
        yield _finding(node, Severity.ERROR, f"{condition.position}.o", message, fix)
        return
    right = condition.b
    if not isinstance(right, str | int | float | None) or (isinstance(right, str) and "{{" in right):
        return
    at = f"{condition.position}.b"
    try:
        operator.right(right, ANY_ZONE)
    except ModuleError as error:
        fix = "Patterns run on RE2, which knows no look-around and no back references."
        yield _finding(node, Severity.ERROR, at, error.message, fix)
    except Incomparable:
        kind = name.partition(":")[0]
        answer = "always holds" if operator.unlike else "never holds"
        message = f"The right side {right!r} is no {_SIDES.get(kind, kind)}: the condition {answer}."
        yield _finding(node, Severity.WARNING, at, message, "Write one, or use another operator.")


def _forgotten_templates(node: Module) -> Iterator[Finding]:
    for key, value in node.parameters.items():
        if isinstance(value, str) and "{{" in value:
            message = "This setting is not evaluated; the text with {{…}} is taken as it stands."
            fix = "Write the value itself."
            yield _finding(node, Severity.WARNING, f"{node.position}.parameters.{key}", message, fix)


def _finding(node: Module, severity: Severity, position: str, message: str, fix: str | None = None) -> Finding:
    return Finding(severity=severity, position=position, message=message, module_id=node.id or None, fix=fix)
