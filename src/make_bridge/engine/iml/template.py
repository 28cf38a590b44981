"""Templates: text with ``{{…}}`` parts, compiled once and evaluated many times.

``compile_template`` is what blueprint compilation calls for every text; compiled templates are kept by
their text in a bounded cache. Long ones are not kept: they are rare, and few would fill the memory.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from make_bridge.engine.expression_errors import BudgetExceeded
from make_bridge.engine.iml import limits
from make_bridge.engine.iml.compiled import Compiled, Evaluator, constant
from make_bridge.engine.iml.compiler import Compiler, Reference
from make_bridge.engine.iml.functions import FUNCTIONS
from make_bridge.engine.iml.joining import join_as_text
from make_bridge.engine.iml.parser import parse_parts
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.syntax import Part
from make_bridge.engine.values import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A compiled text. ``evaluate(scope)`` gives a typed value when the text is exactly one ``{{…}}``, else text.

    ``constant`` says that it needs nothing of the scope. ``functions`` are all names called; those in
    ``unknown_functions`` raise an ``ExpressionError`` when they are reached.
    """

    text: str
    constant: bool
    references: tuple[Reference, ...]
    functions: frozenset[str]
    unknown_functions: frozenset[str]
    evaluate: Evaluator


def compile_template(text: str) -> Template:
    """Compile ``text``; raises ``ExpressionSyntaxError`` with a position. A repeated text costs a look-up."""
    return _remembered(text) if len(text) <= limits.TEMPLATE_REMEMBERED else _compile(text)


@lru_cache(maxsize=limits.TEMPLATES_REMEMBERED)
def _remembered(text: str) -> Template:
    return _compile(text)


def _compile(text: str) -> Template:
    compiler = Compiler()
    parts = parse_parts(text)
    compiled = _charged(_compile_parts(parts, compiler), parts, len(text))
    return Template(
        text=text,
        constant=compiled.constant,
        references=tuple(compiler.references),
        functions=frozenset(compiler.functions),
        unknown_functions=frozenset(compiler.functions - FUNCTIONS.keys()),
        evaluate=compiled.evaluate,
    )


def _compile_parts(parts: list[tuple[int, Part]], compiler: Compiler) -> Compiled:
    if len(parts) == 1 and not isinstance(parts[0][1], str):
        return compiler.compile(parts[0][1])
    pieces = [constant(part) if isinstance(part, str) else compiler.compile(part) for _, part in parts]
    known = [piece.known.value for piece in pieces if piece.known is not None]
    if len(known) == len(pieces) and all(isinstance(value, str) for value in known):
        return constant("".join(value for value in known if isinstance(value, str)))
    evaluate = join_as_text(pieces, [position for position, _ in parts])
    return Compiled(evaluate=evaluate, constant=all(piece.constant for piece in pieces))


def _charged(compiled: Compiled, parts: list[tuple[int, Part]], end: int) -> Compiled:
    """Charge long expressions for their operators, which by themselves cost nothing: a short one has few."""
    spans = pairwise((*(position for position, _ in parts), end))
    places = [span for (_, part), span in zip(parts, spans, strict=True) if not isinstance(part, str)]
    length = sum(until - at for at, until in places)
    if compiled.constant or length <= limits.EXPRESSION_FREE:
        return compiled
    first, cost, inner = places[0][0], length >> limits.EXPRESSION_SHIFT, compiled.evaluate

    def evaluate(scope: Scope) -> Value:
        try:
            scope.budget.step(cost)
        except BudgetExceeded as error:
            error.locate(first)
            raise
        return inner(scope)

    return Compiled(evaluate=evaluate)
