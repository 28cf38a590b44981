"""Values on their way into JavaScript and back: what JSON has no word for is a pair of a kind and the value.

``a`` is an array, ``o`` a collection as pairs of key and member (so that no key means anything to JavaScript), ``d`` a
date in milliseconds, ``b`` a buffer in hexadecimal. What comes back was written by an engine that had run somebody's
code, so every bit of it is looked at. The other side is ``platform/sandbox/realm.js``.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from make_bridge.engine.dates import epoch_milliseconds, from_epoch_milliseconds
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.numbers import normalize
from make_bridge.engine.ports import Moment
from make_bridge.engine.values import Value

_MOST_DEPTH: Final = 110
_HALF_PAIR: Final = re.compile("[\ud800-\udfff]")
_PAIR: Final = 2
_SEED_BITS: Final = 32
_TOO_DEEP: Final = "The value is nested too deeply for a function."
_UNREADABLE: Final = "The function gave something that is no value."


def to_arguments(arguments: Sequence[Value], moment: Moment) -> dict[str, object]:
    """Return what a call is given: its arguments, the time, and a seed of chance."""
    return {
        "arguments": [_written(argument, 0) for argument in arguments],
        "now": epoch_milliseconds(moment.now),
        "seed": int(moment.chance * (1 << _SEED_BITS)),
    }


def from_answer(raw: Any) -> Value:  # noqa: ANN401  whatever came back
    """Return the value of an answer; raises ExpressionError for what is none."""
    return _read(raw, 0)


def _written(value: Value, depth: int) -> object:
    if depth > _MOST_DEPTH:
        raise ExpressionError(_TOO_DEEP)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ["a", [_written(item, depth + 1) for item in value]]
    if isinstance(value, dict):
        return ["o", [[key, _written(member, depth + 1)] for key, member in value.items()]]
    if isinstance(value, bytes):
        return ["b", value.hex()]
    return ["d", epoch_milliseconds(value)] if isinstance(value, datetime) else None


def _read(raw: Any, depth: int) -> Value:  # noqa: ANN401  whatever came back
    if depth > _MOST_DEPTH:
        raise ExpressionError(_TOO_DEEP)
    if raw is None or isinstance(raw, bool):
        return raw
    if isinstance(raw, str):
        return _text(raw)
    if isinstance(raw, (int, float)):
        return normalize(raw)
    if not isinstance(raw, list) or len(raw) != _PAIR:
        raise ExpressionError(_UNREADABLE)
    match raw:
        case ["a", list(items)]:
            return [_read(item, depth + 1) for item in items]
        case ["o", list(pairs)]:
            return dict(_member(pair, depth + 1) for pair in pairs)
        case ["d", int() | float() as milliseconds]:
            return from_epoch_milliseconds(milliseconds)
        case ["b", str(digits)]:
            return _buffer(digits)
        case _:
            raise ExpressionError(_UNREADABLE)


def _member(pair: Any, depth: int) -> tuple[str, Value]:  # noqa: ANN401  whatever came back
    match pair:
        case [str(key), member]:
            return _text(key), _read(member, depth)
        case _:
            raise ExpressionError(_UNREADABLE)


def _text(text: str) -> str:
    """Return a text without half pairs, which nothing could store."""
    if not text.isascii() and _HALF_PAIR.search(text):
        raise ExpressionError(_UNREADABLE)
    return text


def _buffer(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ExpressionError(_UNREADABLE) from None
