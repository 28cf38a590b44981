"""Pages of other origins that call the portal API: which of them may read what it answers.

An organization lists the origins of its product. An answer names the caller's origin only when it is one of them, to
the letter: nothing is matched by a pattern, nothing reflected, and ``null`` is no origin. Credentials of browsers are
never let in (there is no ``Allow-Credentials``): the API takes bearer tokens alone.

A browser asks before it sends a token, and that question names no organization. It is answered for origins that any
organization lists; the answer to the request itself then only for those of the organization whose token came.
"""

from typing import Final, Protocol

from starlette.requests import Request

from make_bridge.domain.organizations.messages import Organization
from make_bridge.faces.edge.attempts import Attempts, attempt_of
from make_bridge.faces.edge.origins import read_origin
from make_bridge.faces.edge.request_head import RawHeaders
from make_bridge.kernel.errors import PermissionDenied
from make_bridge.kernel.ids import OrganizationId

_REFUSED: Final = "Pages of this origin may not call this API: no organization here lists it among its origins."
_VARY: Final = (b"vary", b"origin")
_READABLE: Final = (b"access-control-expose-headers", b"x-request-id, retry-after, ratelimit, ratelimit-policy")
_PREFLIGHT: Final = (
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
    (b"access-control-allow-headers", b"authorization, content-type, idempotency-key"),
    (b"access-control-max-age", b"600"),
)
_ALLOW: Final = b"access-control-allow-origin"


class Origins(Protocol):
    """Where it is known who lists an origin."""

    async def is_listed(self, origin: str) -> bool:
        """Say whether any organization lists this origin."""
        ...


class OrganizationFacts(Protocol):
    """Where an organization's facts are read."""

    async def get(self, organization_id: OrganizationId) -> Organization:
        """Return the organization; raises NotFound."""
        ...


class CrossOrigin:
    """See the module."""

    def __init__(self, origins: Origins, organizations: OrganizationFacts, attempts: Attempts) -> None:
        """``attempts`` counts questions of unknown origins like requests without credentials."""
        self._origins = origins
        self._organizations = organizations
        self._attempts = attempts

    async def preflight(self, origin: str, address: str) -> RawHeaders:
        """Return the headers that answer a browser's question; raises PermissionDenied and RateLimited."""
        attempt = attempt_of(address, origin)
        self._attempts.admit(attempt)
        if not _is_plain(origin) or not await self._origins.is_listed(origin):
            raise await self._attempts.failed(attempt) or PermissionDenied(_REFUSED, code="origin_not_allowed")
        self._attempts.passed(attempt)
        return [(_ALLOW, origin.encode()), *_PREFLIGHT, _VARY]

    async def meet(self, request: Request) -> None:
        """Let a page of a listed origin read also why its token was refused."""
        headers: RawHeaders = request.state.answer_headers
        headers.append(_VARY)
        origin = _origin_of(request)
        if origin and await self._origins.is_listed(origin):
            headers.extend(((_ALLOW, origin.encode()), _READABLE))

    async def settle(self, request: Request, organization_id: OrganizationId) -> None:
        """Take that back when the token is of an organization that does not list the origin."""
        origin = _origin_of(request)
        if origin and origin not in (await self._organizations.get(organization_id)).origins:
            headers: RawHeaders = request.state.answer_headers
            headers[:] = [pair for pair in headers if pair[0] != _ALLOW and pair != _READABLE]


def _origin_of(request: Request) -> str:
    given = request.headers.getlist("origin")
    return given[0] if len(given) == 1 and _is_plain(given[0]) else ""


def _is_plain(origin: str) -> bool:
    """Say whether this is an origin as browsers write it."""
    read = read_origin(origin)
    return read is not None and not read.has_path and read.text == origin
