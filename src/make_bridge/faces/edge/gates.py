"""The gate of the token-protected APIs: from credentials to the ``Call`` a face works with.

A route declares an ``Access``; the gate authenticates, decides the team, reads the body within its limit, joins the
idempotency key to it, checks the permission and leaves a ``Call`` on the request. Nothing a face does can widen it: the
context is frozen, and its tenant and actor come from the credentials alone.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import structlog
from fastapi import Depends
from starlette.requests import Request

from make_bridge.faces.edge.access import Gate
from make_bridge.faces.edge.authentication import Authenticator, Credentials, Identity
from make_bridge.faces.edge.body import check_content_type, read_bytes
from make_bridge.faces.edge.idempotency import read_repetition
from make_bridge.faces.edge.teams import TeamChooser
from make_bridge.faces.edge.turnstile import Turnstile
from make_bridge.faces.edge.witness import Witness
from make_bridge.kernel.context import ActorKind, Context
from make_bridge.kernel.errors import PermissionDenied, Unauthenticated
from make_bridge.kernel.ids import TeamId
from make_bridge.platform.observability.tracing.spans import of_organization

READING: Final = frozenset({"GET", "HEAD"})
_PORTAL_ONLY: Final = frozenset({Credentials.PORTAL_TOKEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a route asks of its callers, and the largest body it takes."""

    permission: str
    max_body: int
    administrators_only: bool = False
    accepts: frozenset[Credentials] = _PORTAL_ONLY


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One authenticated request: the context for the buses, the team new things belong to, the body.

    ``context.team_id`` narrows what is seen; it is None for an administrator who named no team and sees the whole
    organization, while ``team_id`` is then the organization's root team.
    """

    context: Context
    team_id: TeamId
    body: bytes


class TokenGate(Gate):
    """Lets portal tokens and, where a route accepts them, API tokens pass."""

    def __init__(
        self,
        access: Access,
        authenticator: Authenticator,
        teams: TeamChooser,
        turnstile: Turnstile | None = None,
        witness: Witness | None = None,
    ) -> None:
        """Stand before one route; without a turnstile, anybody may come as often as they like.

        ``witness`` takes down who may not do what they ask, and what they send.
        """
        self._witness = witness
        self.access = access
        self._authenticator = authenticator
        self._teams = teams
        self._turnstile = turnstile

    async def __call__(self, request: Request) -> None:
        """Leave the ``Call`` on the request, or raise."""
        identity = await self._identify(request)
        structlog.contextvars.bind_contextvars(organization_id=identity.organization_id)
        await self._require(request, identity)
        call = await call_of(request, identity, self.access, self._teams)
        if self._witness is not None:
            await self._witness.saw(request, call.context, call.body)
        request.state.call = call

    async def _identify(self, request: Request) -> Identity:
        """Return who sends this, counted."""
        turnstile = self._turnstile
        if turnstile is None:
            return await self._authenticate(request)
        attempt = turnstile.admit(request)
        is_for_pages = Credentials.PORTAL_TOKEN in self.access.accepts
        if is_for_pages:
            await turnstile.cross_origin.meet(request)
        try:
            identity = await self._authenticate(request)
        except Unauthenticated as error:
            raise await turnstile.failed(attempt, error) from error
        if is_for_pages:
            await turnstile.cross_origin.settle(request, identity.organization_id)
        await turnstile.passed(request, attempt, identity)
        return identity

    async def _authenticate(self, request: Request) -> Identity:
        headers = request.headers.getlist("authorization")
        request_id = request.state.request_id
        return await self._authenticator.authenticate(headers, self.access.accepts, request_id=request_id)

    async def _require(self, request: Request, identity: Identity) -> None:
        """Raise PermissionDenied, with a row in the audit, for who may not use this route."""
        try:
            self._require_permission(identity)
        except PermissionDenied as error:
            if self._witness is not None:
                await self._witness.refused(request, identity, error)
            raise

    def _require_permission(self, identity: Identity) -> None:
        if self.access.administrators_only and identity.actor.kind is ActorKind.CUSTOMER:
            raise PermissionDenied("Only an administrator may do this: use a token with the sub '*' or an API token.")
        if not identity.permissions & {self.access.permission, "*"}:
            if identity.actor.kind is ActorKind.API_TOKEN:
                sentence = f"Access denied. This token lacks the scope '{self.access.permission}'."
                raise PermissionDenied(sentence)
            raise PermissionDenied(f"These credentials lack the permission '{self.access.permission}'.")


async def call_of(request: Request, identity: Identity, access: Access, teams: TeamChooser) -> Call:
    """Choose the team and read the body, within what the route takes, for who may pass."""
    of_organization(identity.organization_id)
    asked = request.query_params.getlist("teamId") if request.scope["query_string"] else []
    choice = await teams.choose(asked, identity)
    body = b""
    if request.method not in READING:
        body = await read_bytes(request, access.max_body)
        if body:
            check_content_type(request)
    repetition = read_repetition(request, body)
    context = Context(
        organization_id=identity.organization_id,
        actor=identity.actor,
        permissions=identity.permissions,
        request_id=request.state.request_id,
        team_id=choice.narrowed_to,
        idempotency_key=repetition.key if repetition else None,
        body_digest=repetition.digest if repetition else None,
        address=request.state.address,
    )
    return Call(context=context, team_id=choice.team_id, body=body)


async def current_call(request: Request) -> Call:
    """Return the call the gate has let pass; a route without a gate has none, and fails.

    A coroutine without need: FastAPI sends plain functions to a thread, which costs more than all the rest.
    """
    call: Call = request.state.call
    return call


CurrentCall = Annotated[Call, Depends(current_call)]
