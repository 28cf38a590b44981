"""Who may pass at the console: people with a live session whose role has the permission that the route declares.

What changes something has to come from a page of this origin (``place``) and carry the session's own token, which a
page of another origin can neither read nor guess: it follows from the session's secret, which only the cookie holds.
A route of the Make API that is served here too meets the same ``Call`` that an API token would have brought it.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated, Final

import structlog
from fastapi import Depends
from starlette.requests import Request

from make_bridge.domain.users.messages import Session
from make_bridge.domain.users.roles import PERMISSIONS
from make_bridge.domain.users.sessions import Sessions
from make_bridge.faces.console.place import ConsolePlace
from make_bridge.faces.edge.access import Gate
from make_bridge.faces.edge.attempts import attempt_of
from make_bridge.faces.edge.authentication import Identity
from make_bridge.faces.edge.body import read_bytes, require_json
from make_bridge.faces.edge.gates import READING, Access, call_of
from make_bridge.faces.edge.teams import TeamChooser
from make_bridge.faces.edge.turnstile import Turnstile
from make_bridge.faces.edge.witness import Witness
from make_bridge.kernel.context import Actor, ActorKind
from make_bridge.kernel.errors import PermissionDenied, Unauthenticated

CSRF_HEADER: Final = "x-csrf-token"
_PURPOSE: Final = b"make-bridge console csrf"
_SIGNED_OUT: Final = "You are not signed in, or not any more: sign in and try again."
_NO_TOKEN: Final = "This request lacks the token of its page: load the page again."  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInGate(Gate):
    """Stands before signing in: nobody is known yet, and the request still has to be one of our page's."""

    place: ConsolePlace
    max_body: int

    async def __call__(self, request: Request) -> None:
        """Leave the body on the request, or raise."""
        self.place.require_safe(request.headers)
        self.place.require_own_page(request.headers)
        require_json(request)
        request.state.body = await read_bytes(request, self.max_body)


@dataclass(frozen=True, slots=True, kw_only=True)
class WayIn:
    """What lets people in, for every route alike."""

    place: ConsolePlace
    sessions: Sessions
    teams: TeamChooser
    turnstile: Turnstile
    witness: Witness | None = None


class SessionGate(Gate):
    """Lets signed-in people pass."""

    def __init__(self, access: Access, way_in: WayIn) -> None:
        """Stand before one route."""
        self.access = access
        self._way_in = way_in

    async def __call__(self, request: Request) -> None:
        """Leave the ``Call`` and the session on the request, or raise."""
        place, is_change = self._way_in.place, request.method not in READING
        place.require_safe(request.headers)
        if is_change:
            place.require_own_page(request.headers)
        else:
            place.require_no_stranger(request.headers)
        secret = place.secret_in(request.headers) or ""
        session, identity = await self._identify(request, secret)
        structlog.contextvars.bind_contextvars(organization_id=identity.organization_id)
        if is_change:
            _require_token(request, secret)
        if not identity.permissions & {self.access.permission, "*"}:
            sentence = f"Your role here, {session.role}, does not allow this: it lacks '{self.access.permission}'."
            refusal = PermissionDenied(sentence)
            if self._way_in.witness is not None:
                await self._way_in.witness.refused(request, identity, refusal)
            raise refusal
        call = await call_of(request, identity, self.access, self._way_in.teams)
        if call.body:
            require_json(request)
        if self._way_in.witness is not None:
            await self._way_in.witness.saw(request, call.context, call.body)
        request.state.call = call
        request.state.session = session

    async def _identify(self, request: Request, secret: str) -> tuple[Session, Identity]:
        """Return whose session this is, counted."""
        turnstile = self._way_in.turnstile
        attempt = attempt_of(request.state.address, secret)
        turnstile.attempts.admit(attempt)
        session = await self._way_in.sessions.find(secret) if secret else None
        if session is None:
            raise await turnstile.failed(attempt, Unauthenticated(_SIGNED_OUT, code="signed_out"))
        identity = Identity(
            organization_id=session.organization_id,
            actor=Actor(kind=ActorKind.USER, reference=str(session.user_id)),
            permissions=PERMISSIONS[session.role],
            team_id=None,
            credential=f"session {session.id}",
        )
        await turnstile.passed(request, attempt, identity)
        return session, identity


def csrf_token(secret: str) -> str:
    """Return the token that a session's page sends with each change."""
    return hmac.new(secret.encode(), _PURPOSE, hashlib.sha256).hexdigest()


def _require_token(request: Request, secret: str) -> None:
    given = request.headers.getlist(CSRF_HEADER)
    if len(given) != 1 or not hmac.compare_digest(given[0].encode(), csrf_token(secret).encode()):
        raise PermissionDenied(_NO_TOKEN, code="csrf_token")


async def current_session(request: Request) -> Session:
    """Return the session the gate has let pass."""
    session: Session = request.state.session
    return session


CurrentSession = Annotated[Session, Depends(current_session)]
