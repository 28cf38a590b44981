"""Building requests out of mapped fields; nothing here sends one.

Used by `http`. Two families of modules write the same things under different names, so both are
reduced to `Outline`, and `finish` makes the request: credentials, query, idempotency key.
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote, urlencode

from make_bridge.engine.apps.concealing import Concealed
from make_bridge.engine.apps.http_bodies import body_v3, body_v4, pairs
from make_bridge.engine.apps.http_headers import has_header, read_headers, without_header
from make_bridge.engine.apps.module import Collection, Effect, ErrorType, ModuleCall, ModuleError
from make_bridge.engine.ports import ClientCertificate, Credential, Headers, HttpRequest
from make_bridge.engine.values import Value, to_number, to_text

METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "options")
DEFAULT_TIMEOUT: Final = 40
MAX_TIMEOUT: Final = 300
MAX_HEADERS: Final = 100
MAX_HEADER_VALUE: Final = 16 * 1024
MAX_URL: Final = 16 * 1024
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REPEATABLE: Final = frozenset({"PUT", "DELETE"})
_URL_SIGNS: Final = "/:?#[]@!$&'()*+,;=-._~"
_PEM: Final = "-----BEGIN CERTIFICATE-----"
_BASIC: Final = "Basic "


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A request before credentials and cookies."""

    method: str
    url: str
    headers: Headers
    query: tuple[tuple[str, str], ...]
    body: bytes | None
    content_type: str
    timeout: float
    follow_redirects: bool
    verify_tls: bool = True
    trusted_ca: str = ""
    client_certificate: ClientCertificate | None = None
    compressed: bool = True
    share_cookies: bool = False
    components: tuple[int, ...] = ()
    """The connections and keys it is sent with."""
    renew: Callable[[], Awaitable[Credential | None]] | None = None
    """Gives another credential when the target refuses the one it is sent with."""
    concealed: Concealed = field(default_factory=Concealed)
    """What the answer is shown without: the credentials it is sent with."""


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
    body, content_type = body_v3(given, call.key)
    _check_v3(given)
    headers = read_headers(given.get("headers"), "name", max_count=MAX_HEADERS, max_value=MAX_HEADER_VALUE)
    user = to_text(given.get("authUser"))
    if user:
        password = to_text(given.get("authPass"))
        headers = (*without_header(headers, "authorization"), ("Authorization", basic_header(user, password)))
    redirects = "followRedirect" if method in ("GET", "HEAD") else "followAllRedirects"
    return Outline(
        method=method,
        url=checked_url(given.get("url"), serialize=given.get("serializeUrl") is True),
        headers=headers,
        query=_repeated(pairs(given.get("qs")), as_arrays=given.get("useQuerystring") is not True),
        body=body,
        content_type=content_type,
        timeout=_timeout(given.get("timeout")),
        follow_redirects=given.get(redirects, redirects == "followRedirect") is not False,
        verify_tls=given.get("rejectUnauthorized") is not False,
        trusted_ca=_authority(given.get("ca")),
        compressed=given.get("gzip") is not False,
        share_cookies=given.get("shareCookies") is True,
    )


def _check_v3(given: Collection) -> None:
    if given.get("useMtls") is True:
        message = "For mutual TLS use the module http:ActionSendDataClientCertAuth, or http:MakeRequest with mTLS."
        raise ModuleError(ErrorType.CONFIGURATION, message)


def _authority(value: Value) -> str:
    """Return the text of a certificate; it may come as the collection the editor keeps, or as a file."""
    if isinstance(value, dict):
        value = value.get("cert") or value.get("data")
    text = to_text(value).strip()
    if text and _PEM not in text:
        raise ModuleError(ErrorType.CONFIGURATION, f"The certificate must be PEM text that begins with {_PEM}.")
    return text


def _repeated(query: tuple[tuple[str, str], ...], *, as_arrays: bool) -> tuple[tuple[str, str], ...]:
    """Number the names that come more than once, as the older modules do unless told otherwise."""
    names = [name for name, _ in query]
    if not as_arrays or len(set(names)) == len(names):
        return query
    seen: dict[str, int] = {}
    numbered: list[tuple[str, str]] = []
    for name, value in query:
        index = seen[name] = seen.get(name, -1) + 1
        numbered.append((f"{name}[{index}]" if names.count(name) > 1 else name, value))
    return tuple(numbered)


