"""Formulas: a small calculator in the notation of mathjs.

Used by the `math` app. Numbers are doubles, as everywhere. The grammar is an allow-list of its own, never Python's:
operators, the functions and constants of `arithmetic_functions`, lists in brackets as arguments. Length and nesting
are limited, and what is no number (a division by zero, the root of -1) is an error with a sentence.
"""

import re
from collections.abc import Callable
from typing import Final, TypeAlias, Union

from make_bridge.engine.apps.arithmetic_functions import (
    CONSTANTS,
    DECIDED,
    FUNCTIONS,
    OPERATORS,
    Known,
    factorial,
    real,
    wrong,
)
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.numbers import normalize

MAX_LENGTH: Final = 10_000
MAX_NESTING: Final = 30

# Union with quotes is the one spelling of a recursive alias that Python 3.11 evaluates.
Number: TypeAlias = Union[float, bool, "list[Number]"]
Part: TypeAlias = Callable[[], Number]

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<mark>==|!=|<=|>=|[-+*/%^!<>?:,()\[\]]))"
)
_WORDS: Final = frozenset({"and", "or", "xor", "not", "mod"})


def evaluate(formula: str) -> int | float | bool:
    """Return the value of a formula; raises `DataError` saying what is wrong with it."""
    if len(formula) > MAX_LENGTH:
        raise wrong(f"it is longer than {MAX_LENGTH} characters")
    calculate = _Formula(_tokens(formula)).whole()
    try:
        value = calculate()
        return value if isinstance(value, bool) else normalize(_number(value))
    except ZeroDivisionError:
        raise wrong("it divides by zero") from None
    except (OverflowError, ExpressionError):
        raise wrong("the result is too large, or no number") from None
    except ValueError:
        raise wrong("a function is asked for a value it does not have") from None


