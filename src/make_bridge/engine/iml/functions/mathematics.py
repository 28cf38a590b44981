"""Mathematical functions (spec §7.2)."""

import math
import re
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal
from typing import Final

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.functions.signature import (
    Function,
    OnNull,
    anything,
    number,
    optional_integer,
    optional_text,
    text,
)
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.numbers import WHITE_SPACE, normalize, text_to_number
from make_bridge.engine.values import Value, describe, to_number

_NULL: Final = OnNull(value=None)
_MOST_DECIMALS: Final = 100
_HALF: Final = 0.5
# A double has at most 309 digits before the point and 100 may be asked for after it.
_EXACT: Final = Context(prec=500)


def _abs(_scope: Scope, value: float) -> Value:
    return normalize(abs(value))


def _ceil(_scope: Scope, value: float) -> Value:
    return normalize(math.ceil(value))


def _floor(_scope: Scope, value: float) -> Value:
    return normalize(math.floor(value))


def _round(_scope: Scope, value: float) -> Value:
    """Round to the nearest integer, halves upwards; no addition of 0.5, which itself would round."""
    below = math.floor(value)
    return normalize(below if value - below < _HALF else below + 1)


def _trunc(_scope: Scope, value: float, decimals: int | None = None) -> Value:
    if not decimals:
        return normalize(math.trunc(value))
    exact = Decimal(repr(value)).quantize(_unit(decimals), rounding=ROUND_DOWN, context=_EXACT)
    return normalize(float(exact))


def _unit(decimals: int) -> Decimal:
    """Return 0.01 for 2 decimals."""
    if not 0 <= decimals <= _MOST_DECIMALS:
        raise ExpressionError(f"The number of decimals must lie between 0 and {_MOST_DECIMALS}.", argument=2)
    return Decimal((0, (1,), -decimals))


def _numbers(scope: Scope, values: tuple[Value, ...]) -> list[int | float]:
    """Return the numbers given one by one or as arrays; null and empty text are skipped."""
    numbers: list[int | float] = []
    for value in values:
        members = value if isinstance(value, list) else [value]
        scope.budget.step(len(members))
        numbers.extend(to_number(member) for member in members if member is not None and member != "")
    return numbers


def _total(numbers: list[int | float]) -> float:
    """Add from the left, as ECMAScript would; Python's own sum differs between its versions."""
    total = 0.0
    for value in numbers:
        total += value
    return total


def _average_of(numbers: list[int | float]) -> int | float:
    return normalize(_total(numbers) / len(numbers))


def _median_of(numbers: list[int | float]) -> int | float:
    ordered = sorted(numbers)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return normalize((float(ordered[middle - 1]) + float(ordered[middle])) / 2)


def _deviation_of(numbers: list[int | float], degrees_of_freedom: int) -> int | float | None:
    divisor = len(numbers) - degrees_of_freedom
    if divisor < 1:
        return None
    mean = _total(numbers) / len(numbers)
    try:
        return normalize(math.sqrt(_total([(value - mean) ** 2 for value in numbers]) / divisor))
    except OverflowError:
        raise ExpressionError("The result is too large for a number.") from None


def _over(compute: Callable[[list[int | float]], int | float | None], empty: Value = None) -> Callable[..., Value]:
    """Make a function of one array or several values; ``empty`` is its result for no numbers."""

    def run(scope: Scope, *values: Value) -> Value:
        numbers = _numbers(scope, values)
        return compute(numbers) if numbers else empty

    return run


_GROUPED: Final = re.compile(r"[+-]?[0-9]{1,3}(?:[ .,'’\u00a0\u2009\u202f][0-9]{3})+")


def _parse_number(_scope: Scope, written: str, separator: str | None = None) -> Value:
    """Read a number with the given decimal separator; spaces, and marks between groups of three, are dropped."""
    whole, _, fraction = written.strip(WHITE_SPACE).partition(separator or ".")
    if _GROUPED.fullmatch(whole):
        whole = re.sub(r"[^0-9+-]", "", whole)
    whole = "".join(whole.split())
    parsed = text_to_number(f"{whole}.{fraction}" if fraction else whole)
    if parsed is None:
        raise ExpressionError(f"{describe(written)} is not a valid number.", argument=1)
    return parsed


def _format_number(
    _scope: Scope, value: float, decimals: int | None = None, point: str | None = None, groups: str | None = None
) -> Value:
    exact = Decimal(repr(value))
    if decimals is not None:
        exact = exact.quantize(_unit(decimals), rounding=ROUND_HALF_UP, context=_EXACT)
    whole, _, fraction = f"{exact:,f}".partition(".")
    if not exact:
        whole = "0"  # a negative number rounded to nothing has no sign
    whole = whole.replace(",", "." if groups is None else groups)
    return f"{whole}{',' if point is None else point}{fraction}" if fraction else whole


MATHEMATICS: Final = (
    Function(name="abs", run=_abs, parameters=(number,), required=1, on_null=_NULL),
    Function(name="ceil", run=_ceil, parameters=(number,), required=1, on_null=_NULL),
    Function(name="floor", run=_floor, parameters=(number,), required=1, on_null=_NULL),
    Function(name="round", run=_round, parameters=(number,), required=1, on_null=_NULL),
    Function(name="trunc", run=_trunc, parameters=(number, optional_integer), required=1, on_null=_NULL),
    Function(name="sum", run=_over(lambda n: normalize(_total(n)), 0), parameters=(), rest=anything, required=1),
    Function(name="average", run=_over(_average_of), parameters=(), rest=anything, required=1),
    Function(name="min", run=_over(min), parameters=(), rest=anything, required=1),
    Function(name="max", run=_over(max), parameters=(), rest=anything, required=1),
    Function(name="median", run=_over(_median_of), parameters=(), rest=anything, required=1),
    Function(name="stdevS", run=_over(lambda n: _deviation_of(n, 1)), parameters=(), rest=anything, required=1),
    Function(name="stdevP", run=_over(lambda n: _deviation_of(n, 0)), parameters=(), rest=anything, required=1),
    Function(name="parseNumber", run=_parse_number, parameters=(text, optional_text), required=1, on_null=_NULL),
    Function(
        name="formatNumber",
        run=_format_number,
        parameters=(number, optional_integer, optional_text, optional_text),
        required=1,
        on_null=OnNull(value=""),
    ),
)
