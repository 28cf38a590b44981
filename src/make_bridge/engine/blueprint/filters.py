"""Filters compiled to one function each: `passes(scope) -> bool`.

Made once by `compile`, called by the runner for every bundle that reaches a filtered module. A right
side that is constant, as nearly all are, is prepared here instead of for every bundle.
"""

from collections.abc import Callable
from typing import Final

from make_bridge.engine.apps.module import ErrorType, ModuleError
from make_bridge.engine.blueprint.constants import ANY_ZONE, fold
from make_bridge.engine.blueprint.model import Condition, Filter
from make_bridge.engine.blueprint.operators import OPERATORS, UNARY, Incomparable, Operator, exists, unknown_operator
from make_bridge.engine.iml import Scope, compile_value
from make_bridge.engine.values import Value, size_of

# Characters of a text that are compared for nothing.
_SHORT: Final = 256
# Of arrays and collections so many bytes, which are a few elements, cost one operation.
_SLOTS_SHIFT: Final = 6
Passes = Callable[[Scope], bool]
Evaluate = Callable[[Scope], Value]


def compile_filter(source: Filter | None) -> Passes | None:
    """Return the test, or None for a filter that always passes."""
    if source is None or not source.groups:
        return None
    groups = [_all([_condition(condition) for condition in group]) for group in source.groups]
    return groups[0] if len(groups) == 1 else _any(groups)


def _all(tests: list[Passes]) -> Passes:
    if len(tests) == 1:
        return tests[0]
    return lambda scope: all(test(scope) for test in tests)


def _any(tests: list[Passes]) -> Passes:
    return lambda scope: any(test(scope) for test in tests)


def _condition(condition: Condition) -> Passes:
    left = compile_value(condition.a).evaluate
    if condition.operator in UNARY:
        wanted = condition.operator == "exist"
        return lambda scope: exists(left(scope)) is wanted
    operator = OPERATORS.get(condition.operator)
    if operator is None:
        return _raising(ErrorType.CONFIGURATION, unknown_operator(condition.operator))
    right = compile_value(condition.b)
    constant = None if operator.zoned else fold(right)
    if constant is None:
        return _against_value(left, right.evaluate, operator)
    try:
        expected = operator.right(constant.value, ANY_ZONE)
    except Incomparable:
        return _unlike(operator)
    except ModuleError as error:
        return _raising(error.error_type, error.message)
    return _against_constant(left, expected, operator)


def _raising(error_type: str, message: str) -> Passes:
    def refuse(_scope: Scope) -> bool:
        raise ModuleError(error_type, message)

    return refuse


def _unlike(operator: Operator) -> Passes:
    return lambda _scope: operator.unlike


def _against_constant(left: Evaluate, expected: object, operator: Operator) -> Passes:
    prepare, test, unlike = operator.left, operator.test, operator.unlike
    searches = operator.searches

    def passes(scope: Scope) -> bool:
        try:
            value = prepare(_charged(left(scope), scope), scope.timezone)
            return test(value, expected, scope.budget) if searches else test(value, expected)
        except Incomparable:
            return unlike

    return passes


def _against_value(left: Evaluate, right: Evaluate, operator: Operator) -> Passes:
    def passes(scope: Scope) -> bool:
        zone = scope.timezone
        try:
            value = operator.left(_charged(left(scope), scope), zone)
            expected = operator.right(_charged(right(scope), scope), zone)
            return operator.test(value, expected, scope.budget) if operator.searches else operator.test(value, expected)
        except Incomparable:
            return operator.unlike

    return passes


def _charged(value: Value, scope: Scope) -> Value:
    """Charge the reading of a side: comparing large ones for every bundle is work like any other."""
    if type(value) is str:
        if len(value) > _SHORT:
            scope.budget.scan(len(value))
    elif isinstance(value, list | dict):
        scope.budget.step(size_of(value, scope.budget.steps << _SLOTS_SHIFT) >> _SLOTS_SHIFT)
    return value
