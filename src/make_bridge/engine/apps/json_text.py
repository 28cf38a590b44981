"""JSON text in and out, the lenient way services need it.

Used by the `json` and `http` apps. Foreign services repeat keys and JavaScript lets the last one win, so
this does too; what no value can hold (NaN, half a surrogate pair, hundreds of levels) is an error.
"""

from typing import Final

import msgspec

from make_bridge.engine.apps.module import ErrorType, ModuleError
from make_bridge.engine.expression_errors import ExpressionError
from make_bridge.engine.values import Value, parse_json_text, size_of, to_json_text

MAX_DEPTH: Final = 200
MAX_WRITTEN: Final = 64 * 1024 * 1024
_INDENTS: Final = {"tab": "\t", "2": "  ", "4": "    "}


def read(text: str | bytes, what: str) -> Value:
    """Return the value of a JSON text; `what` names it in the error."""
    try:
        value = parse_json_text(text)
    except ExpressionError as error:
        raise ModuleError(ErrorType.DATA, f"{what} is not valid JSON.", detail=error.message) from error
    if _too_deep(value):
        raise ModuleError(ErrorType.DATA, f"{what} is nested deeper than {MAX_DEPTH} levels.")
    return value


def write(value: Value, space: str = "") -> str:
    """Return JSON text; `space` is "", "tab", "2" or "4".

    Measured before it is made: one value may stand in many places, and small in memory be huge in writing.
    """
    if size_of(value, MAX_WRITTEN) > MAX_WRITTEN:
        message = f"The value has more than {MAX_WRITTEN} bytes as text; JSON of that size is not written."
        raise ModuleError(ErrorType.FILE_SIZE, message)
    compact = to_json_text(value)
    indent = _INDENTS.get(space)
    if indent is None:
        return compact
    width = len(indent) if indent != "\t" else 1
    formatted = msgspec.json.format(compact, indent=width)
    return formatted if indent != "\t" else _with_tabs(formatted)


def _with_tabs(formatted: str) -> str:
    """Line starts are indentation only: JSON has no raw line breaks inside texts."""
    lines = formatted.split("\n")
    return "\n".join("\t" * (len(line) - len(line.lstrip(" "))) + line.lstrip(" ") for line in lines)


def _too_deep(value: Value) -> bool:
    layer = [value]
    for _ in range(MAX_DEPTH):
        layer = [inner for item in layer for inner in _inner(item)]
        if not layer:
            return False
    return True


def _inner(value: Value) -> list[Value]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
