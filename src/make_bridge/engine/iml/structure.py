"""Mappers: nested JSON whose texts are templates, compiled once and evaluated for every bundle."""

from dataclasses import dataclass
from typing import cast

from make_bridge.engine.expression_errors import ExpressionSyntaxError
from make_bridge.engine.iml import limits
from make_bridge.engine.iml.compiled import Compiled, Evaluator
from make_bridge.engine.iml.compiler import Reference
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.template import Template, compile_template
from make_bridge.engine.numbers import normalize
from make_bridge.engine.values import ERASE, IGNORE, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledValue:
    """A compiled mapper; containers in the result are made anew for each evaluation.

    In the result a collection's entry that came out as IGNORE is left out, one that is ERASE is None; the
    same for the items of arrays. A mapper that is a single text hands both markers to the caller.
    """

    constant: bool
    references: tuple[Reference, ...]
    functions: frozenset[str]
    unknown_functions: frozenset[str]
    evaluate: Evaluator


def compile_value(json: object) -> CompiledValue:
    """Compile nested JSON: keys are literal, texts are templates, other values pass unchanged."""
    templates: list[Template] = []
    compiled = _compile(json, templates, depth=0)
    return CompiledValue(
        constant=compiled.constant,
        references=tuple(dict.fromkeys(reference for template in templates for reference in template.references)),
        functions=frozenset().union(*(template.functions for template in templates)),
        unknown_functions=frozenset().union(*(template.unknown_functions for template in templates)),
        evaluate=compiled.evaluate,
    )


def _compile(json: object, templates: list[Template], depth: int) -> Compiled:
    if depth > limits.MAPPED_NESTING:
        raise ExpressionSyntaxError(f"The mapped value nests more than {limits.MAPPED_NESTING} levels deep.")
    if isinstance(json, str):
        template = compile_template(json)
        templates.append(template)
        return Compiled(evaluate=template.evaluate, constant=template.constant)
    if isinstance(json, dict):
        return _collection({str(key): _compile(member, templates, depth + 1) for key, member in json.items()})
    if isinstance(json, list):
        return _array([_compile(member, templates, depth + 1) for member in json])
    if isinstance(json, (int, float)) and not isinstance(json, bool):
        json = normalize(json)
    value = cast("Value", json)
    return Compiled(evaluate=lambda _scope: value, constant=True)


def _collection(members: dict[str, Compiled]) -> Compiled:
    readers = tuple((key, member.evaluate) for key, member in members.items())

    def evaluate(scope: Scope) -> Value:
        collection: dict[str, Value] = {}
        for key, read in readers:
            value = read(scope)
            if value is not IGNORE:
                collection[key] = None if value is ERASE else value
        return collection

    return Compiled(evaluate=evaluate, constant=all(member.constant for member in members.values()))


def _array(members: list[Compiled]) -> Compiled:
    readers = tuple(member.evaluate for member in members)

    def evaluate(scope: Scope) -> Value:
        values = [read(scope) for read in readers]
        return [None if value is ERASE else value for value in values if value is not IGNORE]

    return Compiled(evaluate=evaluate, constant=all(member.constant for member in members))
