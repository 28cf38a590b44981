"""The way of a browser to a provider and back: ``/oauth/start`` and ``/oauth/callback/{application}``.

Nobody signs in here. A ticket, made for whoever may make connections, lets one browser begin; that browser gets a
cookie, and only it can come back with the state it was given. On https the cookie's name begins with ``__Host-``, so
that no neighbouring host can plant one. Redirect addresses are made of the settings, never of a request.
"""

import re
from dataclasses import dataclass
from typing import Final

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from make_bridge.domain.oauth.consent import CALLBACK, ConsentFailed, Consents, Returned, new_browser
from make_bridge.faces.edge.access import PublicRoute
from make_bridge.faces.edge.attempts import Attempts, attempt_of
from make_bridge.faces.edge.body import parse_object, read_bytes, require_json
from make_bridge.faces.edge.problems import problem_of
from make_bridge.faces.oauth.pages import done_page, failed_page, start_page
from make_bridge.kernel.errors import BridgeError, InvalidInput, NotFound, Unauthenticated
from make_bridge.kernel.ids import MAX_ID

START: Final = "/oauth/start"
_SECURE_COOKIE: Final = "__Host-make-bridge-oauth"
_PLAIN_COOKIE: Final = "make-bridge-oauth"
_BROWSER: Final = re.compile(r"[A-Za-z0-9]{43}")
_ERROR: Final = re.compile(r"[a-z_]{1,64}")
_APPLICATION: Final = re.compile(r"[1-9][0-9]{0,15}")
_MAX_BODY: Final = 4096
_MAX_VALUE: Final = 8192
_BAD_REQUEST: Final = 400
_INTERNAL: Final = 500
_READ_BY_US: Final = ("state", "code", "error", "iss")


class TicketBody(BaseModel):
    """What lets a browser begin."""

    model_config = ConfigDict(strict=True, extra="ignore")
    ticket: str = Field(min_length=1, max_length=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthFace:
    """The endpoints with what they need; ``cookie_seconds`` is how long a browser has until it comes back."""

    consents: Consents
    attempts: Attempts
    is_https: bool
    cookie_seconds: int
    json_depth: int

    @property
    def _cookie(self) -> str:
        return _SECURE_COOKIE if self.is_https else _PLAIN_COOKIE

    async def page(self, _request: Request) -> Response:
        """Answer the page that the ticket opens; it is the same for everybody."""
        return start_page()

    async def start(self, request: Request) -> Response:
        """Let a browser begin: tell it where the provider is, and give it its cookie."""
        require_json(request)
        body = parse_object(await read_bytes(request, _MAX_BODY), TicketBody, max_depth=self.json_depth)
        browser = self._browser(request) or new_browser()
        attempt = attempt_of(request.state.address, body.ticket)
        self.attempts.admit(attempt)
        try:
            begun = await self.consents.start(body.ticket, browser)
        except (Unauthenticated, NotFound) as error:
            raise await self.attempts.failed(attempt) or error from error
        self.attempts.passed(attempt)
        told = {
            "address": begun.address,
            "organization": begun.organization,
            "application": begun.application,
            "connection": begun.connection,
        }
        response = Response(msgspec.json.encode(told), media_type="application/json")
        response.set_cookie(
            self._cookie, browser, max_age=self.cookie_seconds, path="/", secure=self.is_https, httponly=True,
            samesite="lax",
        )  # fmt: skip
        return response

    async def callback(self, request: Request) -> Response:
        """Take a browser back from the provider; whatever is wrong is said on a page."""
        if request.method == "HEAD":
            # Whoever only looks uses nothing up.
            return failed_page("", _BAD_REQUEST)
        try:
            return await self._finish(request)
        except BridgeError as error:
            status = _BAD_REQUEST if isinstance(error, ConsentFailed) else problem_of(error).status
            if status == _INTERNAL:
                raise
            return failed_page(error.message, status)

    async def _finish(self, request: Request) -> Response:
        returned = self._returned(request)
        attempt = attempt_of(request.state.address, returned.state)
        self.attempts.admit(attempt)
        try:
            connected = await self.consents.finish(returned)
        except (Unauthenticated, NotFound) as error:
            raise await self.attempts.failed(attempt) or error from error
        if connected.return_to:
            return RedirectResponse(connected.return_to, status_code=303)
        return done_page(connected.connection)

    def _returned(self, request: Request) -> Returned:
        """Read what came back; a parameter that comes twice could be read in two ways."""
        query = request.query_params
        for name in _READ_BY_US:
            if len(query.getlist(name)) > 1 or len(query.get(name, "")) > _MAX_VALUE:
                raise InvalidInput("The provider's answer cannot be read: nothing was connected.")
        application: str = request.path_params["application_id"]
        if not _APPLICATION.fullmatch(application) or int(application) > MAX_ID:
            raise NotFound("There is nothing at this address.")
        error = query.get("error", "")
        return Returned(
            application_id=int(application),
            state=query.get("state", ""),
            browser=self._browser(request),
            code=query.get("code", ""),
            error=error if not error or _ERROR.fullmatch(error) else "unknown",
            issuer=query.get("iss"),
            request_id=request.state.request_id,
        )

    def _browser(self, request: Request) -> str:
        value = request.cookies.get(self._cookie, "")
        return value if _BROWSER.fullmatch(value) else ""


def oauth_routes(face: OAuthFace) -> tuple[PublicRoute, ...]:
    """Return the routes."""
    return (
        PublicRoute(START, face.page, because="the page is empty; what it sends carries the ticket"),
        PublicRoute(START, face.start, because="the ticket in the body is the key", methods=("POST",)),
        PublicRoute(
            f"{CALLBACK}/{{application_id}}",
            face.callback,
            because="providers send browsers here; the state and the browser's cookie are the key",
        ),
    )
