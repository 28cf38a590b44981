"""Numbers as ECMAScript has them: one kind, IEEE doubles, printed in the shortest form that reads back.

Used by values and by the expression language. Integral doubles within 2**53 are kept as int, because they
are exact there and Python prints and indexes with them; what lies beyond, or has a fraction, is a float.
"""

import math
import re
from typing import Final

from make_bridge.engine.expression_errors import ExpressionError

MAX_SAFE_INTEGER: Final = 2**53
_FIXED_BELOW_EXPONENT: Final = 21  # ECMAScript writes 1e21 and larger with an exponent
_FIXED_ABOVE_EXPONENT: Final = -7  # and 1e-7 and smaller
_LONGEST_NUMERAL: Final = 1000
_NUMERAL: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PREFIXED: Final = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")

# White space and line ends as ECMAScript trims them; Python's own set differs at both ends.
WHITE_SPACE: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f"
    "\u205f\u3000\ufeff"
)


def normalize(number: float) -> int | float:
    """Return the number in its one form; raises for NaN, Infinity and what no double can hold."""
    if isinstance(number, int):
        if -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER:
            return int(number)
        number = _as_double(number)
    if number.is_integer():
        return int(number) if -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER else number
    if not math.isfinite(number):
        raise ExpressionError("The result is not a number: it is too large or undefined.")
    return number


def _as_double(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        raise ExpressionError("The number is too large.") from None


def number_to_text(number: float) -> str:
    """Print as ``Number::toString`` does: 12.5, 1e+21, 0.000001, 1e-7."""
    if isinstance(number, int):
        if -MAX_SAFE_INTEGER <= number <= MAX_SAFE_INTEGER:
            return str(number)
        number = _as_double(number)
    shortest = repr(number)
    if "e" not in shortest:
        return "0" if number == 0 else shortest.removesuffix(".0")
    return _rewrite_exponent(shortest)


def _rewrite_exponent(shortest: str) -> str:
    """Turn Python's exponent form, used from 1e16 and below 1e-4, into ECMAScript's."""
    sign = "-" if shortest.startswith("-") else ""
    mantissa, _, exponent_text = shortest.removeprefix("-").partition("e")
    digits = mantissa.replace(".", "")
    exponent = int(exponent_text)
    if 0 <= exponent < _FIXED_BELOW_EXPONENT:
        return sign + digits.ljust(exponent + 1, "0")
    if _FIXED_ABOVE_EXPONENT < exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{exponent:+d}"


def text_to_number(text: str) -> int | float | None:
    """Read a numeral as ``Number(text)`` does; None when it is none, or only white space."""
    if len(text) > _LONGEST_NUMERAL:
        return None
    stripped = text.strip(WHITE_SPACE)
    if _NUMERAL.fullmatch(stripped):
        number = float(stripped)
        return normalize(number) if math.isfinite(number) else None
    if _PREFIXED.fullmatch(stripped):
        return normalize(int(stripped, 0))
    return None
