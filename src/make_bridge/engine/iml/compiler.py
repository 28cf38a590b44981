"""From the tree of an expression to one Python closure.

Each node becomes a function of the scope; nothing is looked up by name while evaluating. Sub-trees of constants
are computed once, here. A closure calls those of its operands directly, so evaluation is as deep as the tree is
high, which the parser bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.calls import compile_call
from make_bridge.engine.iml.compiled import Compiled, CompilingScope, Evaluator, constant, fold
from make_bridge.engine.iml.functions import FUNCTIONS
from make_bridge.engine.iml.functions.signature import Function
from make_bridge.engine.iml.joining import join_as_text
from make_bridge.engine.iml.keywords import CONSTANTS, EMPTY_ARRAY, VARYING
from make_bridge.engine.iml.operators import OPERATORS, Operator, add, negate
from make_bridge.engine.iml.paths import compile_path, module_path
from make_bridge.engine.iml.scope import Scope
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One place an expression reads from.

    ``module_id`` is None for variables, whose ``path`` then begins with the family: ``("input", "email")``.
    In ``path`` a str is a key, an int a 1-based position, None stands for ``[]``.
    """

    module_id: int | None
    path: tuple[Segment, ...]


@dataclass(slots=True)
class Compiler:
    """Compiles the expressions of one template and notes what they read and call."""

    references: dict[Reference, None] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    scope: CompilingScope = field(default_factory=CompilingScope)

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
                return self._finished(*_negation(node, self.compile(node.operand)))
            case Chain():
                return self._chain(node)

    def _path(self, path: Path) -> Compiled:
        head, segments = path.head, path.segments
        if isinstance(head, int):
            self.references[Reference(module_id=head, path=segments)] = None
            return Compiled(evaluate=module_path(head, segments))
        if head != VARIABLES:
            self.references[Reference(module_id=None, path=(head, *segments))] = None
            return Compiled(evaluate=lambda _scope: None)
        self.references[Reference(module_id=None, path=segments)] = None
        family = segments[0] if segments else None
        if not isinstance(family, str):
            return Compiled(evaluate=lambda _scope: None)
        return Compiled(evaluate=compile_path(lambda scope: scope.variable(family), segments[1:]))

    def _call(self, call: Call) -> Compiled:
        self.functions.add(call.name)
        arguments: list[Compiled] = []
        for argument in call.arguments:
            arguments.append(self.compile(argument))  # noqa: PERF401 - a comprehension would be a frame per level
        function = FUNCTIONS.get(call.name)
        evaluate = compile_call(call, function, tuple(arguments), self.scope)
        pure = function is not None and (not isinstance(function, Function) or function.pure)
        return self._finished(evaluate, arguments if pure else None)

    def _chain(self, chain: Chain) -> Compiled:
        operands: list[Compiled] = []
        for operand in chain.operands:
            operands.append(self.compile(operand))  # noqa: PERF401 - a comprehension would be a frame per level
        return self._finished(_chain_evaluator(chain, operands), operands)

    def _finished(self, evaluate: Evaluator, operands: Sequence[Compiled] | None) -> Compiled:
        """Compute what depends on constants only; ``None`` says that it depends on the scope."""
        if operands is None or not all(operand.constant for operand in operands):
            return Compiled(evaluate=evaluate)
        return fold(evaluate, self.scope)


def _keyword(name: str) -> Compiled:
    if name == EMPTY_ARRAY:
        return Compiled(evaluate=lambda _scope: [], constant=True)
    if name in VARYING:
        return Compiled(evaluate=VARYING[name])
    return constant(CONSTANTS[name])


def _negation(node: Negation, operand: Compiled) -> tuple[Evaluator, Sequence[Compiled]]:
    read = operand.evaluate

    def evaluate(scope: Scope) -> Value:
        value = read(scope)
        try:
            return negate(value)
        except ExpressionError as error:
            error.locate(node.position)
            raise

    return evaluate, (operand,)


def _chain_evaluator(chain: Chain, compiled: Sequence[Compiled]) -> Evaluator:
    operands = tuple(operand.evaluate for operand in compiled)
    match chain.operators[0]:
        case "&":
            return _all(operands)
        case "|":
            return _any(operands)
        case ",":
            return _listed(operands, chain.positions)
    if len(operands) == 2:  # noqa: PLR2004 - the most frequent chain: left, operator, right
        operate, known = OPERATORS[chain.operators[0]], compiled[1].known
        if known is not None:
            return _with_constant(operate, operands[0], known.value, chain.positions[0])
        return _binary(operate, operands, chain.positions[0])
    if set(chain.operators) == {"+"}:
        if any(operand.known is not None and isinstance(operand.known.value, str) for operand in compiled[:2]):
            return join_as_text(compiled, (chain.positions[0], *chain.positions))
        return _sum(operands, chain.positions)
    return _from_the_left(chain, operands)


def _all(operands: tuple[Evaluator, ...]) -> Evaluator:
    if len(operands) == 2:  # noqa: PLR2004 - left and right, without a generator
        left, right = operands
        return lambda scope: truthy(left(scope)) and truthy(right(scope))
    return lambda scope: all(truthy(operand(scope)) for operand in operands)


def _any(operands: tuple[Evaluator, ...]) -> Evaluator:
    if len(operands) == 2:  # noqa: PLR2004 - left and right, without a generator
        left, right = operands
        return lambda scope: truthy(left(scope)) or truthy(right(scope))
    return lambda scope: any(truthy(operand(scope)) for operand in operands)


def _listed(operands: tuple[Evaluator, ...], positions: tuple[int, ...]) -> Evaluator:
    """Join what stands between commas, which are text."""

    def evaluate(scope: Scope) -> Value:
        try:
            return _join(scope, [text_of(operand(scope), scope) for operand in operands], ", ")
        except ExpressionError as error:
            error.locate(positions[0])
            raise

    return evaluate


def _join(scope: Scope, texts: list[str], separator: str = "") -> str:
    scope.budget.allocate(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _with_constant(operate: Operator, left: Evaluator, right: Value, position: int) -> Evaluator:
    def evaluate(scope: Scope) -> Value:
        try:
            return operate(left(scope), right, scope)
        except ExpressionError as error:
            error.locate(position)
            raise

    return evaluate


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
