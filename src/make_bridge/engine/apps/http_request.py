"""Building requests out of mapped fields; nothing here sends one.

Used by `http`. Two families of modules write the same things under different names, so both are
reduced to `Outline`, and `finish` makes the request: credentials, query, idempotency key.
"""

from base64 import b64encode
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, urlencode

from make_bridge.engine.apps.http_headers import has_header, read_headers, without_header
from make_bridge.engine.apps.module import Collection, Effect, ErrorType, ModuleCall, ModuleError
from make_bridge.engine.ports import Credential, Headers, HttpRequest
from make_bridge.engine.values import Value, to_array, to_json_text, to_number, to_text

METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "options")
DEFAULT_TIMEOUT: Final = 40
MAX_TIMEOUT: Final = 300
MAX_HEADERS: Final = 100
MAX_HEADER_VALUE: Final = 16 * 1024
MAX_URL: Final = 16 * 1024
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REPEATABLE: Final = frozenset({"PUT", "DELETE"})
_URL_SIGNS: Final = "/:?#[]@!$&'()*+,;=-._~"
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A request before credentials."""

    method: str
    url: str
    headers: Headers
    query: tuple[tuple[str, str], ...]
    body: bytes | None
    content_type: str
    timeout: float
    follow_redirects: bool
    verify_tls: bool = True


def method_of(given: Collection) -> str:
    """Return the method in capitals."""
    return to_text(given.get("method") or "get").strip().upper()


def effect_of(given: Collection) -> Effect:
    """Say what sending the request twice would do."""
    method = method_of(given)
    if method in _READING:
        return Effect.READ
    return Effect.REPEATABLE if method in _REPEATABLE else Effect.WRITE


def outline_v3(call: ModuleCall) -> Outline:
    """Read the fields of http:ActionSendData and its relatives."""
    given = call.input
    method = _method(given)
    body, content_type = _body_v3(given, call.key)
    headers = read_headers(given.get("headers"), "name", max_count=MAX_HEADERS, max_value=MAX_HEADER_VALUE)
    user = to_text(given.get("authUser"))
    if user:
        password = to_text(given.get("authPass"))
        headers = (*without_header(headers, "authorization"), ("Authorization", _basic(user, password)))
    redirects = "followRedirect" if method in ("GET", "HEAD") else "followAllRedirects"
    return Outline(
        method=method,
        url=_url(given.get("url"), serialize=given.get("serializeUrl") is True),
        headers=headers,
        query=_pairs(given.get("qs")),
        body=body,
        content_type=content_type,
        timeout=_timeout(given.get("timeout")),
        follow_redirects=given.get(redirects, redirects == "followRedirect") is not False,
        verify_tls=given.get("rejectUnauthorized") is not False,
    )


def outline_v4(call: ModuleCall) -> Outline:
    """Read the fields of http:MakeRequest."""
    given = call.input
    body, content_type = _body_v4(given, call.key)
    return Outline(
        method=_method(given),
        url=_url(given.get("url"), serialize=False),
        headers=read_headers(given.get("headers"), "name", max_count=MAX_HEADERS, max_value=MAX_HEADER_VALUE),
        query=_pairs(given.get("queryParameters")),
        body=body,
        content_type=content_type,
        timeout=_timeout(given.get("timeout")),
        follow_redirects=given.get("allowRedirects") is not False,
    )


def finish(outline: Outline, credential: Credential | None, call: ModuleCall) -> HttpRequest:
    """Return the request as it goes out."""
    if credential is not None:
        outline = _authorized(outline, credential)
    headers = outline.headers
    if outline.body is not None and outline.content_type and not has_header(headers, "content-type"):
        headers = (*headers, ("Content-Type", outline.content_type))
    if outline.method not in _READING and not has_header(headers, "idempotency-key"):
        headers = (*headers, ("Idempotency-Key", call.key))
    return HttpRequest(
        method=outline.method,
        url=with_query(outline.url, outline.query),
        headers=headers,
        body=outline.body,
        timeout=outline.timeout,
        follow_redirects=outline.follow_redirects,
        max_bytes=call.host.http_max_bytes,
        verify_tls=outline.verify_tls,
    )


def _authorized(outline: Outline, credential: Credential) -> Outline:
    match credential.kind:
        case "basic":
            return _with_header(outline, "Authorization", _basic(credential.user, credential.secret))
        case "bearer":
            return _with_header(outline, "Authorization", f"Bearer {credential.secret}")
        case "api_key" if credential.placement == "query":
            return replace(outline, query=(*outline.query, (credential.name, credential.secret)))
        case "api_key":
            return _with_header(outline, credential.name, credential.secret)


def _with_header(outline: Outline, name: str, value: str) -> Outline:
    return replace(outline, headers=(*without_header(outline.headers, name.lower()), (name, value)))


def _basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def _method(given: Collection) -> str:
    method = method_of(given)
    if method.lower() not in METHODS:
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, f"{method[:20]!r} is not a method this module can send.")
    return method


def _url(value: Value, *, serialize: bool) -> str:
    """Return the address with everything escaped that cannot stand in one; `serialize` escapes % too."""
    text = to_text(value).strip()
    if not text.lower().startswith(("http://", "https://")):
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, f"The URL {text[:80]!r} must begin with http:// or https://.")
    url = quote(text, safe=_URL_SIGNS if serialize else _URL_SIGNS + "%")
    if len(url) > MAX_URL:
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, f"The URL is longer than {MAX_URL} characters.")
    return url


def with_query(url: str, pairs: tuple[tuple[str, str], ...]) -> str:
    """Append a query; the fragment never leaves the machine."""
    address, _, _fragment = url.partition("#")
    if not pairs:
        return address
    joint = "" if address.endswith(("?", "&")) else "&" if "?" in address else "?"
    return f"{address}{joint}{urlencode(pairs, quote_via=quote, safe='')}"


def _pairs(rows: Value, key: str = "name") -> tuple[tuple[str, str], ...]:
    """Return names and values of a list of collections; nameless rows are empty lines of the editor."""
    pairs = [
        (to_text(row.get(key, row.get("name", row.get("key")))), _text(row.get("value")))
        for row in to_array(rows)
        if isinstance(row, dict)
    ]
    return tuple((name, value) for name, value in pairs if name)


def _text(value: Value) -> str:
    return to_json_text(value) if isinstance(value, dict) else to_text(value)


def _timeout(value: Value) -> float:
    if value is None or value == "":
        return DEFAULT_TIMEOUT
    return min(max(float(to_number(value)), 1.0), MAX_TIMEOUT)


def _body_v3(given: Collection, key: str) -> tuple[bytes | None, str]:
    match given.get("bodyType"):
        case "x_www_form_urlencoded":
            fields = _pairs(given.get("formFields"), "key")
            return (_form(fields), _FORM) if fields else (None, "")
        case "multipart_form_data":
            return _multipart(given.get("formFields"), key)
        case _:
            content_type = to_text(given.get("contentType"))
            return _raw(given.get("data")), "" if content_type == "custom" else content_type or "text/plain"


def _body_v4(given: Collection, key: str) -> tuple[bytes | None, str]:
    content = _first(given, "bodyContent", "dataStructureBodyContent", "body", "data")
    match given.get("contentType"):
        case "urlEncoded":
            fields = _pairs(_first(given, "urlEncodedBodyContent", "formFields") or content)
            return (_form(fields), _FORM) if fields else (None, "")
        case "multipart":
            return _multipart(_first(given, "multipartBodyContent", "formFields") or content, key)
        case "custom":
            return _raw(content), to_text(given.get("customContentType"))
        case _:
            typed = given.get("inputMethod") == "dataStructure"
            return _raw(content if typed else _first(given, "jsonStringBodyContent") or content), _JSON


def _first(given: Collection, *names: str) -> Value:
    return next((given[name] for name in names if given.get(name) not in (None, "")), None)


def _raw(value: Value) -> bytes | None:
    """Return the body of any value: buffers as they are, collections as JSON, the rest as text."""
    if value is None or value == "":
        return None
    if isinstance(value, bytes):
        return value
    return (to_json_text(value) if isinstance(value, dict | list) else to_text(value)).encode()


def _form(pairs: tuple[tuple[str, str], ...]) -> bytes:
    return urlencode(pairs).encode()


def _multipart(rows: Value, key: str) -> tuple[bytes | None, str]:
    """The boundary comes from the step's key, so that a repeated request is the same request."""
    boundary = f"----MakeBridge{key}"
    parts = [_form_part(row, boundary) for row in to_array(rows) if isinstance(row, dict)]
    if not parts:
        return None, ""
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _form_part(row: Collection, boundary: str) -> bytes:
    name = _quoted(to_text(row.get("key", row.get("name"))))
    data = row.get("data") if row.get("fieldType") == "file" else row.get("value")
    content = _raw(data) or b""
    disposition = f'form-data; name="{name}"'
    kind = ""
    if row.get("fieldType") == "file":
        disposition += f'; filename="{_quoted(to_text(row.get("fileName")) or "file")}"'
        kind = "Content-Type: application/octet-stream\r\n"
    return f"--{boundary}\r\nContent-Disposition: {disposition}\r\n{kind}\r\n".encode() + content + b"\r\n"


def _quoted(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
