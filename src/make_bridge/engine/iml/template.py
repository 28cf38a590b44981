"""Templates: text with ``{{…}}`` parts, compiled once and evaluated many times.

``compile_template`` is what blueprint compilation calls for every text; compiled templates are kept by
their text in a bounded cache. Long ones are not kept: they are rare, and few would fill the memory.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from make_bridge.engine.iml.compiler import Compiled, Compiler, Reference
from make_bridge.engine.iml.functions import FUNCTIONS
from make_bridge.engine.iml.parser import parse_template
from make_bridge.engine.iml.paths import Evaluator
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.syntax import Part
from make_bridge.engine.iml.texts import text_of
from make_bridge.engine.values import Value

_REMEMBERED: Final = 2048
_LONGEST_REMEMBERED: Final = 1024


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
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _compile(text)


@lru_cache(maxsize=_REMEMBERED)
def _remembered(text: str) -> Template:
    return _compile(text)


def _compile(text: str) -> Template:
    compiler = Compiler()
    compiled = _compile_parts(parse_template(text), compiler)
    return Template(
        text=text,
        constant=compiled.constant,
        references=tuple(compiler.references),
        functions=frozenset(compiler.functions),
        unknown_functions=frozenset(compiler.functions - FUNCTIONS.keys()),
        evaluate=compiled.evaluate,
    )


def _compile_parts(parts: tuple[Part, ...], compiler: Compiler) -> Compiled:
    if len(parts) == 1 and not isinstance(parts[0], str):
        return compiler.compile(parts[0])
    if all(isinstance(part, str) for part in parts):
        literal = "".join(part for part in parts if isinstance(part, str))
        return Compiled(evaluate=lambda _scope: literal, constant=True)
    return _mixed([part if isinstance(part, str) else compiler.compile(part) for part in parts])


def _mixed(parts: list[str | Compiled]) -> Compiled:
    """Join literal text and the values of expressions as text."""
    pieces = tuple(part if isinstance(part, str) else part.evaluate for part in parts)

    def evaluate(scope: Scope) -> Value:
        texts = [piece if isinstance(piece, str) else text_of(piece(scope), scope) for piece in pieces]
        scope.budget.allocate(sum(map(len, texts)))
        return "".join(texts)

    return Compiled(evaluate=evaluate, constant=all(isinstance(part, str) or part.constant for part in parts))
