"""When two values are the same.

``same`` is the language's ``=`` (spec §6): loose between a number and numeric text, and between null and "".
``identity`` is the strict kind that set operations on data use. Both walk nested values without recursion and
charge a step for each pair, because one array may stand in many places of another.
"""

from datetime import datetime
from typing import Final, TypeAlias

from make_bridge.engine.dates import epoch_milliseconds, parse_date
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.texts import json_of
from make_bridge.engine.numbers import text_to_number
from make_bridge.engine.values import IGNORE, Value

Identity: TypeAlias = tuple[str, object]

_LONG: Final = 256
_COST_OF_A_DATE: Final = 8  # a text is tried in several forms


def same(left: Value, right: Value, scope: Scope) -> bool:
    """Compare as ``=`` does."""
    if type(left) is type(right) and not isinstance(left, (list, dict)):
        if isinstance(left, (str, bytes)) and len(left) > _LONG:
            scope.budget.scan(len(left))
        return left == right
    waiting: list[tuple[Value, Value]] = [(left, right)]
    while waiting:
        first, second = waiting.pop()
        if isinstance(first, list) and isinstance(second, list):
            if len(first) != len(second):
                return False
            scope.budget.step(1 + len(first))
            waiting.extend(zip(first, second, strict=True))
        elif isinstance(first, dict) and isinstance(second, dict):
            if first.keys() != second.keys():
                return False
            scope.budget.step(1 + len(first))
            waiting.extend((member, second[key]) for key, member in first.items())
        elif not _same_scalars(first, second, scope):
            return False
    return True


def _same_scalars(left: Value, right: Value, scope: Scope) -> bool:
    if _is_nothing(left) or _is_nothing(right):
        return (_is_nothing(left) or left == "") and (_is_nothing(right) or right == "")
    for value in (left, right):
        if isinstance(value, (str, bytes)):
            scope.budget.scan(len(value))
    if isinstance(left, str):
        return _text_equals(left, right, scope)
    if isinstance(right, str):
        return _text_equals(right, left, scope)
    if isinstance(left, datetime) != isinstance(right, datetime):
        return _milliseconds(left) == _milliseconds(right)
    if isinstance(left, (list, dict, bytes)) or isinstance(right, (list, dict, bytes)):
        return isinstance(left, bytes) and left == right
    return left == right


def _is_nothing(value: Value) -> bool:
    return value is None or type(value) is type(IGNORE)


def _text_equals(text: str, other: Value, scope: Scope) -> bool:
    if isinstance(other, str):
        return text == other
    if isinstance(other, bool):
        return text == ("true" if other else "false")
    if isinstance(other, (int, float)):
        return text_to_number(text) == other
    if isinstance(other, datetime):
        scope.budget.step(_COST_OF_A_DATE)
        return parse_date(text, scope.timezone) == other
    if isinstance(other, bytes):
        scope.budget.scan(4 * len(text))
        return len(text) <= len(other) and text.encode("utf-8", "surrogatepass") == other
    return False


def _milliseconds(value: Value) -> Value:
    return epoch_milliseconds(value) if isinstance(value, datetime) else value


def identity(value: Value, scope: Scope) -> Identity:
    """Return a key that is equal for values of one kind that are equal, for sets of data."""
    if isinstance(value, (list, dict)):
        return "json", json_of(value, scope)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "number", value
    return type(value).__name__, value
