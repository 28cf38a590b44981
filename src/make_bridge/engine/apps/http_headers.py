"""Header names and values that may be written to a wire, in requests and in webhook answers.

Used by the apps `http` and `gateway`. Values come out of mapped data, so line breaks are refused here
whatever the client below does about them; headers that frame a message belong to that client.
"""

import re
from typing import Final

from make_bridge.engine.apps.module import ErrorType, ModuleError
from make_bridge.engine.ports import Headers
from make_bridge.engine.values import Value, to_array, to_text

MAX_NAME: Final = 256
_SHOWN: Final = 80
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# What an author may write without harm, because it is left out: the client below frames its messages itself.
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection"})


def read_headers(rows: Value, name_key: str, *, max_count: int, max_value: int) -> Headers:
    """Return the headers of a list of collections; a row without a name is an empty line of the editor."""
    pairs = [_pair(row, name_key) for row in to_array(rows) if isinstance(row, dict)]
    found = [(name, value) for name, value in pairs if name]
    if len(found) > max_count:
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, f"There are {len(found)} headers; at most {max_count}.")
    for name, value in found:
        _check(name, value, max_value)
    return tuple((name, value) for name, value in found if name.lower() not in _FRAMING)


def _pair(row: dict[str, Value], name_key: str) -> tuple[str, str]:
    name = row.get(name_key, row.get("name", row.get("key")))
    return to_text(name).strip(), to_text(row.get("value")).strip()


def _check(name: str, value: str, max_value: int) -> None:
    if not _TOKEN.fullmatch(name) or len(name) > MAX_NAME:
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, f"{name[:_SHOWN]!r} is not a header name.")
    if _CONTROL.search(value) or len(value) > max_value:
        message = f"The value of the header {name} is too long or has control characters."
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, message)


def has_header(headers: Headers, wanted: str) -> bool:
    """Say whether a header is there, in any spelling."""
    return any(name.lower() == wanted for name, _ in headers)


def without_header(headers: Headers, unwanted: str) -> Headers:
    """Return the headers but this one."""
    return tuple((name, value) for name, value in headers if name.lower() != unwanted)


def header_value(headers: Headers, wanted: str) -> str:
    """Return the first value of a header, or an empty text."""
    return next((value for name, value in headers if name.lower() == wanted), "")
