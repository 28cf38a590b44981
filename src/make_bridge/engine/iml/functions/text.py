"""Text functions (spec §7.3): length, case, cutting, searching.

Texts are counted and cut in characters (code points), so no function can leave half a character behind.
"""

import re
import unicodedata
from typing import Final

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.equality import same
from make_bridge.engine.iml.functions.replacing import replace
from make_bridge.engine.iml.functions.signature import (
    Function,
    OnNull,
    anything,
    condition,
    integer,
    optional_integer,
    text,
)
from make_bridge.engine.iml.scope import Scope
from make_bridge.engine.iml.texts import json_of, text_of
from make_bridge.engine.numbers import WHITE_SPACE
from make_bridge.engine.values import Value, describe

_EMPTY: Final = OnNull(value="")
_WORD_START: Final = re.compile(r"\S+")
_BYTES_OF_AN_ITEM: Final = 64


def charge(scope: Scope, size: int, growth: int = 1) -> None:
    """Charge the reading of ``size`` characters and the making of ``growth`` times as many."""
    scope.budget.scan(size)
    scope.budget.allocate(size * growth)


def _length(scope: Scope, value: Value) -> Value:
    if isinstance(value, (str, bytes, list)):
        return len(value)
    if isinstance(value, dict):
        raise ExpressionError(f"{describe(value)} is neither a text nor an array.", argument=1)
    return len(text_of(value, scope))


def _lower(scope: Scope, value: str) -> Value:
    charge(scope, len(value))
    return value.lower()


def _upper(scope: Scope, value: str) -> Value:
    charge(scope, len(value))
    return value.upper()


def _capitalize(scope: Scope, value: str) -> Value:
    charge(scope, len(value))
    return value[:1].upper() + value[1:]


def _startcase(scope: Scope, value: str) -> Value:
    charge(scope, len(value), growth=2)
    scope.budget.step(len(value) >> 3)
    return _WORD_START.sub(lambda match: match[0][:1].upper() + match[0][1:], value.lower())


def _trim(scope: Scope, value: str) -> Value:
    charge(scope, len(value))
    return value.strip(WHITE_SPACE)


def _ascii(scope: Scope, value: str, remove_diacritics: bool = False) -> Value:  # noqa: FBT001, FBT002 - an IML argument
    charge(scope, len(value), growth=4)
    decomposed = unicodedata.normalize("NFD", value) if remove_diacritics else value
    return decomposed.encode("ascii", "ignore").decode("ascii")


def _substring(scope: Scope, value: str, start: int, end: int | None = None) -> Value:
    """Cut as ECMAScript's ``substring``: positions are clamped, and swapped when they are the wrong way round."""
    first = min(max(start, 0), len(value))
    last = len(value) if end is None else min(max(end, 0), len(value))
    charge(scope, abs(last - first))
    return value[min(first, last) : max(first, last)]


def _index_of(scope: Scope, value: str, wanted: str, start: int | None = None) -> Value:
    scope.budget.scan(len(value) + len(wanted))
    return value.find(wanted, max(start or 0, 0))


def _contains(scope: Scope, value: Value, wanted: Value) -> Value:
    if isinstance(value, list):
        scope.budget.step(len(value))
        return any(same(item, wanted, scope) for item in value)
    haystack, needle = text_of(value, scope), text_of(wanted, scope)
    scope.budget.scan(len(haystack) + len(needle))
    return needle in haystack


def _split(scope: Scope, value: str, separator: str) -> Value:
    """Split at each separator, into characters when it is empty."""
    scope.budget.scan(len(value))
    pieces = value.count(separator) + 1 if separator else len(value)
    scope.budget.step(pieces >> 3)
    scope.budget.allocate(len(value) + _BYTES_OF_AN_ITEM * pieces)
    return [*value.split(separator)] if separator else [*value]


def _to_string(scope: Scope, value: Value) -> Value:
    return json_of(value, scope) if isinstance(value, (list, dict)) else text_of(value, scope)


TEXT: Final = (
    Function(name="length", run=_length, parameters=(anything,), required=1, on_null=OnNull(value=0)),
    Function(name="lower", run=_lower, parameters=(text,), required=1, on_null=_EMPTY),
    Function(name="upper", run=_upper, parameters=(text,), required=1, on_null=_EMPTY),
    Function(name="capitalize", run=_capitalize, parameters=(text,), required=1, on_null=_EMPTY),
    Function(name="startcase", run=_startcase, parameters=(text,), required=1, on_null=_EMPTY),
    Function(name="trim", run=_trim, parameters=(text,), required=1, on_null=_EMPTY),
    Function(name="ascii", run=_ascii, parameters=(text, condition), required=1, on_null=_EMPTY),
    Function(name="replace", run=replace, parameters=(text, text, text), required=2, on_null=_EMPTY),
    Function(
        name="substring", run=_substring, parameters=(text, integer, optional_integer), required=2, on_null=_EMPTY
    ),
    Function(
        name="indexOf",
        run=_index_of,
        parameters=(text, text, optional_integer),
        required=2,
        on_null=OnNull(value=-1),
    ),
    Function(name="contains", run=_contains, parameters=(anything, anything), required=2, on_null=OnNull(value=False)),
    Function(name="split", run=_split, parameters=(text, text), required=2),
    Function(name="toString", run=_to_string, parameters=(anything,), required=1, on_null=_EMPTY),
)
