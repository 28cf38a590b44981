"""The values that travel between modules, and how one kind becomes another.

Used by the expression language, the apps and the runner. Collections are dicts, arrays lists, buffers
bytes; dates are aware, in UTC, with milliseconds. Numbers are IEEE doubles in meaning: an integral result
within 2**53 is an int, and NaN or Infinity never appear (they are errors). Values are immutable by
agreement: whoever changes one makes a new one. Nothing here recurses, so no nesting ends the process.
"""

import re
from collections.abc import Callable
from datetime import datetime
from json.encoder import encode_basestring
from typing import Final, TypeAlias, Union, final
from zoneinfo import ZoneInfo

import msgspec

from make_bridge.engine.dates import epoch_milliseconds, from_epoch_milliseconds, iso_text, parse_date
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.numbers import MAX_SAFE_INTEGER, WHITE_SPACE, normalize, number_to_text, text_to_number


@final
class _Marker:
    """A value that speaks about its field: leave it out, or empty it. Inside text it is empty."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


# Union with quotes is the one spelling of a recursive alias that Python 3.11 evaluates.
Value: TypeAlias = Union[bool, int, float, str, bytes, datetime, _Marker, "list[Value]", "dict[str, Value]", None]

IGNORE: Final = _Marker("IGNORE")
ERASE: Final = _Marker("ERASE")

_EXCERPT: Final = 40
_LONGEST_BLANK: Final = 1000
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]?\d)(?::([0-5]?\d))?", re.ASCII)


def describe(value: Value) -> str:
    """Name a value in an error message: short texts are quoted, the rest is named by its kind."""
    if isinstance(value, str):
        excerpt = value if len(value) <= _EXCERPT else f"{value[:_EXCERPT]}…"
        return f"'{excerpt}'"
    if isinstance(value, list):
        return "The array"
    if isinstance(value, dict):
        return "The collection"
    if isinstance(value, bytes):
        return "The buffer"
    return f"'{to_text(value)}'"


def to_text(value: Value) -> str:
    """Return the text shown for ``value`` inside other text (spec §4, §8).

    Null and the markers are empty, dates ISO 8601 in UTC, arrays their elements joined with ", ",
    collections compact JSON, buffers their UTF-8.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_to_text(value)
    if isinstance(value, list):
        return ", ".join(_leaf_texts(value))
    if isinstance(value, dict):
        return to_json_text(value)
    if isinstance(value, datetime):
        return iso_text(value)
    if isinstance(value, bytes):
        return _decode(value)
    return ""


def _leaf_texts(array: "list[Value]") -> list[str]:
    """Return the texts of an array's elements, nested arrays opened up in place."""
    texts: list[str] = []
    waiting: list[Value] = [*reversed(array)]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list) and item:
            waiting.extend(reversed(item))
        elif not isinstance(item, list):
            texts.append(to_text(item))
        else:
            texts.append("")
    return texts


def _decode(buffer: bytes) -> str:
    try:
        return buffer.decode()
    except UnicodeDecodeError:
        raise ExpressionError("The buffer holds no text: it is not UTF-8.") from None


def to_number(value: Value) -> int | float:
    """Return ``value`` as a number: dates are epoch milliseconds, null and blank text are 0."""
    if type(value) is int and -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        return value
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float)):
        return normalize(value)
    if isinstance(value, str):
        number = text_to_number(value)
        if number is not None:
            return number
        if len(value) <= _LONGEST_BLANK and not value.strip(WHITE_SPACE):
            return 0
    elif isinstance(value, datetime):
        return epoch_milliseconds(value)
    elif value is None or isinstance(value, _Marker):
        return 0
    raise ExpressionError(f"{describe(value)} is not a valid number.")


