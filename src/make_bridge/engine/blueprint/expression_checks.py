"""Checks of everything in a blueprint that is evaluated: mappers, filters, group keys, merge mappings.

Called by `validate` for each module with the ids of the modules that module can see.
"""

from collections.abc import Collection as Container
from collections.abc import Iterator, Mapping

from make_bridge.engine.apps.module import ModuleError
from make_bridge.engine.blueprint import mistakes
from make_bridge.engine.blueprint.constants import ANY_ZONE
from make_bridge.engine.blueprint.findings import Finding, Severity
from make_bridge.engine.blueprint.model import Condition, Filter, Module
from make_bridge.engine.blueprint.operators import OPERATORS, UNARY, Incomparable
from make_bridge.engine.iml import ExpressionSyntaxError, Template, compile_template


def check_expressions(node: Module, visible: Container[int], inside: Container[int]) -> Iterator[Finding]:
    """Return what is wrong; `inside` are modules in the branches that a merge rejoins."""
    yield from check_value(node, node.mapper, f"{node.position}.mapper", visible)
    group_by = node.flags.get("groupBy")
    yield from check_value(node, group_by, f"{node.position}.flags.groupBy", visible)
    if node.filter is not None:
        yield from check_filter(node, node.filter, visible)
    for branch in node.branches:
        yield from check_filter(node, branch.condition, visible)
    for filter_ in node.merge_filters:
        if filter_ is not None:
            yield from check_filter(node, filter_, (*visible, *inside))
    for output in node.outputs:
        yield from check_value(node, list(output.mappings), f"{output.position}.mappings", (*visible, *inside))
    yield from _forgotten_templates(node)


def check_filter(node: Module, source: Filter, visible: Container[int]) -> Iterator[Finding]:
    """Return what is wrong with the conditions."""
    for condition in (condition for group in source.groups for condition in group):
        yield from _check_operator(node, condition)
        yield from check_value(node, condition.a, f"{condition.position}.a", visible)
        yield from check_value(node, condition.b, f"{condition.position}.b", visible)


def check_value(node: Module, raw: object, position: str, visible: Container[int]) -> Iterator[Finding]:
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


def _check_text(node: Module, text: str, place: str, visible: Container[int]) -> Iterator[Finding]:
    commas = [
        _finding(
            node,
            Severity.ERROR,
            place,
            f"{name}() has commas between its arguments.",
            f"Separate arguments with semicolons: {name}(a; b).",
        )
        for name in dict.fromkeys(mistakes.comma_calls(text))
    ]
    yield from commas
    try:
        template = compile_template(text)
    except ExpressionSyntaxError as error:
        where = "" if error.position is None else f" at character {error.position + 1}"
        fix = commas[0].fix if commas else None
        yield _finding(node, Severity.FATAL, place, f"The expression is not well formed{where}: {error.message}", fix)
        return
    for name in sorted(template.unknown_functions):
        message = f"There is no function {name}(); the module will fail when it runs."
        yield _finding(node, Severity.ERROR, place, message, mistakes.function_fix(name))
    yield from _check_references(node, template, place, visible)


def _check_references(node: Module, template: Template, place: str, visible: Container[int]) -> Iterator[Finding]:
    ids = dict.fromkeys(reference.module_id for reference in template.references)
    for module_id in ids:
        if module_id is not None and module_id not in visible:
            message = f"Module {module_id} does not come before this one on its path: the value will be empty."
            yield _finding(node, Severity.WARNING, place, message)
    if any(0 in reference.path for reference in template.references if _has_index(reference.path)):
        yield _finding(node, Severity.WARNING, place, "[0] is always empty.", "Positions count from 1: write [1].")


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
    if isinstance(condition.b, str) and "{{" not in condition.b and "pattern" in name:
        try:
            operator.right(condition.b, ANY_ZONE)
        except ModuleError as error:
            yield _finding(node, Severity.ERROR, f"{condition.position}.b", error.message)
        except Incomparable:  # patterns are always comparable
            return


def _forgotten_templates(node: Module) -> Iterator[Finding]:
    for key, value in node.parameters.items():
        if isinstance(value, str) and "{{" in value:
            message = "This setting is not evaluated; the text with {{…}} is taken as it stands."
            yield _finding(node, Severity.WARNING, f"{node.position}.parameters.{key}", message)


def _finding(node: Module, severity: Severity, position: str, message: str, fix: str | None = None) -> Finding:
    return Finding(severity=severity, position=position, message=message, module_id=node.id or None, fix=fix)
