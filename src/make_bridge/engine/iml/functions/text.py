"""Text functions (spec §7.3): length, case, cutting, searching.

Texts are counted and cut in characters (code points), so no function can leave half a character behind.
"""

import re
import unicodedata
from typing import Final

from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.iml.equality import same
from make_bridge.engine.iml.functions.parameters import anything, condition, optional, text, whole
from make_bridge.engine.iml.functions.replacing import prepare_replace, replace
from make_bridge.engine.iml.functions.signature import Function, OnNull, example
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
    scope.budget.search(len(value), len(wanted))
    return value.find(wanted, max(start or 0, 0))


def _contains(scope: Scope, value: Value, wanted: Value) -> Value:
    if isinstance(value, list):
        scope.budget.step(len(value))
        return any(same(item, wanted, scope) for item in value)
    haystack, needle = text_of(value, scope), text_of(wanted, scope)
    scope.budget.search(len(haystack), len(needle))
    return needle in haystack


def _split(scope: Scope, value: str, separator: str) -> Value:
    """Split at each separator, into characters when it is empty."""
    scope.budget.search(len(value), len(separator))
    pieces = value.count(separator) + 1 if separator else len(value)
    scope.budget.step(pieces >> 3)
    scope.budget.allocate(len(value) + _BYTES_OF_AN_ITEM * pieces)
    return [*value.split(separator)] if separator else [*value]


def _to_string(scope: Scope, value: Value) -> Value:
    return json_of(value, scope) if isinstance(value, (list, dict)) else text_of(value, scope)


TEXT: Final = (
    Function(
        name="length",
        summary="Counts the characters of a text, the bytes of a buffer or the elements of an array.",
        run=_length,
        parameters=(anything("value"),),
        required=1,
        on_null=OnNull(value=0),
        examples=(example('length("héy")', 3), example('length(split("a,b"; ","))', 2), example("length(null)", 0)),
    ),
    Function(
        name="lower",
        summary="Makes all letters small.",
        run=_lower,
        parameters=(text("text"),),
        required=1,
        on_null=_EMPTY,
        examples=(example('lower("ÀB c")', "àb c"),),
    ),
    Function(
        name="upper",
        summary="Makes all letters capital.",
        run=_upper,
        parameters=(text("text"),),
        required=1,
        on_null=_EMPTY,
        examples=(example('upper("Ab c")', "AB C"), example('upper("ß")', "SS")),
    ),
    Function(
        name="capitalize",
        summary="Makes the first letter capital and leaves the rest.",
        run=_capitalize,
        parameters=(text("text"),),
        required=1,
        on_null=_EMPTY,
        examples=(example('capitalize("ab cD")', "Ab cD"),),
    ),
    Function(
        name="startcase",
        summary="Makes the first letter of each word capital and the others small.",
        run=_startcase,
        parameters=(text("text"),),
        required=1,
        on_null=_EMPTY,
        examples=(example('startcase("ab cD")', "Ab Cd"),),
    ),
    Function(
        name="trim",
        summary="Takes white space away at both ends.",
        run=_trim,
        parameters=(text("text"),),
        required=1,
        on_null=_EMPTY,
        examples=(example('trim("  a b ")', "a b"),),
    ),
    Function(
        name="ascii",
        summary="Drops every character that is not ASCII; with true as second argument accents are taken off first.",
        run=_ascii,
        parameters=(text("text"), condition("removeDiacritics")),
        required=1,
        on_null=_EMPTY,
        examples=(example('ascii("čau€")', "au"), example('ascii("čau€"; true)', "cau")),
    ),
    Function(
        name="replace",
        summary="Replaces a text everywhere, or what a pattern /…/flags matches: the first, or with the flag g all.",
        run=replace,
        prepare=prepare_replace,
        parameters=(text("text"), text("search"), text("replacement")),
        required=2,
        on_null=_EMPTY,
        examples=(
            example('replace("a-b-c"; "-"; "+")', "a+b+c"),
            example('replace("a1b2"; "/\\d/g"; "#")', "a#b#"),
            example('replace("John Doe"; "/(\\w+) (\\w+)/"; "$2 $1")', "Doe John"),
        ),
    ),
    Function(
        name="substring",
        summary="Cuts out the characters from start up to, but without, end; the first has the number 0.",
        run=_substring,
        parameters=(text("text"), whole("start"), optional(whole("end"))),
        required=2,
        on_null=_EMPTY,
        examples=(example('substring("Hello"; 0; 3)', "Hel"), example('substring("Hello"; 1)', "ello")),
    ),
    Function(
        name="indexOf",
        summary="Returns where a text begins in another, counted from 0, or -1.",
        run=_index_of,
        parameters=(text("text"), text("value"), optional(whole("start"))),
        required=2,
        on_null=OnNull(value=-1),
        examples=(
            example('indexOf("abcabc"; "c")', 2),
            example('indexOf("abcabc"; "c"; 3)', 5),
            example('indexOf("a"; "z")', -1),
        ),
    ),
    Function(
        name="contains",
        summary="Says whether a text contains another, or an array an element.",
        run=_contains,
        parameters=(anything("source"), anything("value")),
        required=2,
        on_null=OnNull(value=False),
        examples=(
            example('contains("abc"; "B")', result=False),
            example('contains(split("a,b"; ","); "b")', result=True),
        ),
    ),
    Function(
        name="split",
        summary="Cuts a text at every separator, into characters when that is empty.",
        run=_split,
        parameters=(text("text"), text("separator")),
        required=2,
        examples=(example('split("a, b"; ",")', ["a", " b"]), example('split("ab"; )', ["a", "b"])),
    ),
    Function(
        name="toString",
        summary="Returns the value as text: dates as ISO 8601, collections and arrays as JSON, buffers as UTF-8.",
        run=_to_string,
        parameters=(anything("value"),),
        required=1,
        on_null=_EMPTY,
        examples=(
            example("toString(12.50)", "12.5"),
            example("toString(now)", "2026-03-31T10:20:30.400Z"),
            example("toString(1.user)", '{"name":"Ann"}', {"user": {"name": "Ann"}}),
        ),
    ),
)
