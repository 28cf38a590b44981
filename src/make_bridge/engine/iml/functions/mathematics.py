"""Mathematical functions (spec §7.2)."""

import math
import re
from collections.abc import Callable
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal
from typing import Final

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml import limits
from make_bridge.engine.iml.functions.parameters import anything, number, optional, text, whole
from make_bridge.engine.iml.functions.signature import Example, Function, OnNull, example
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.numbers import WHITE_SPACE, normalize, text_to_number
from make_bridge.engine.values import Value, describe, to_number

_NULL: Final = OnNull(value=None)
_HALF: Final = 0.5
_BYTES_OF_A_NUMBER: Final = 8
_LONGEST_NUMERAL: Final = 1000
# A double has at most 309 digits before the point and ``limits.DECIMALS`` may be asked for after it.
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
    if not 0 <= decimals <= limits.DECIMALS:
        raise ExpressionError(
            f"The number of decimals must lie between 0 and {limits.DECIMALS}; it is {decimals}.", argument=2
        )
    return Decimal((0, (1,), -decimals))


def _numbers(scope: Scope, values: tuple[Value, ...]) -> list[int | float]:
    """Return the numbers given one by one or as arrays; null and empty text are skipped."""
    numbers: list[int | float] = []
    for place, value in enumerate(values, 1):
        members = value if isinstance(value, list) else [value]
        scope.budget.step(len(members))
        scope.budget.allocate(_BYTES_OF_A_NUMBER * len(members))
        try:
            numbers.extend(to_number(member) for member in members if member is not None and member != "")
        except ExpressionError as error:
            error.argument = place
            raise
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


_GROUPED: Final = re.compile(r"[+-]?[0-9]{1,3}(?:[ .,'’\u00a0\u2009\u202f][0-9]{3})+")


def _parse_number(_scope: Scope, written: str, separator: str | None = None) -> Value:
    """Read a number with the given decimal separator; spaces, and marks between groups of three, are dropped."""
    if len(written) > _LONGEST_NUMERAL:
        raise ExpressionError(f"{describe(written)} is not a valid number.", argument=1)
    integral, _, fraction = written.strip(WHITE_SPACE).partition(separator or ".")
    if _GROUPED.fullmatch(integral):
        integral = re.sub(r"[^0-9+-]", "", integral)
    integral = "".join(integral.split())
    parsed = text_to_number(f"{integral}.{fraction}" if fraction else integral)
    if parsed is None:
        raise ExpressionError(f"{describe(written)} is not a valid number.", argument=1)
    return parsed


def _format_number(
    scope: Scope, value: float, decimals: int | None = None, point: str | None = None, groups: str | None = None
) -> Value:
    exact = Decimal(repr(value))
    if decimals is not None:
        exact = exact.quantize(_unit(decimals), rounding=ROUND_HALF_UP, context=_EXACT)
    integral, _, fraction = f"{exact:,f}".partition(".")
    if not exact:
        integral = "0"  # a negative number rounded to nothing has no sign
    point, groups = "," if point is None else point, "." if groups is None else groups
    scope.budget.allocate(len(integral) * (1 + len(groups)) + len(point) + len(fraction))
    integral = integral.replace(",", groups)
    return f"{integral}{point}{fraction}" if fraction else integral


def _statistic(
    name: str,
    summary: str,
    compute: Callable[[list[int | float]], int | float | None],
    *examples: Example,
    empty: Value = None,
) -> Function:
    """Make a function of one array or several values; ``empty`` is its result for no numbers."""

    def run(scope: Scope, *values: Value) -> Value:
        numbers = _numbers(scope, values)
        return compute(numbers) if numbers else empty

    rest = anything("value")
    return Function(name=name, summary=summary, run=run, parameters=(), rest=rest, required=1, examples=examples)