def to_boolean(value: Value) -> bool:
    """Coerce to a boolean field (spec §8): any number is true, "" and "false" are false."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value not in {"", "false"}
    return value is not None and not isinstance(value, _Marker)


def truthy(value: Value) -> bool:
    """Say whether a condition holds (spec §6): false, null, "", 0 and "false" do not."""
    if value is True or value is False:
        return value
    if isinstance(value, str):
        return value not in {"", "false"}
    if isinstance(value, (bool, int, float)):
        return value != 0
    return value is not None and not isinstance(value, _Marker)


def to_date(value: Value, timezone: ZoneInfo) -> datetime:
    """Return an instant in UTC; text without an offset is read in ``timezone``; numbers are epoch milliseconds."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):
        date = parse_date(value, timezone)
        if date is not None:
            return date
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        return from_epoch_milliseconds(value)
    raise ExpressionError(f"{describe(value)} is not a valid date.")


def to_array(value: Value) -> "list[Value]":
    """Return an array: null is empty, anything else but an array becomes its only element."""
    if isinstance(value, list):
        return value
    return [] if value is None or isinstance(value, _Marker) else [value]


def to_buffer(value: Value) -> bytes:
    """Return bytes: text as UTF-8, and numbers, booleans and dates as their text."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, (list, dict)):
        raise ExpressionError(f"{describe(value)} is not a valid buffer.")
    return encode_text(to_text(value))


def encode_text(text: str) -> bytes:
    """Return UTF-8; half a surrogate pair, which JSON can carry in, becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def to_json_text(value: Value) -> str:
    """Return compact JSON as ``JSON.stringify`` writes it; dates are ISO text, buffers their UTF-8 text."""
    parts: list[str] = []
    # What is still to be written, last first: a text goes out as it is, a tuple holds a value.
    waiting: list[str | tuple[Value]] = [(value,)]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            parts.append(item)
        elif isinstance(item[0], list):
            parts.append("[")
            waiting.append("]")
            waiting.extend(_separated([[(element,)] for element in item[0]]))
        elif isinstance(item[0], dict):
            parts.append("{")
            waiting.append("}")
            waiting.extend(_separated([[(member,), _quote(key) + ":"] for key, member in item[0].items()]))
        else:
            parts.append(_json_scalar(item[0]))
    return "".join(parts)


def _separated(groups: list[list[str | tuple[Value]]]) -> list[str | tuple[Value]]:
    """Put commas between the members of a container, in the reverse order of writing."""
    sequence: list[str | tuple[Value]] = []
    for group in reversed(groups):
        sequence.extend(group)
        sequence.append(",")
    return sequence[:-1]


def _json_scalar(value: Value) -> str:
    if value is None or isinstance(value, _Marker):
        return "null"
    if isinstance(value, (bool, int, float)):
        return to_text(value)
    return _quote(to_text(value))


def _quote(text: str) -> str:
    quoted = encode_basestring(text)
    if quoted.isascii():
        return quoted
    return _LONE_SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def parse_json_text(text: str | bytes) -> Value:
    """Read strict JSON into a value; numbers come out in their one form."""
    try:
        document: Value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ExpressionError(f"The text is not valid JSON: {reason}.") from None
    holder: list[Value] = [document]
    waiting: list[list[Value] | dict[str, Value]] = [holder]
    while waiting:
        _normalize_members(waiting.pop(), waiting)
    return holder[0]


def _normalize_members(
    container: "list[Value] | dict[str, Value]", waiting: "list[list[Value] | dict[str, Value]]"
) -> None:
    """Bring the numbers of one freshly read container into their one form; note the containers in it."""
    if isinstance(container, list):
        for index, member in enumerate(container):
            if isinstance(member, (list, dict)):
                waiting.append(member)
            elif isinstance(member, (int, float)) and not isinstance(member, bool):
                container[index] = normalize(member)
        return
    for key, member in container.items():
        if isinstance(member, (list, dict)):
            waiting.append(member)
        elif isinstance(member, (int, float)) and not isinstance(member, bool):
            container[key] = normalize(member)


_BYTES_OF_A_SLOT: Final = 16
_SIZE_OF_A_SCALAR: Final = 24


