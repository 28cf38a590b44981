"""What the operators do (spec §6): like ECMAScript's, but what would be NaN or Infinity is an error."""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeAlias

from make_bridge.engine.dates import from_epoch_milliseconds, parse_date
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.equality import same
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.texts import text_of
from make_bridge.engine.numbers import normalize, text_to_number
from make_bridge.engine.values import Value, to_number

Operator: TypeAlias = Callable[[Value, Value, Scope], Value]

_KINDS_THAT_ADD_AS_TEXT: Final = (str, list, dict, bytes)


def add(left: Value, right: Value, scope: Scope) -> Value:
    """Add numbers, add milliseconds to a date, or join as text when either side is none of these."""
    if type(left) is int and type(right) is int:
        return normalize(left + right)
    if type(left) is str and type(right) is str:
        scope.budget.allocate(len(left) + len(right))
        return left + right
    if isinstance(left, _KINDS_THAT_ADD_AS_TEXT) or isinstance(right, _KINDS_THAT_ADD_AS_TEXT):
        first, second = text_of(left, scope), text_of(right, scope)
        scope.budget.allocate(len(first) + len(second))
        return first + second
    if isinstance(left, datetime) != isinstance(right, datetime):
        return from_epoch_milliseconds(float(to_number(left)) + float(to_number(right)))
    return normalize(float(to_number(left)) + float(to_number(right)))


def subtract(left: Value, right: Value, _scope: Scope) -> Value:
    if type(left) is int and type(right) is int:
        return normalize(left - right)
    return normalize(float(to_number(left)) - float(to_number(right)))


def multiply(left: Value, right: Value, _scope: Scope) -> Value:
    if type(left) is int and type(right) is int:
        return normalize(left * right)
    return normalize(float(to_number(left)) * float(to_number(right)))


def divide(left: Value, right: Value, _scope: Scope) -> Value:
    divisor = to_number(right)
    if divisor == 0:
        raise ExpressionError("A division by zero has no result.")
    return normalize(float(to_number(left)) / float(divisor))


def remainder(left: Value, right: Value, _scope: Scope) -> Value:
    """Return the rest of a division; it has the sign of the dividend."""
    divisor = to_number(right)
    if divisor == 0:
        raise ExpressionError("A division by zero has no result.")
    return normalize(math.fmod(to_number(left), divisor))


def negate(operand: Value) -> Value:
    return normalize(-to_number(operand))


def equal(left: Value, right: Value, scope: Scope) -> bool:
    return same(left, right, scope)


def unequal(left: Value, right: Value, scope: Scope) -> bool:
    return not same(left, right, scope)


def less(left: Value, right: Value, scope: Scope) -> bool:
    return _compare(left, right, scope) < 0


def greater(left: Value, right: Value, scope: Scope) -> bool:
    return _compare(left, right, scope) > 0


def less_or_equal(left: Value, right: Value, scope: Scope) -> bool:
    return _compare(left, right, scope) <= 0


def greater_or_equal(left: Value, right: Value, scope: Scope) -> bool:
    return _compare(left, right, scope) >= 0


def _compare(left: Value, right: Value, scope: Scope) -> int:
    """Order two values: as numbers when both are, dates by time, else as text by code units."""
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return (left > right) - (left < right)
    first, second = _as_number(left, right, scope), _as_number(right, left, scope)
    if first is not None and second is not None:
        return (first > second) - (first < second)
    return _compare_texts(text_of(left, scope), text_of(right, scope), scope)


def _compare_texts(left: str, right: str, scope: Scope) -> int:
    if left.isascii() and right.isascii():
        scope.budget.scan(min(len(left), len(right)))
        return (left > right) - (left < right)
    scope.budget.scan(4 * (len(left) + len(right)))
    first, second = code_units(left), code_units(right)
    return (first > second) - (first < second)


def _as_number(value: Value, other: Value, scope: Scope) -> int | float | None:
    """Return the number that ``value`` is beside ``other``; beside a date, text is read as a date."""
    if isinstance(value, str):
        if isinstance(other, datetime):
            date = parse_date(value, scope.timezone)
            if date is not None:
                return to_number(date)
        number = text_to_number(value)
        return 0 if number is None and not value and not isinstance(other, str) else number
    if isinstance(value, (list, dict, bytes)):
        return None
    if value is None and isinstance(other, str):
        return 0 if text_to_number(other) is not None else None
    return to_number(value)


def code_units(text: str) -> bytes:
    """Return a key that orders texts by their UTF-16 code units, as ECMAScript orders them."""
    return text.encode("utf-16-be", "surrogatepass")


OPERATORS: Final[dict[str, Operator]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": remainder,
    "=": equal,
    "!=": unequal,
    "<": less,
    ">": greater,
    "<=": less_or_equal,
    ">=": greater_or_equal,
}
