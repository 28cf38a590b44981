"""What a function of the language is: its name, what its arguments must be, and what it does.

Each function is one ``Function`` in the table of its family. The compiler converts every argument as the
parameter says before calling ``run``, so that a wrong argument is named by function and number in one place and
the functions themselves work on proper Python values. A ``SpecialForm`` gets its arguments unevaluated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.paths import Evaluator
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.texts import text_of
from make_bridge.engine.values import IGNORE, Value, describe, to_date, to_number, truthy

Parameter: TypeAlias = Callable[[Value, Scope], object]

_MANY: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OnNull:
    """What a function returns when its first argument is null or missing, instead of running."""

    value: Value
    also_for_empty_text: bool = False

    def covers(self, argument: Value) -> bool:
        """Say whether this argument counts as missing."""
        return argument is None or type(argument) is type(IGNORE) or (self.also_for_empty_text and argument == "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function. ``run(scope, *arguments)``; arguments that were not given arrive as the parameter makes null.

    ``rest`` converts all arguments beyond ``parameters``. ``pure`` says that the result depends on nothing but
    the arguments, so that a call with constants is computed once.
    """

    name: str
    run: Callable[..., Value]
    parameters: tuple[Parameter, ...]
    required: int
    rest: Parameter | None = None
    on_null: OnNull | None = None
    pure: bool = True

    @property
    def most(self) -> int:
        """The largest number of arguments."""
        return len(self.parameters) if self.rest is None else _MANY


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialForm:
    """A function that decides which of its arguments are evaluated at all."""

    name: str
    build: Callable[[tuple[Evaluator, ...]], Evaluator]
    required: int
    most: int = _MANY


def anything(value: Value, _scope: Scope) -> Value:
    """Take the value as it is; the markers for fields are null inside an expression."""
    return None if type(value) is type(IGNORE) else value


def text(value: Value, scope: Scope) -> str:
    return value if type(value) is str else text_of(value, scope)


def optional_text(value: Value, scope: Scope) -> str | None:
    return None if value is None else text_of(value, scope)


def number(value: Value, _scope: Scope) -> int | float:
    return to_number(value)


def optional_number(value: Value, _scope: Scope) -> int | float | None:
    return None if value is None or value == "" else to_number(value)


def integer(value: Value, _scope: Scope) -> int:
    """Take a number and cut its fraction off."""
    return int(to_number(value))


def optional_integer(value: Value, _scope: Scope) -> int | None:
    return None if value is None or value == "" else int(to_number(value))


def condition(value: Value, _scope: Scope) -> bool:
    return truthy(value)


def array(value: Value, _scope: Scope) -> list[Value]:
    if isinstance(value, list):
        return value
    if value is None or value == "" or type(value) is type(IGNORE):
        return []
    raise ExpressionError(f"{describe(value)} is not a valid array.")


def collection(value: Value, _scope: Scope) -> dict[str, Value]:
    if isinstance(value, dict):
        return value
    if value is None or value == "" or type(value) is type(IGNORE):
        return {}
    raise ExpressionError(f"{describe(value)} is not a valid collection.")


def date(value: Value, scope: Scope) -> datetime:
    return to_date(value, scope.timezone)


def text_or_buffer(value: Value, scope: Scope) -> str | bytes:
    return value if isinstance(value, bytes) else text_of(value, scope)
