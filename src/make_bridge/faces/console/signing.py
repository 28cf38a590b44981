"""Signing in and out, and who is signed in: the three calls of the console that make and end its cookie."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.organizations.model import EVERYTHING, SCOPES
from make_bridge.domain.users.messages import Session, SignInAttempt, SignOut
from make_bridge.domain.users.roles import PERMISSIONS
from make_bridge.domain.users.sessions import Sessions
from make_bridge.domain.users.signing_in import SigningIn
from make_bridge.faces.console.gate import CurrentSession, csrf_token
from make_bridge.faces.console.place import ConsolePlace
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.cross_origin import OrganizationFacts
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.faces.portal.bodies import Body, RowId
from make_bridge.faces.portal.dependencies import Commands
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId

JsonObject = dict[str, Any]


class SignInBody(Body):
    """What somebody shows; without an organization it is the first they are in. Other members are refused."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, Field(min_length=1, max_length=320)]
    password: Annotated[str, Field(min_length=1, max_length=1024)]
    organization_id: RowId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """The endpoints with what they need."""

    place: ConsolePlace
    signing_in: SigningIn
    sessions: Sessions
    organizations: OrganizationFacts
    commands: Commands
    json_depth: int

    async def who(self, request: Request) -> Response:
        """Answer who is signed in, or that nobody is; a cookie that lets nobody in is taken away."""
        self.place.require_safe(request.headers)
        self.place.require_no_stranger(request.headers)
        secret = self.place.secret_in(request.headers)
        session = await self.sessions.find(secret) if secret else None
        if session is None or secret is None:
            return self._with_cookie({"session": None}, self.place.taken() if secret else None)
        try:
            return self._with_cookie({"session": await self._shown(session, secret)}, None)
        except NotFound:
            return self._with_cookie({"session": None}, self.place.taken())

    async def sign_in(self, request: Request) -> Response:
        """Begin a session, always a new one; the one that the browser had ends."""
        body = parse_object(request.state.body, SignInBody, max_depth=self.json_depth)
        attempt = SignInAttempt(
            email=body.email,
            password=body.password,
            address=request.state.address,
            user_agent=request.headers.get("user-agent", ""),
            request_id=request.state.request_id,
            organization_id=None if body.organization_id is None else OrganizationId(body.organization_id),
            before=self.place.secret_in(request.headers),
        )
        signed_in = await self.signing_in.sign_in(attempt)
        shown = await self._shown(signed_in.session, signed_in.secret)
        return self._with_cookie({"session": shown}, self.place.given(signed_in.secret))

    async def sign_out(self, call: CurrentCall, session: CurrentSession) -> Response:
        """End the session that asks and take its cookie away."""
        digest = await self.commands.execute(call.context, SignOut(session_id=session.id))
        self.sessions.forget(digest)
        return self._with_cookie({"session": None}, self.place.taken())

    async def _shown(self, session: Session, secret: str) -> JsonObject:
        organization = await self.organizations.get(session.organization_id)
        held = PERMISSIONS[session.role]
        return {
            "id": session.id,
            "email": session.email,
            "role": session.role.value,
            "permissions": sorted(held),
            # What this person may put into a key or token.
            "grants": sorted(EVERYTHING | SCOPES if held >= EVERYTHING else SCOPES & held),
            "organization": {"id": organization.id, "name": organization.name},
            "endsAt": wire.instant(session.ends_at),
            "csrfToken": csrf_token(secret),
        }

    def _with_cookie(self, answer: JsonObject, cookie: str | None) -> Response:
        response = Response(msgspec.json.encode(answer), media_type="application/json")
        if cookie is not None:
            response.headers["set-cookie"] = cookie
        return response
