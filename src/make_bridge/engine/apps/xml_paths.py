"""Queries on XML: the part of XPath 1.0 that people use.

Used by the `xml` app. Location paths with the abbreviated axes (child, //, @, . and ..), the tests *, text() and
node(), unions, and predicates by position, by comparison and by contains, starts-with, local-name, last, position,
count, normalize-space, string-length, not, and, or. Anything else is refused by name. A step keeps each node once
and every node looked at is charged, so that `//*//*//*` ends as soon as any other expression does.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from make_bridge.engine.apps.xml_path_values import (
    FUNCTIONS,
    Context,
    Leaf,
    Meter,
    Node,
    Nodes,
    Result,
    as_nodes,
    compare,
    identity,
    truth,
    united,
    wrong,
)
from make_bridge.engine.apps.xml_tree import Element
from make_bridge.engine.iml.scope import Budget

MAX_EXPRESSION: Final = 1_000
MAX_NESTING: Final = 20

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<mark>::|//|\.\.|!=|<=|>=|[/.@*()\[\]|,=<>])"""
    r"|(?P<name>[^\W\d][\w.-]*(?::(?:[^\W\d][\w.-]*|\*))?))"
)
Evaluate = Callable[[Context], Result]
Test = Callable[[Element], bool]


class Query:
    """A compiled expression."""

    def __init__(self, expression: str) -> None:
        """Compile; raises `InvalidConfigurationError` saying what is wrong."""
        self._evaluate = _Parser(expression).whole()

    def run(self, document: Element, budget: Budget) -> Result:
        """Return the nodes in document order, or the text, number or truth the expression gives."""
        return self._evaluate(Context(document, document, Meter(budget)))