def outline_v4(call: ModuleCall) -> Outline:
    """Read the fields of http:MakeRequest."""
    given = call.input
    body, content_type = body_v4(given, call.key)
    if call.parameters.get("proxyKeychain"):
        message = "Calls through a proxy are not offered: every call leaves through this server's own guarded way out."
        raise ModuleError(ErrorType.CONFIGURATION, message)
    return Outline(
        method=_method(given),
        url=checked_url(given.get("url"), serialize=False),
        headers=read_headers(given.get("headers"), "name", max_count=MAX_HEADERS, max_value=MAX_HEADER_VALUE),
        query=pairs(given.get("queryParameters")),
        body=body,
        content_type=content_type,
        timeout=_timeout(given.get("timeout")),
        follow_redirects=given.get("allowRedirects") is not False,
        compressed=given.get("requestCompressedContent") is not False,
        share_cookies=given.get("shareCookies") is True,
    )


def finish(outline: Outline, call: ModuleCall, *, page: int = 1, received: int = 0) -> HttpRequest:
    """Return the request as it goes out. Each page of one step is a request of its own, with its own key."""
    headers = outline.headers
    if outline.body is not None and outline.content_type and not has_header(headers, "content-type"):
        headers = (*headers, ("Content-Type", outline.content_type))
    if outline.method not in _READING and not has_header(headers, "idempotency-key"):
        headers = (*headers, ("Idempotency-Key", call.key if page == 1 else f"{call.key}-{page}"))
    if not outline.compressed and not has_header(headers, "accept-encoding"):
        headers = (*headers, ("Accept-Encoding", "identity"))
    return HttpRequest(
        method=outline.method,
        url=with_query(outline.url, outline.query),
        headers=headers,
        body=outline.body,
        timeout=outline.timeout,
        follow_redirects=outline.follow_redirects,
        max_bytes=max(call.host.http_max_bytes - received, 0),
        verify_tls=outline.verify_tls,
        trusted_ca=outline.trusted_ca,
        client_certificate=outline.client_certificate,
        cookies=call.host.ports.cookies.at(call.host.now) if outline.share_cookies else None,
        credential="+".join(map(str, outline.components)),
    )


def authorized(outline: Outline, credential: Credential) -> Outline:
    """Return the request with what a connection or key adds to it."""
    match credential.kind:
        case "basic":
            value = basic_header(credential.user, credential.secret)
            return _with_header(_concealing(outline, credential.secret, value), "Authorization", value)
        case "bearer":
            concealing = _concealing(outline, credential.secret)
            bearer = _with_header(concealing, "Authorization", f"Bearer {credential.secret}")
            return replace(bearer, renew=credential.renew)
        case "api_key" if credential.placement == "query":
            query = (*outline.query, (credential.name, credential.secret))
            return replace(_concealing(outline, credential.secret), query=query)
        case "api_key":
            return _with_header(_concealing(outline, credential.secret), credential.name, credential.secret)
        case "certificate":
            return _with_certificate(outline, credential)
        case _:
            raise ModuleError(ErrorType.CONFIGURATION, "This connection is not for calls to web addresses.")


def _concealing(outline: Outline, *secrets: str) -> Outline:
    """Take these out of the answer: whole, and without the word that says of which scheme they are."""
    bare = [secret.strip().rpartition(" ")[2] for secret in secrets]
    return replace(outline, concealed=outline.concealed.more(*secrets, *bare))


def _with_certificate(outline: Outline, credential: Credential) -> Outline:
    certificate = credential.settings.get("certificate", "")
    return replace(
        outline,
        trusted_ca="\n".join(filter(None, (outline.trusted_ca, credential.settings.get("ca", "")))),
        client_certificate=ClientCertificate(certificate=certificate, key=credential.secret) if certificate else None,
    )


def _with_header(outline: Outline, name: str, value: str) -> Outline:
    return replace(outline, headers=(*without_header(outline.headers, name.lower()), (name, value)))


def basic_header(user: str, password: str) -> str:
    """Return the value of an Authorization header with a name and a password."""
    return f"{_BASIC}{b64encode(f'{user}:{password}'.encode()).decode()}"


def _method(given: Collection) -> str:
    method = method_of(given)
    if method.lower() not in METHODS:
        raise ModuleError(ErrorType.BUNDLE_VALIDATION, f"{method[:20]!r} is not a method this module can send.")
    return method


def checked_url(value: Value, *, serialize: bool = False) -> str:
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


def _timeout(value: Value) -> float:
    if value is None or value == "":
        return DEFAULT_TIMEOUT
    return min(max(float(to_number(value)), 1.0), MAX_TIMEOUT)