def size_of(value: Value, limit: int = 1 << 30) -> int:
    """Estimate the bytes of ``value`` as text; counting stops soon after ``limit``.

    The limit also bounds the time: one array may be an element of many, so that a value small in memory
    is huge when written out.
    """
    if isinstance(value, str):
        return len(value) if value.isascii() else 3 * len(value)
    size = 0
    waiting: list[Value] = [value]
    while waiting and size <= limit:
        item = waiting.pop()
        if isinstance(item, str):
            size += len(item) if item.isascii() else 3 * len(item)
        elif isinstance(item, bytes):
            size += len(item)
        elif isinstance(item, list):
            size += _BYTES_OF_A_SLOT * (1 + len(item))
            waiting.extend(item if size <= limit else ())
        elif isinstance(item, dict):
            size += _BYTES_OF_A_SLOT + sum(_BYTES_OF_A_SLOT + len(key) for key in item)
            waiting.extend(item.values() if size <= limit else ())
        else:
            size += _SIZE_OF_A_SCALAR
    return size


def _coerce_text(value: Value, _timezone: ZoneInfo) -> Value:
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, (list, dict)) for item in value)):
        raise ExpressionError(f"{describe(value)} is not a valid text.")
    return to_text(value)


def _coerce_number(value: Value, _timezone: ZoneInfo) -> Value:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return normalize(value)
    number = text_to_number(value) if isinstance(value, str) else None
    if number is None:
        raise ExpressionError(f"{describe(value)} is not a valid number.")
    return number


def _coerce_integer(value: Value, timezone: ZoneInfo) -> Value:
    number = _coerce_number(value, timezone)
    if isinstance(number, float) and not number.is_integer():
        raise ExpressionError(f"{describe(value)} is not a whole number.")
    return number


def _coerce_uinteger(value: Value, timezone: ZoneInfo) -> Value:
    number = _coerce_integer(value, timezone)
    if isinstance(number, (int, float)) and number < 0:
        raise ExpressionError(f"{describe(value)} is negative; a number from 0 is expected.")
    return number


def _coerce_date(value: Value, timezone: ZoneInfo) -> Value:
    if not isinstance(value, (str, datetime)):
        raise ExpressionError(f"{describe(value)} is not a valid date.")
    return to_date(value, timezone)


def _coerce_collection(value: Value, _timezone: ZoneInfo) -> Value:
    if not isinstance(value, dict):
        raise ExpressionError(f"{describe(value)} is not a valid collection.")
    return value


def _coerce_time(value: Value, timezone: ZoneInfo) -> Value:
    text = _coerce_text(value, timezone)
    if not (isinstance(text, str) and _TIME.fullmatch(text)):
        raise ExpressionError(f"{describe(value)} is not a valid time of day.")
    return text


_COERCIONS: Final[dict[str, Callable[[Value, ZoneInfo], Value]]] = {
    **dict.fromkeys(
        ("text", "email", "url", "path", "filename", "password", "uuid", "phone", "color", "pkey", "cert"),
        _coerce_text,
    ),
    **dict.fromkeys(("boolean", "checkbox"), lambda value, _timezone: to_boolean(value)),
    **dict.fromkeys(("date", "datetime", "timestamp"), _coerce_date),
    **dict.fromkeys(("uinteger", "port"), _coerce_uinteger),
    "array": lambda value, _timezone: to_array(value),
    "buffer": lambda value, _timezone: to_buffer(value),
    "collection": _coerce_collection,
    "integer": _coerce_integer,
    "json": lambda value, _timezone: parse_json_text(value) if isinstance(value, str) else value,
    "number": _coerce_number,
    "time": _coerce_time,
}
_EMPTY_TEXT_COUNTS: Final = frozenset(name for name, run in _COERCIONS.items() if run is _coerce_text) | {
    "boolean",
    "checkbox",
    "buffer",
}


def coerce(value: Value, field_type: str, timezone: ZoneInfo) -> Value:
    """Coerce to a field's declared type (spec §8); types unknown here, as ``any`` and ``select``, pass unchanged.

    Null, the markers and, for types that are no text, empty text mean "not given" and come back as they are,
    empty text as null; for arrays both null and empty text give [].
    """
    coercion = _COERCIONS.get(field_type)
    if coercion is None or isinstance(value, _Marker):
        return value
    if value == "" and field_type not in _EMPTY_TEXT_COUNTS:
        value = None
    if value is None and field_type != "array":
        return None
    return coercion(value, timezone)
