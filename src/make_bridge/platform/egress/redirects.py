"""Following a redirect: what the next request is, as a pure function.

``client`` follows by hand, one hop at a time, so that every hop passes the guard. Across origins
only headers that say nothing about the sender go along: credentials live in more headers than
Authorization, and nobody can list them all.
"""

from dataclasses import replace
from typing import Final
from urllib.parse import urljoin

from make_bridge.platform.egress.messages import EgressFailure, EgressRequest, TlsTrust
from make_bridge.platform.egress.urls import Target

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER: Final = 303
_KEEP_METHOD: Final = frozenset({307, 308})
_DESCRIBE_BODY: Final = frozenset(
    {"content-type", "content-encoding", "content-language", "content-location", "content-disposition"}
)
_HARMLESS: Final = _DESCRIBE_BODY | {
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    # No credential: and without it a call that is tried again would be a second one behind the redirect.
    "idempotency-key",
    "range",
    "user-agent",
}


def resolve_location(current: Target, location: str) -> str:
    """Return the absolute URL a Location header means."""
    try:
        return urljoin(str(current.url), location)
    except ValueError:
        raise EgressFailure("redirect", "The answer redirects to something that is no URL.", sent=True) from None


def redirected(request: EgressRequest, status: int, current: Target, target: Target) -> EgressRequest:
    """Return the request for the next hop."""
    headers = request.headers
    if not _may_share_credentials(current, target):
        headers = [(name, value) for name, value in headers if name.lower() in _HARMLESS]
        request = replace(request, trust=_without_certificate(request.trust))
    if _becomes_get(status, request.method):
        headers = [(name, value) for name, value in headers if name.lower() not in _DESCRIBE_BODY]
        return replace(request, url=str(target.url), method="GET", body=None, headers=headers)
    return replace(request, url=str(target.url), headers=headers)


def _without_certificate(trust: TlsTrust | None) -> TlsTrust | None:
    """A client certificate is a credential; what is trusted is none."""
    return None if trust is None or not trust.authorities else TlsTrust(authorities=trust.authorities)


def _becomes_get(status: int, method: str) -> bool:
    if status in _KEEP_METHOD:
        return False
    if status == _SEE_OTHER:
        return method not in {"GET", "HEAD"}
    return method == "POST"


def _may_share_credentials(current: Target, target: Target) -> bool:
    """Same origin, or the same host moving from http to https, each on its own port."""
    upgrade = (("http", current.host, 80), ("https", current.host, 443))
    return current.origin == target.origin or (current.origin, target.origin) == upgrade
