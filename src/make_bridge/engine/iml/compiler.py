"""From the tree of an expression to one Python closure.

Each node becomes a function of the scope; nothing is looked up by name while evaluating. Sub-trees of constants
are computed once, here. A closure calls those of its operands directly, so evaluation is as deep as the tree is
high, which the parser bounds.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.calls import compile_call
from make_bridge.engine.iml.functions import FUNCTIONS
from make_bridge.engine.iml.functions.signature import Function
from make_bridge.engine.iml.keywords import CONSTANTS, EMPTY_ARRAY, VARYING
from make_bridge.engine.iml.operators import OPERATORS, Operator, add, negate
from make_bridge.engine.iml.paths import Evaluator, compile_path
from make_bridge.engine.iml.scope import Budget, Scope
from make_bridge.engine.iml.syntax import (
    VARIABLES,
    BareText,
    Call,
    Chain,
    Empty,
    Keyword,
    Negation,
    Node,
    Number,
    Path,
    Segment,
    Text,
)
from make_bridge.engine.iml.texts import text_of
from make_bridge.engine.values import Value, truthy

_STEPS_WHILE_COMPILING: Final = 1000
_OUTPUT_WHILE_COMPILING: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One place an expression reads from.

    ``module_id`` is None for variables, whose ``path`` then begins with the family: ``("input", "email")``.
    In ``path`` a str is a key, an int a 1-based position, None stands for ``[]``.
    """

    module_id: int | None
    path: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A closure, and whether it needs nothing of its scope but the budget."""

    evaluate: Evaluator
    constant: bool


@dataclass(slots=True)
class Compiler:
    """Compiles the expressions of one template and notes what they read and call."""

    references: dict[Reference, None] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)

    def compile(self, node: Node) -> Compiled:
        """Compile one node after its operands."""
        match node:
            case Empty():
                return constant(None)
            case Number(value=value) | Text(value=value) | BareText(value=value):
                return constant(value)
            case Keyword(name=name):
                return _keyword(name)
            case Path():
                return self._path(node)
            case Call():
                return self._call(node)
            case Negation():
                return _negation(node, self.compile(node.operand))
            case Chain():
                return self._chain(node)

    def _path(self, path: Path) -> Compiled:
        head, segments = path.head, path.segments
        if isinstance(head, int):
            self.references[Reference(module_id=head, path=segments)] = None
            return Compiled(evaluate=compile_path(lambda scope: scope.bundle(head), segments), constant=False)
        if head != VARIABLES:
            self.references[Reference(module_id=None, path=(head, *segments))] = None
            return Compiled(evaluate=lambda _scope: None, constant=False)
        self.references[Reference(module_id=None, path=segments)] = None
        family = segments[0] if segments else None
        if not isinstance(family, str):
            return Compiled(evaluate=lambda _scope: None, constant=False)
        return Compiled(evaluate=compile_path(lambda scope: scope.variable(family), segments[1:]), constant=False)

    def _call(self, call: Call) -> Compiled:
        self.functions.add(call.name)
        arguments: list[Compiled] = []
        for argument in call.arguments:
            arguments.append(self.compile(argument))  # noqa: PERF401 - a comprehension would be a frame per level
        function = FUNCTIONS.get(call.name)
        evaluate = compile_call(call, function, tuple(argument.evaluate for argument in arguments))
        pure = function is not None and (not isinstance(function, Function) or function.pure)
        return _folded(evaluate, constant=pure and all(argument.constant for argument in arguments))

    def _chain(self, chain: Chain) -> Compiled:
        operands: list[Compiled] = []
        for operand in chain.operands:
            operands.append(self.compile(operand))  # noqa: PERF401 - a comprehension would be a frame per level
        evaluators = tuple(operand.evaluate for operand in operands)
        return _folded(_chain_evaluator(chain, evaluators), constant=all(operand.constant for operand in operands))


def constant(value: Value) -> Compiled:
    return Compiled(evaluate=lambda _scope: value, constant=True)


def _keyword(name: str) -> Compiled:
    if name == EMPTY_ARRAY:
        return Compiled(evaluate=lambda _scope: [], constant=True)
    if name in VARYING:
        return Compiled(evaluate=VARYING[name], constant=False)
    return constant(CONSTANTS[name])


def _negation(node: Negation, operand: Compiled) -> Compiled:
    read = operand.evaluate

    def evaluate(scope: Scope) -> Value:
        value = read(scope)
        try:
            return negate(value)
        except ExpressionError as error:
            error.locate(node.position)
            raise

    return _folded(evaluate, constant=operand.constant)


def _chain_evaluator(chain: Chain, operands: tuple[Evaluator, ...]) -> Evaluator:
    match chain.operators[0]:
        case "&":
            return lambda scope: all(truthy(operand(scope)) for operand in operands)
        case "|":
            return lambda scope: any(truthy(operand(scope)) for operand in operands)
        case ",":
            return lambda scope: _join(scope, [text_of(operand(scope), scope) for operand in operands], ", ")
    if len(operands) == 2:  # noqa: PLR2004 - the most frequent chain: left, operator, right
        return _binary(OPERATORS[chain.operators[0]], operands, chain.positions[0])
    if set(chain.operators) == {"+"}:
        return _sum(operands, chain.positions)
    return _from_the_left(chain, operands)


def _join(scope: Scope, texts: list[str], separator: str = "") -> str:
    scope.budget.allocate(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _binary(operate: Operator, operands: tuple[Evaluator, ...], position: int) -> Evaluator:
    left, right = operands

    def evaluate(scope: Scope) -> Value:
        try:
            return operate(left(scope), right(scope), scope)
        except ExpressionError as error:
            error.locate(position)
            raise

    return evaluate


def _from_the_left(chain: Chain, operands: tuple[Evaluator, ...]) -> Evaluator:
    first = operands[0]
    steps = tuple(
        (OPERATORS[symbol], operand, position)
        for symbol, operand, position in zip(chain.operators, operands[1:], chain.positions, strict=True)
    )

    def evaluate(scope: Scope) -> Value:
        value = first(scope)
        for operate, operand, position in steps:
            try:
                value = operate(value, operand(scope), scope)
            except ExpressionError as error:
                error.locate(position)
                raise
        return value

    return evaluate


def _sum(operands: tuple[Evaluator, ...], positions: tuple[int, ...]) -> Evaluator:
    """Add from the left; from the first text on everything is text, joined at once instead of piece by piece."""

    def evaluate(scope: Scope) -> Value:
        values = [operand(scope) for operand in operands]
        total = values[0]
        for index, position in enumerate(positions, 1):
            try:
                if isinstance(total, str):
                    return _join(scope, [total, *(text_of(value, scope) for value in values[index:])])
                total = add(total, values[index], scope)
            except ExpressionError as error:
                error.locate(position)
                raise
        return total

    return evaluate


class _NoScope:
    """The scope of a constant sub-tree, which asks for nothing but a small budget."""

    def __init__(self) -> None:
        self.budget = Budget(steps=_STEPS_WHILE_COMPILING, output=_OUTPUT_WHILE_COMPILING)
        self.now = datetime(1970, 1, 1, tzinfo=UTC)
        self.timezone = ZoneInfo("UTC")
        self.execution_id = ""

    def bundle(self, _module_id: int) -> Value:
        return None

    def variable(self, _name: str) -> Value:
        return None

    def random(self) -> float:
        return 0.0

    def uuid(self) -> str:
        return ""


def _folded(evaluate: Evaluator, *, constant: bool) -> Compiled:
    """Compute a constant sub-tree now; one that fails, or is no scalar, stays to be evaluated each time."""
    if not constant:
        return Compiled(evaluate=evaluate, constant=False)
    try:
        value = evaluate(_NoScope())
    except ExpressionError:
        return Compiled(evaluate=evaluate, constant=False)
    if isinstance(value, (list, dict)):
        return Compiled(evaluate=evaluate, constant=True)
    return Compiled(evaluate=lambda _scope: value, constant=True)
