"""Calls in templates that name no function, or give one the wrong number of arguments.

Asked by `expression_checks` for every text that compiles. The tree of the expressions is walked here, because a
compiled template knows only the names.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from make_bridge.engine.blueprint import mistakes
from make_bridge.engine.iml.functions import FUNCTIONS
from make_bridge.engine.iml.parser import parse_parts
from make_bridge.engine.iml.syntax import Call, Chain, Negation, Node


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMistake:
    """What is wrong with the calls of one function, and what to write."""

    message: str
    fix: str


def call_mistakes(text: str, with_commas: frozenset[str]) -> list[CallMistake]:
    """Return each mistake once; functions called `with_commas` have been told about already."""
    found: dict[CallMistake, None] = {}
    for call in _calls([part for _, part in parse_parts(text) if not isinstance(part, str)]):
        mistake = _mistake(call, counted=call.name not in with_commas)
        if mistake is not None:
            found[mistake] = None
    return list(found)


def _mistake(call: Call, *, counted: bool) -> CallMistake | None:
    name, given = call.name, len(call.arguments)
    function = FUNCTIONS.get(name)
    if function is None:
        message = (
            f"There is no function {name}(); unless the team has one of its own, the module will fail when it runs."
        )
        return CallMistake(message=message, fix=mistakes.function_fix(name, FUNCTIONS))
    if not counted or function.required <= given <= function.most:
        return None
    least, most = function.required, function.most
    bound = f"{least}" if least == most else f"at least {least}" if given < least else f"at most {most}"
    noun = "argument" if bound == "1" else "arguments"
    message = f"{name}() takes {bound} {noun} and is given {given}; the module will fail when it runs."
    return CallMistake(message=message, fix=f"Write {function.signature}.")


def _calls(nodes: list[Node]) -> Iterator[Call]:
    """Yield the calls in their order of writing."""
    waiting = [*reversed(nodes)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Call):
            yield node
            waiting.extend(reversed(node.arguments))
        elif isinstance(node, Chain):
            waiting.extend(reversed(node.operands))
        elif isinstance(node, Negation):
            waiting.append(node.operand)