class _Parser:
    """Recursive descent over the tokens; nesting is limited."""

    def __init__(self, expression: str) -> None:
        if len(expression) > MAX_EXPRESSION:
            raise wrong(f"it is longer than {MAX_EXPRESSION} characters")
        self.tokens = _tokens(expression)
        self.at = 0
        self.depth = 0

    def whole(self) -> Evaluate:
        evaluate = self._either()
        if self.at < len(self.tokens):
            raise wrong(f"{self.tokens[self.at][1]!r} is not expected there")
        return evaluate

    def _peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.tokens[at][1] if at < len(self.tokens) else ""

    def _kind(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else "end"

    def _take(self, value: str) -> bool:
        if self._peek() != value or self._kind() == "text":
            return False
        self.at += 1
        return True

    def _need(self, value: str) -> None:
        if not self._take(value):
            raise wrong(f"{value!r} is missing")

    def _either(self) -> Evaluate:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise wrong(f"it nests deeper than {MAX_NESTING} levels")
        parts = [self._both()]
        while self._take("or"):
            parts.append(self._both())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else lambda context: any(truth(part(context)) for part in parts)

    def _both(self) -> Evaluate:
        parts = [self._comparison()]
        while self._take("and"):
            parts.append(self._comparison())
        return parts[0] if len(parts) == 1 else lambda context: all(truth(part(context)) for part in parts)

    def _comparison(self) -> Evaluate:
        left = self._union()
        for operator in ("=", "!=", "<=", ">=", "<", ">"):
            if self._take(operator):
                right = self._union()
                return lambda context: compare(operator, left(context), right(context), context.meter)
        return left

    def _union(self) -> Evaluate:
        parts = [self._value()]
        while self._take("|"):
            parts.append(self._value())
        return parts[0] if len(parts) == 1 else lambda context: united([part(context) for part in parts])

    def _value(self) -> Evaluate:
        kind, value = self._kind(), self._peek()
        if kind == "text":
            self.at += 1
            return lambda _context: value[1:-1]
        if kind == "number":
            self.at += 1
            return lambda _context: float(value)
        if self._take("("):
            return self._filtered()
        if kind == "name" and self._peek(1) == "(" and value not in ("text", "node"):
            return self._function()
        return self._path()

    def _function(self) -> Evaluate:
        name = self._peek()
        function = FUNCTIONS.get(name)
        if function is None:
            raise wrong(f"the function {name}() is not supported")
        self.at += 2
        arguments: list[Evaluate] = []
        while not self._take(")"):
            if arguments:
                self._need(",")
            arguments.append(self._either())
        least, most, run = function
        if not least <= len(arguments) <= most:
            raise wrong(f"{name}() takes {least} to {most} arguments")
        return lambda context: run(context, [argument(context) for argument in arguments])

    def _filtered(self) -> Evaluate:
        """Read what follows an opening bracket: an expression, then predicates and steps on all it finds."""
        inner = self._either()
        self._need(")")
        predicates, steps = self._predicates(), [*self._steps()]
        if not predicates and not steps:
            return inner

        def evaluate(context: Context) -> Result:
            nodes = _choose(as_nodes(inner(context)), predicates, context)
            for step in steps:
                nodes = step.run(nodes, context)
            return nodes

        return evaluate

    def _path(self) -> Evaluate:
        absolute = self._peek() in ("/", "//")
        if self._peek() == "/" and (self.at + 1 == len(self.tokens) or self._peek(1) in (")", "]", "|", ",")):
            self.at += 1
            return lambda context: [context.document]
        steps = [*self._steps()] if absolute else [self._step(deep=False), *self._steps()]

        def evaluate(context: Context) -> Result:
            nodes: Nodes = [context.document if absolute else context.node]
            for step in steps:
                nodes = step.run(nodes, context)
            return nodes

        return evaluate

    def _steps(self) -> "Iterator[_Step]":
        while (deep := self._take("//")) or self._take("/"):
            yield self._step(deep=deep)

    def _step(self, *, deep: bool) -> "_Step":
        axis, test, name = self._test()
        return _Step(axis=axis, name=name, test=test, deep=deep, predicates=self._predicates())

    def _predicates(self) -> tuple[Evaluate, ...]:
        predicates: list[Evaluate] = []
        while self._take("["):
            predicates.append(self._either())
            self._need("]")
        return tuple(predicates)

    def _test(self) -> tuple[str, Test, str]:
        if self._take(".."):
            return "parent", _anything, ""
        if self._take("."):
            return "self", _anything, ""
        axis = "attribute" if self._take("@") else "child"
        if self._take("*"):
            return axis, _anything, "*"
        if self._kind() != "name":
            raise wrong(f"a name is missing before {self._peek()!r}" if self._peek() else "it ends too early")
        name = self._peek()
        self.at += 1
        if self._take("("):
            self._need(")")
            return ("text" if name == "text" else "any"), _anything, ""
        if self._peek() == "::":
            raise wrong("axes are only known in their short form")
        return axis, _named(name), name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One step of a path: an axis, a test and predicates; `deep` looks in all descendants first."""

    axis: str
    name: str
    test: Test
    deep: bool
    predicates: tuple[Evaluate, ...]

    def run(self, nodes: Nodes, context: Context) -> Nodes:
        starts = _descendants(nodes, context.meter) if self.deep else nodes
        found: dict[tuple[int, str, int], Node] = {}
        context.meter.look(len(starts))
        for start in starts:
            for node in _choose(self._reached(start, context.meter), self.predicates, context):
                found.setdefault(identity(node), node)
        return [found[key] for key in sorted(found)]

    def _reached(self, start: Node, meter: Meter) -> Nodes:
        if self.axis == "self":
            return [start]
        if isinstance(start, Leaf):
            return [start.owner] if self.axis == "parent" else []
        match self.axis:
            case "parent":
                return [start.parent] if start.parent is not None else []
            case "attribute":
                return [
                    Leaf(start, f"@{name}", value)
                    for name, value in start.attributes.items()
                    if self.name in {"*", name}
                ]
            case "text":
                text = start.own_text()
                return [Leaf(start, "text()", text)] if text.strip() else []
            case _:
                meter.look(len(start.content))
                return [child for child in start.children if self.axis == "any" or self.test(child)]


def _choose(nodes: Nodes, predicates: tuple[Evaluate, ...], context: Context) -> Nodes:
    """Return the nodes for which every predicate holds; a number is a position."""
    for predicate in predicates:
        size = len(nodes)
        kept: Nodes = []
        context.meter.look(size)
        for position, node in enumerate(nodes, 1):
            result = predicate(Context(node, context.document, context.meter, position, size))
            is_number = isinstance(result, float) and not isinstance(result, bool)
            if position == result if is_number else truth(result):
                kept.append(node)
        nodes = kept
    return nodes


def _tokens(expression: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at, end = 0, len(expression.rstrip())
    while at < end:
        match = _TOKEN.match(expression, at)
        if match is None or match.lastgroup is None:
            raise wrong(f"{expression[at : at + 10]!r} cannot be read")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    if not found:
        raise wrong("it is empty")
    return found


def _anything(_element: Element) -> bool:
    return True


def _named(name: str) -> Test:
    if name.endswith(":*"):
        return lambda element: element.name.startswith(name[:-1])
    return lambda element: element.name == name


def _descendants(nodes: Nodes, meter: Meter) -> Nodes:
    """Return the nodes and all below them, each once."""
    found: dict[int, Element] = {}
    for node in nodes:
        if isinstance(node, Leaf) or node.order in found:
            continue
        for element in node.walk():
            meter.look(1)
            found[element.order] = element
    return [found[order] for order in sorted(found)]
