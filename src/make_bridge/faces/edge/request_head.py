"""Reading the head of a request once: its size, its honesty, and what of it goes on.

``pipeline`` calls ``read_head`` before anything else looks at the request. One pass over the headers decides all of it,
because a webhook takes two milliseconds and every one of its requests comes through here.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from make_bridge.faces.edge.config import EdgeLimits
from make_bridge.faces.edge.hosts import HostRule
from make_bridge.kernel.errors import InvalidInput, TooLarge
from make_bridge.platform.security.internal_context import HEADER

RawHeaders = list[tuple[bytes, bytes]]

# Two bytes of ': ' and two of the line's end.
_LINE: Final = 4
_HOST: Final = re.compile(rb"[A-Za-z0-9._-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_CLIENT_ID: Final = re.compile(rb"[A-Za-z0-9-]{1,64}")
# Who acts is read from credentials alone. Proxies and services elsewhere believe these; here nobody may even see them.
_IDENTITY: Final = frozenset(
    {
        b"forwarded-user",
        b"remote-user",
        b"x-actor",
        b"x-customer-id",
        b"x-http-method",
        b"x-http-method-override",
        b"x-make-organization-id",
        b"x-make-team-id",
        b"x-method-override",
        b"x-organization-id",
        b"x-org-id",
        b"x-original-url",
        b"x-permissions",
        b"x-remote-user",
        b"x-rewrite-url",
        b"x-role",
        b"x-roles",
        b"x-scopes",
        b"x-team-id",
        b"x-tenant",
        b"x-tenant-id",
        b"x-user",
        b"x-user-email",
        b"x-user-id",
    }
)
_IDENTITY_FAMILIES: Final = (b"x-auth-request-", b"x-authenticated-", b"x-forwarded-user", b"x-forwarded-email",
                             b"x-forwarded-groups", b"x-forwarded-preferred-", b"x-goog-authenticated-")  # fmt: skip
# The context our own processes pass to each other; from outside it is a forgery, on every surface.
_OURS: Final = b"x-make-bridge-"
_CONTEXT: Final = HEADER.encode()


class RequestHead(msgspec.Struct, frozen=True, kw_only=True):
    """What the edge knows of a request: headers that go on, the body's announced length (None is unknown)."""

    headers: RawHeaders
    body_length: int | None
    client_request_id: str | None


def read_head(
    headers: Iterable[tuple[bytes, bytes]],
    limits: EdgeLimits,
    *,
    keeps_identity: bool,
    keeps_context: bool = False,
    needs_host: bool = True,
    allowed: HostRule | None = None,
) -> RequestHead:
    """Measure and check the headers; raises TooLarge and InvalidInput. Without ``allowed`` any host may be named.

    ``keeps_context`` leaves what our own processes tell each other: on a listener between them, and nowhere else.
    """
    kept: RawHeaders = []
    size, hosts = 0, 0
    length, client_id = None, None
    is_chunked = False
    for pair in headers:
        name, value = pair
        size += len(name) + len(value) + _LINE
        if name == b"host":
            hosts += 1
            _check_host(value, hosts, allowed)
        elif name == b"content-length":
            length = _read_length(value, length)
        elif name == b"transfer-encoding":
            is_chunked = True
        elif name == b"x-request-id":
            client_id = value.decode("ascii") if _CLIENT_ID.fullmatch(value) else client_id
        elif _is_claim(name, keeps_identity=keeps_identity, keeps_context=keeps_context):
            continue
        kept.append(pair)
    if needs_host and not hosts:
        raise InvalidInput("This request has no Host header.", code="invalid_host")
    if size > limits.header_bytes:
        message = f"The header lines of this request are larger than {limits.header_bytes} bytes."
        raise TooLarge(message, code="headers_too_large")
    if is_chunked and length is not None:
        raise InvalidInput("This request says in two ways how long its body is.", code="invalid_length")
    return RequestHead(headers=kept, body_length=None if is_chunked else length or 0, client_request_id=client_id)


def check_address(path: bytes, query: bytes, limits: EdgeLimits) -> None:
    """Refuse an address longer than the limit."""
    if len(path) + len(query) > limits.url_bytes:
        raise TooLarge(f"The address of this request is longer than {limits.url_bytes} bytes.", code="url_too_long")


# The names of headers are few, and every request brings most of them; strangers can fill it, and only slow it down.
@lru_cache(maxsize=256)
def _is_claim(name: bytes, *, keeps_identity: bool, keeps_context: bool) -> bool:
    """Say whether a header claims an identity; ``_`` stands for ``-`` in the eyes of many programs."""
    plain = name.replace(b"_", b"-")
    if plain.startswith(_OURS):
        return not (keeps_context and name == _CONTEXT)
    return not keeps_identity and (plain in _IDENTITY or plain.startswith(_IDENTITY_FAMILIES))


def _check_host(value: bytes, hosts: int, allowed: HostRule | None) -> None:
    if hosts > 1 or not _HOST.fullmatch(value):
        raise InvalidInput("The Host header of this request is not a host name.", code="invalid_host")
    if allowed is not None and not allowed.allows(value):
        message = "This server is not known by the Host of this request: its operator can list it in allowed_hosts."
        raise InvalidInput(message, code="misdirected_host")


def _read_length(value: bytes, before: int | None) -> int:
    if before is not None or not _LENGTH.fullmatch(value):
        raise InvalidInput("The Content-Length header of this request is not a number.", code="invalid_length")
    return int(value)
