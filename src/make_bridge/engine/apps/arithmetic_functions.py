"""The operators, functions and constants of formulas.

Used by `arithmetic`. Doubles in, doubles out; what has no answer among them is an error with a sentence.
"""

import math
from collections.abc import Callable
from typing import Final, TypeAlias

from make_bridge.engine.apps.module import ErrorType, ModuleError

CONSTANTS: Final[dict[str, float | bool]] = {
    "e": math.e,
    "E": math.e,
    "pi": math.pi,
    "PI": math.pi,
    "tau": math.tau,
    "phi": (1 + math.sqrt(5)) / 2,
    "LN2": math.log(2),
    "LN10": math.log(10),
    "SQRT2": math.sqrt(2),
    "true": True,
    "false": False,
}
_LARGEST_FACTORIAL: Final = 170
_MOST_DECIMALS: Final = 15


def wrong(reason: str) -> ModuleError:
    return ModuleError(ErrorType.DATA, f"The expression cannot be evaluated: {reason}.")


def real(value: complex) -> float:
    if not isinstance(value, float | int) or not math.isfinite(value):
        raise wrong("the result is too large, or no number")
    return float(value)


def factorial(value: float) -> float:
    if not value.is_integer() or not 0 <= value <= _LARGEST_FACTORIAL:
        raise wrong(f"factorials are known for whole numbers from 0 to {_LARGEST_FACTORIAL}")
    return float(math.factorial(int(value)))


def _modulo(left: float, right: float) -> float:
    """Return the remainder with the sign of the divisor, as mathjs does; of 0 it is the number itself."""
    return left if right == 0 else left - right * math.floor(left / right)


def _round(value: float, decimals: float = 0) -> float:
    """Round halves away from zero."""
    if not 0 <= decimals <= _MOST_DECIMALS or decimals != int(decimals):
        raise wrong(f"round() knows 0 to {_MOST_DECIMALS} decimals")
    scale = 10.0 ** int(decimals)
    scaled = abs(value) * scale
    nearest = math.floor(scaled)
    if scaled - nearest >= _HALF - _TOLERANCE * max(1.0, scaled):
        nearest += 1
    return math.copysign(nearest / scale, value)


_HALF: Final = 0.5
_TOLERANCE: Final = 2.0**-52


def _whole(value: float) -> int:
    if not value.is_integer():
        raise wrong("the function needs whole numbers")
    return int(value)


def _log(value: float, base: float = math.e) -> float:
    return math.log(value) if base == math.e else math.log(value) / math.log(base)


def _root(value: float, degree: float = 2) -> float:
    if value < 0 and degree % 2 == 1:
        return -float((-value) ** (1 / degree))
    return math.sqrt(value) if degree == 2 else value ** (1 / degree)  # noqa: PLR2004  the square root


def _mean(*values: float) -> float:
    return math.fsum(values) / len(values)


def _median(*values: float) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _variance(*values: float) -> float:
    mean = _mean(*values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1 or 1)


OPERATORS: Final[dict[str, Callable[[float, float], float]]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "%": _modulo,
    "mod": _modulo,
    "and": lambda left, right: left != 0 and right != 0,
    "or": lambda left, right: left != 0 or right != 0,
    "xor": lambda left, right: (left != 0) != (right != 0),
}
DECIDED: Final = frozenset({("and", False), ("or", True)})
"""What the left side alone decides."""
Known: TypeAlias = tuple[int, int | None, Callable[..., complex]]
"""The least and the most arguments, and the code; without a most, lists count as their members."""
FUNCTIONS: Final[dict[str, Known]] = {
    "abs": (1, 1, abs),
    "acos": (1, 1, math.acos),
    "add": (2, None, lambda *values: math.fsum(values)),
    "asin": (1, 1, math.asin),
    "atan": (1, 1, math.atan),
    "atan2": (2, 2, math.atan2),
    "cbrt": (1, 1, lambda value: _root(value, 3)),
    "ceil": (1, 1, math.ceil),
    "combinations": (2, 2, lambda count, taken: float(math.comb(_small(count), _small(taken)))),
    "cos": (1, 1, math.cos),
    "cosh": (1, 1, math.cosh),
    "cube": (1, 1, lambda value: value**3),
    "divide": (2, 2, lambda left, right: left / right),
    "exp": (1, 1, math.exp),
    "factorial": (1, 1, factorial),
    "fix": (1, 1, math.trunc),
    "floor": (1, 1, math.floor),
    "gcd": (2, None, lambda *values: float(math.gcd(*map(_whole, values)))),
    "hypot": (1, None, math.hypot),
    "lcm": (2, None, lambda *values: float(math.lcm(*map(_whole, values)))),
    "log": (1, 2, _log),
    "log10": (1, 1, math.log10),
    "log1p": (1, 1, math.log1p),
    "log2": (1, 1, math.log2),
    "max": (1, None, max),
    "mean": (1, None, _mean),
    "median": (1, None, _median),
    "min": (1, None, min),
    "mod": (2, 2, _modulo),
    "multiply": (2, None, lambda *values: math.prod(values)),
    "nthRoot": (1, 2, _root),
    "permutations": (2, 2, lambda count, taken: float(math.perm(_small(count), _small(taken)))),
    "pow": (2, 2, lambda left, right: left**right),
    "prod": (1, None, lambda *values: math.prod(values)),
    "round": (1, 2, _round),
    "sign": (1, 1, lambda value: math.copysign(1, value) if value else 0.0),
    "sin": (1, 1, math.sin),
    "sinh": (1, 1, math.sinh),
    "sqrt": (1, 1, math.sqrt),
    "square": (1, 1, lambda value: value**2),
    "std": (1, None, lambda *values: math.sqrt(_variance(*values))),
    "subtract": (2, 2, lambda left, right: left - right),
    "sum": (1, None, lambda *values: math.fsum(values)),
    "tan": (1, 1, math.tan),
    "tanh": (1, 1, math.tanh),
    "unaryMinus": (1, 1, lambda value: -value),
    "variance": (1, None, _variance),
}


def _small(value: float) -> int:
    """Return a count that leaves the work small."""
    if not 0 <= value <= 1_000:  # noqa: PLR2004  far above what a double can count
        raise wrong("combinations are known for numbers from 0 to 1000")
    return _whole(value)
