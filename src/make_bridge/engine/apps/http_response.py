"""Reading responses: bodies to values, statuses to errors.

Used by `http_calls`. XML is read without entities, which have no place in data.
"""

import math
import re
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from make_bridge.engine.apps.charsets import decode
from make_bridge.engine.apps.http_headers import header_value
from make_bridge.engine.apps.json_text import read
from make_bridge.engine.apps.module import Collection, ErrorType, ModuleError
from make_bridge.engine.apps.retry_after import seconds_asked
from make_bridge.engine.apps.xml_text import read_xml
from make_bridge.engine.ports import Headers, HttpFailure, HttpResponse
from make_bridge.engine.values import Value

_TEXT_TYPES: Final = re.compile(
    r"text/|application/(?:[\w.+-]+\+)?(?:json|xml|javascript|ecmascript|graphql|x-www-form-urlencoded|yaml|x-ndjson)\b"
)
_JSON_TYPES: Final = re.compile(r"(?:application|text)/(?:[\w.+-]+\+)?json\b")
_XML_TYPES: Final = re.compile(r"(?:application|text)/(?:[\w.+-]+\+)?xml\b")
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_FILE_NAME: Final = re.compile(r"filename\*?\s*=\s*(?:UTF-8'[^']*')?(?:\"([^\"]*)\"|([^;\s]+))", re.IGNORECASE)
_SUCCESS: Final = range(200, 400)
_CONNECTION_STATUSES: Final = frozenset({502, 503, 504})
_ACCESS_STATUSES: Final = frozenset({401, 403})
_TOO_MANY: Final = 429
_WAITED_FOR: Final = frozenset({ErrorType.CONNECTION, ErrorType.RATE_LIMIT})
_FAILURES: Final = {
    "connect": ErrorType.CONNECTION,
    "timeout": ErrorType.TIMEOUT,
    "refused": ErrorType.CONFIGURATION,
    "too_large": ErrorType.FILE_SIZE,
}


def failure_error(failure: HttpFailure) -> ModuleError:
    """Return the scenario's error for a call that got no answer."""
    detail: Collection | None = None if failure.retry_after is None else {"retryAfter": math.ceil(failure.retry_after)}
    return ModuleError(_FAILURES[failure.kind], failure.message, detail)


def status_error(response: HttpResponse, *, with_credential: bool, now: datetime) -> ModuleError | None:
    """Return the scenario's error for a status outside 2xx and 3xx; ``now`` is for waits until a date."""
    status = response.status
    if status in _SUCCESS:
        return None
    kind = ErrorType.DATA
    if status in _CONNECTION_STATUSES:
        kind = ErrorType.CONNECTION
    elif status == _TOO_MANY:
        kind = ErrorType.RATE_LIMIT
    elif status in _ACCESS_STATUSES and with_credential:
        kind = ErrorType.ACCESS_TOKEN
    phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
    detail: Collection = {"statusCode": status, "data": _unparsed(response), "headers": header_collection(response)}
    if kind in _WAITED_FOR and (wait := seconds_asked(response.headers, now)) is not None:
        detail["retryAfter"] = wait
    return ModuleError(kind, f"The server answered {status} {phrase}".rstrip() + ".", detail)


def data_of(response: HttpResponse, *, parse: bool) -> Value:
    """Return the body: parsed when wanted and possible, else text, else a buffer."""
    if parse and response.body:
        kind = header_value(response.headers, "content-type").lower()
        if _JSON_TYPES.match(kind):
            return read(_unparsed(response), "The response")
        if _XML_TYPES.match(kind):
            return read_xml(response.body, "The response")
        if kind.startswith("application/x-www-form-urlencoded"):
            return dict(parse_qsl(response.body.decode("utf-8", "replace"), keep_blank_values=True))
    return _unparsed(response)


def _unparsed(response: HttpResponse) -> str | bytes:
    kind = header_value(response.headers, "content-type").lower()
    if kind and not _TEXT_TYPES.match(kind):
        return response.body
    if not kind:
        try:
            return response.body.decode("utf-8")
        except UnicodeDecodeError:
            return response.body
    charset = _CHARSET.search(kind)
    return decode(response.body, charset.group(1) if charset else "utf-8")


def header_list(response: HttpResponse) -> list[Value]:
    """Return headers as the older modules show them."""
    return [{"name": name.lower(), "value": value} for name, value in response.headers]


def header_collection(response: HttpResponse) -> Collection:
    """Return headers as the newer module shows them; repeated ones joined, cookies as a list."""
    found: Collection = {}
    for name, value in response.headers:
        key = name.lower()
        if key == "set-cookie":
            found[key] = cookies(response.headers)
        else:
            known = found.get(key)
            found[key] = f"{known}, {value}" if isinstance(known, str) else value
    return found


def cookies(headers: Headers) -> list[Value]:
    """Return the cookies the server set."""
    return [value for name, value in headers if name.lower() == "set-cookie"]


def file_name(url: str, headers: Headers) -> str:
    """Return the name a downloaded file has, without any folder."""
    named = _FILE_NAME.search(header_value(headers, "content-disposition"))
    name = unquote(named.group(1) or named.group(2) or "") if named else unquote(urlsplit(url).path)
    return name.replace("\\", "/").rpartition("/")[2] or "file"
