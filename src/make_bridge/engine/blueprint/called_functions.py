"""Which functions of its own team a blueprint calls: names in its expressions that are no function of the language.

Asked by ``compile``, which tells the runner where a run may have to wait for one, and by who lists the scenarios that
use a function.
"""

from collections.abc import Iterator, Mapping

from make_bridge.engine.blueprint.model import Blueprint, Module
from make_bridge.engine.blueprint.program import Node, RouterNode
from make_bridge.engine.expression_errors import ExpressionSyntaxError
from make_bridge.engine.iml import compile_template

_CALLING = ("{{", "(")


def functions_called(blueprint: Blueprint) -> dict[int, frozenset[str]]:
    """Return the names by the modules that call them, in their mappers, filters, conditions and groupings."""
    found = {node.id: _of(node) for node in blueprint.modules()}
    return {module_id: names for module_id, names in found.items() if names}


def calling_nodes(nodes: Mapping[int, Node], callers: frozenset[int]) -> frozenset[int]:
    """Return the modules at which a run may have to wait.

    Those that call, those whose failure leads to a handler that does, and routers, which ask the filters of routes.
    """
    calling = set(callers)
    grown = True
    while grown:
        led = [
            node.id
            for node in nodes.values()
            if node.id not in calling and any(entered.id in calling for entered in _entered_from(node))
        ]
        grown = bool(led)
        calling.update(led)
    return frozenset(calling)


def _entered_from(node: Node) -> Iterator[Node]:
    """Yield the modules whose filters are asked by this one."""
    if node.handler is not None:
        yield node.handler
    if isinstance(node, RouterNode):
        yield from node.routes
        if node.fallback is not None:
            yield node.fallback


def _of(node: Module) -> frozenset[str]:
    filters = [node.filter, *(branch.condition for branch in node.branches), *node.merge_filters]
    sides = [(one.a, one.b) for found in filters if found is not None for group in found.groups for one in group]
    waiting: list[object] = [node.mapper, node.flags.get("groupBy"), sides, [each.mappings for each in node.outputs]]
    names: set[str] = set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            names |= _in_text(value)
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
    return frozenset(names)


def _in_text(text: str) -> frozenset[str]:
    if not all(sign in text for sign in _CALLING):
        return frozenset()
    try:
        return compile_template(text).unknown_functions
    except ExpressionSyntaxError:
        return frozenset()