def _tokens(formula: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at, end = 0, len(formula.rstrip())
    while at < end:
        match = _TOKEN.match(formula, at)
        if match is None or match.lastgroup is None:
            raise wrong(f"{formula[at : at + 10].strip()!r} cannot be read")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    if not found:
        raise wrong("it is empty")
    return found


class _Formula:
    """Reads the tokens once, from the weakest operator to the strongest.

    Each method returns what calculates its part, so that the branch of a choice that is not taken never runs. Chains
    of one operator become a loop, not a nest.
    """

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0

    def whole(self) -> "Part":
        part = self._choice()
        if self.at < len(self.tokens):
            raise wrong(f"{self.tokens[self.at][1]!r} is not expected there")
        return part

    def _peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def _take(self, *values: str) -> str:
        """Take the next token when it is one of these; empty when it is not."""
        value = self._peek()
        if value not in values:
            return ""
        self.at += 1
        return value

    def _need(self, value: str) -> None:
        if not self._take(value):
            raise wrong(f"{value!r} is missing" + (f" before {self._peek()!r}" if self._peek() else " at the end"))

    def _enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise wrong(f"it nests deeper than {MAX_NESTING} levels")

    def _choice(self) -> "Part":
        self._enter()
        part = self._or()
        if self._take("?"):
            condition, first = part, self._choice()
            self._need(":")
            second = self._choice()
            part = lambda: first() if _truth(condition()) else second()  # noqa: E731  one of many parts
        self.depth -= 1
        return part

    def _or(self) -> "Part":
        return self._chain(self._and, "or", "xor")

    def _and(self) -> "Part":
        return self._chain(self._comparison, "and")

    def _comparison(self) -> "Part":
        return self._chain(self._sum, "==", "!=", "<=", ">=", "<", ">")

    def _sum(self) -> "Part":
        return self._chain(self._product, "+", "-")

    def _chain(self, part: "Callable[[], Part]", *signs: str) -> "Part":
        first = part()
        rest: list[tuple[str, Part]] = []
        while sign := self._take(*signs):
            rest.append((sign, part()))
        return _chained(first, rest) if rest else first

    def _product(self) -> "Part":
        first = self._signed()
        rest: list[tuple[str, Part]] = []
        while True:
            if sign := self._take("*", "/", "%", "mod"):
                rest.append((sign, self._signed()))
            elif self._begins_factor():
                rest.append(("*", self._power()))
            else:
                return _chained(first, rest) if rest else first

    def _begins_factor(self) -> bool:
        """Say whether a factor follows without a sign, as in 2 pi or 3(4 + 5)."""
        if self.at >= len(self.tokens):
            return False
        kind, value = self.tokens[self.at]
        return (kind == "name" and value not in _WORDS) or value == "("

    def _signed(self) -> "Part":
        negative = False
        while sign := self._take("-", "+", "not"):
            if sign == "not":
                self._enter()
                part = _denied(self._signed(), negative=negative)
                self.depth -= 1
                return part
            negative ^= sign == "-"
        part = self._power()
        return (lambda: -_number(part())) if negative else part

    def _power(self) -> "Part":
        base = self._postfix()
        if not self._take("^"):
            return base
        self._enter()
        exponent = self._signed()
        self.depth -= 1
        return lambda: real(_number(base()) ** _number(exponent()))

    def _postfix(self) -> "Part":
        part = self._primary()
        count = 0
        while self._take("!"):
            count += 1
        return part if not count else lambda: _factorials(_number(part()), count)

    def _primary(self) -> "Part":
        if self.at >= len(self.tokens):
            raise wrong("it ends too early")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            number = float(text)
            return lambda: number
        if text == "(":
            part = self._choice()
            self._need(")")
            return part
        if text == "[":
            parts = self._arguments("]")
            return lambda: [part() for part in parts]
        if kind == "name" and text not in _WORDS:
            return self._named(text)
        raise wrong(f"{text!r} is not expected there")

    def _named(self, name: str) -> "Part":
        if not self._take("("):
            if name not in CONSTANTS:
                raise wrong(f"{name[:30]!r} is not known; map values into the expression instead of naming them")
            constant = CONSTANTS[name]
            return lambda: constant
        function = FUNCTIONS.get(name)
        if function is None:
            raise wrong(f"there is no function {name[:30]}()")
        parts = self._arguments(")")
        return lambda: _called(name, function, [part() for part in parts])

    def _arguments(self, closing: str) -> "list[Part]":
        parts: list[Part] = []
        while not self._take(closing):
            if parts:
                self._need(",")
            parts.append(self._choice())
        return parts


def _chained(first: "Part", rest: "list[tuple[str, Part]]") -> "Part":
    def calculate() -> Number:
        value = first()
        for sign, part in rest:
            if sign in {"and", "or"} and (sign, _truth(value)) in DECIDED:
                value = _truth(value)
                continue
            value = OPERATORS[sign](_number(value), _number(part()))
        return value

    return calculate


def _denied(part: "Part", *, negative: bool) -> "Part":
    return lambda: -float(not _truth(part())) if negative else not _truth(part())


def _factorials(value: float, count: int) -> float:
    for _ in range(count):
        value = factorial(value)
    return value


def _called(name: str, function: "Known", values: "list[Number]") -> float:
    least, most, run = function
    numbers = _flat(values) if most is None else [_number(value) for value in values]
    if len(numbers) < least or (most is not None and len(numbers) > most):
        raise wrong(f"{name}() takes {_counted(least, most)}")
    return real(run(*numbers))


def _counted(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more numbers"
    return f"{least} number(s)" if least == most else f"{least} to {most} numbers"


def _flat(values: "list[Number]") -> list[float]:
    """Lay lists out; their nesting is that of the formula."""
    flat: list[float] = []
    for value in values:
        flat.extend(_flat(value) if isinstance(value, list) else [_number(value)])
    return flat


def _number(value: Number) -> float:
    if isinstance(value, list):
        raise wrong("a list stands where a number is needed")
    return float(value)


def _truth(value: Number) -> bool:
    return _number(value) != 0
