"""The kinds of arguments: what each must be, and how a value becomes that.

A family's table writes ``text("separator")``; the compiler converts every argument so before the function runs, and
names it in errors. The ``as_…`` functions are the conversions themselves, for functions that take several kinds.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.texts import text_of
from make_bridge.engine.values import IGNORE, Value, describe, to_date, to_number, truthy

Convert: TypeAlias = Callable[[Value, Scope], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One argument of a function.

    ``zoned`` says that the conversion reads the scope's time zone, so that it cannot be done while compiling.
    """

    name: str
    kind: str
    convert: Convert
    zoned: bool = False


def as_anything(value: Value, _scope: Scope) -> Value:
    """Take the value as it is; the markers for fields are null inside an expression."""
    return None if type(value) is type(IGNORE) else value


def as_text(value: Value, scope: Scope) -> str:
    return value if type(value) is str else text_of(value, scope)


def as_number(value: Value, _scope: Scope) -> int | float:
    return to_number(value)


def as_integer(value: Value, _scope: Scope) -> int:
    """Take a number and cut its fraction off."""
    return int(to_number(value))


def as_condition(value: Value, _scope: Scope) -> bool:
    return truthy(value)


def as_array(value: Value, _scope: Scope) -> list[Value]:
    if isinstance(value, list):
        return value
    if value is None or value == "" or type(value) is type(IGNORE):
        return []
    raise ExpressionError(f"{describe(value)} is not a valid array.")


def as_collection(value: Value, _scope: Scope) -> dict[str, Value]:
    if isinstance(value, dict):
        return value
    if value is None or value == "" or type(value) is type(IGNORE):
        return {}
    raise ExpressionError(f"{describe(value)} is not a valid collection.")


def as_date(value: Value, scope: Scope) -> datetime:
    return value if isinstance(value, datetime) else to_date(value, scope.timezone)


def as_text_or_buffer(value: Value, scope: Scope) -> str | bytes:
    return value if isinstance(value, bytes) else text_of(value, scope)


def anything(name: str) -> Parameter:
    return Parameter(name=name, kind="any value", convert=as_anything)


def text(name: str) -> Parameter:
    return Parameter(name=name, kind="text", convert=as_text)


def number(name: str) -> Parameter:
    return Parameter(name=name, kind="number", convert=as_number)


def whole(name: str) -> Parameter:
    return Parameter(name=name, kind="whole number", convert=as_integer)


def condition(name: str) -> Parameter:
    return Parameter(name=name, kind="condition", convert=as_condition)


def array(name: str) -> Parameter:
    return Parameter(name=name, kind="array", convert=as_array)


def collection(name: str) -> Parameter:
    return Parameter(name=name, kind="collection", convert=as_collection)


def date(name: str) -> Parameter:
    return Parameter(name=name, kind="date", convert=as_date, zoned=True)


def text_or_buffer(name: str) -> Parameter:
    return Parameter(name=name, kind="text or buffer", convert=as_text_or_buffer)


def optional(parameter: Parameter) -> Parameter:
    """Let null, and for what is no text also empty text, stand for an argument that was not given."""
    convert, empty = parameter.convert, None if parameter.kind.startswith("text") else ""

    def convert_given(value: Value, scope: Scope) -> object:
        return None if value is None or value == empty or type(value) is type(IGNORE) else convert(value, scope)

    return replace(parameter, convert=convert_given)