MATHEMATICS: Final = (
    Function(
        name="abs",
        summary="Returns the number without its sign.",
        run=_abs,
        parameters=(number("number"),),
        required=1,
        on_null=_NULL,
        examples=(example("abs(-3)", 3), example("abs(2.5)", 2.5)),
    ),
    Function(
        name="ceil",
        summary="Returns the smallest whole number that is not below the number.",
        run=_ceil,
        parameters=(number("number"),),
        required=1,
        on_null=_NULL,
        examples=(example("ceil(1.2)", 2), example("ceil(-1.2)", -1)),
    ),
    Function(
        name="floor",
        summary="Returns the largest whole number that is not above the number.",
        run=_floor,
        parameters=(number("number"),),
        required=1,
        on_null=_NULL,
        examples=(example("floor(1.8)", 1), example("floor(-1.2)", -2)),
    ),
    Function(
        name="round",
        summary="Returns the nearest whole number; halves go up.",
        run=_round,
        parameters=(number("number"),),
        required=1,
        on_null=_NULL,
        examples=(example("round(2.5)", 3), example("round(-1.5)", -1)),
    ),
    Function(
        name="trunc",
        summary="Cuts the number after so many decimals, none when they are left out; nothing is rounded.",
        run=_trunc,
        parameters=(number("number"), optional(whole("decimals"))),
        required=1,
        on_null=_NULL,
        examples=(example("trunc(-1.9)", -1), example("trunc(3.14159; 2)", 3.14)),
    ),
    _statistic(
        "sum",
        "Adds the values, or the elements of an array; null and empty text are skipped.",
        lambda numbers: normalize(_total(numbers)),
        example("sum(1; 2; 3)", 6),
        example('sum(map(1.rows; "price"))', 30, {"rows": [{"price": 10}, {"price": 20}]}),
        example("sum(emptyarray)", 0),
        empty=0,
    ),
    _statistic(
        "average",
        "Returns the mean of the values, or of an array's elements; null when there are none.",
        _average_of,
        example("average(2; 4)", 3),
        example("average(1.numbers)", 2.5, {"numbers": [1, 2, 3, 4]}),
    ),
    _statistic(
        "min",
        "Returns the smallest of the values, or of an array's elements; null when there are none.",
        min,
        example("min(3; 9; 4)", 3),
        example("min(emptyarray)", None),
    ),
    _statistic(
        "max",
        "Returns the largest of the values, or of an array's elements; null when there are none.",
        max,
        example("max(3; 9; 4)", 9),
        example("max(1.numbers)", 30, {"numbers": [1, 30, 4]}),
    ),
    _statistic(
        "median",
        "Returns the value in the middle, or the mean of the two middle ones.",
        _median_of,
        example("median(1; 3; 2)", 2),
        example("median(1; 2; 3; 4)", 2.5),
    ),
    _statistic(
        "stdevS",
        "Returns the standard deviation of a sample; null for less than two values.",
        lambda numbers: _deviation_of(numbers, 1),
        example("stdevS(1; 2; 3)", 1),
    ),
    _statistic(
        "stdevP",
        "Returns the standard deviation of a whole population.",
        lambda numbers: _deviation_of(numbers, 0),
        example("stdevP(2; 4; 4; 4; 5; 5; 7; 9)", 2),
    ),
    Function(
        name="parseNumber",
        summary="Reads a number; the decimal separator is a dot unless you name another, grouping is dropped.",
        run=_parse_number,
        parameters=(text("text"), optional(text("decimalSeparator"))),
        required=1,
        on_null=_NULL,
        examples=(example('parseNumber("1 756,45"; ",")', 1756.45), example('parseNumber("12.5")', 12.5)),
    ),
    Function(
        name="formatNumber",
        summary="Writes a number with so many decimals, a comma before them and dots between the thousands.",
        run=_format_number,
        parameters=(
            number("number"),
            optional(whole("decimals")),
            optional(text("decimalSeparator")),
            optional(text("thousandsSeparator")),
        ),
        required=1,
        on_null=OnNull(value=""),
        examples=(
            example("formatNumber(1234567.891; 2)", "1.234.567,89"),
            example('formatNumber(1234.5; 1; "."; ",")', "1,234.5"),
            example("formatNumber(7; 0)", "7"),
        ),
    ),
)
