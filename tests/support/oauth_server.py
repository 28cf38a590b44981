"""An OAuth 2.0 provider: Authlib's authorization server on a thread of the test process, with an API behind its tokens.

PKCE is required, refresh tokens rotate, and one that is used twice ends its whole family, as good providers do. A test
says who is signed in, and which endpoint misbehaves how; it reads what was asked. What stands here is storage and wire;
every rule of the protocol is Authlib's.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from aiohttp import web
from authlib.common.security import generate_token
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    ClientMixin,
    InvalidRequestError,
    OAuth2Error,
    OAuth2Payload,
    OAuth2Request,
    TokenMixin,
    grants,
)
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc9207.parameter import IssuerParameter

from support.network import free_port

_PATIENCE = 10.0
_METHODS = ["client_secret_basic", "client_secret_post", "none"]
Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(kw_only=True)
class Client(ClientMixin):
    """A registered client."""

    client_id: str
    secret: str
    method: str
    redirect_uris: list[str] = field(default_factory=list)

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uris[0]

    def get_allowed_scope(self, scope: str) -> str:
        return " ".join(one for one in (scope or "").split() if one != "admin")

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == self.secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self.method

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return True


@dataclass(kw_only=True)
class Code:
    """A code that was given out."""

    code: str
    client_id: str
    redirect_uri: str | None
    scope: str
    user: str
    code_challenge: str
    code_challenge_method: str

    def get_redirect_uri(self) -> str | None:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass(kw_only=True)
class Issued(TokenMixin):
    """A token that was given out; ``family`` is shared by all that follow from one consent."""

    access: str
    refresh: str | None
    client_id: str
    scope: str
    user: str
    family: str
    is_revoked_now: bool = False
    was_refreshed: bool = False

    def check_client(self, client: Client) -> bool:
        return client.client_id == self.client_id

    def get_scope(self) -> str:
        return self.scope

    def get_expires_in(self) -> int:
        return 3600

    def is_expired(self) -> bool:
        return False

    def is_revoked(self) -> bool:
        return self.is_revoked_now

    def get_user(self) -> str:
        return self.user

    def get_client(self) -> None:
        return None


class _Payload(OAuth2Payload):
    def __init__(self, values: dict[str, list[str]]) -> None:
        self._values = values

    @property
    def data(self) -> dict[str, str]:
        return {name: found[0] for name, found in self._values.items()}

    @property
    def datalist(self) -> dict[str, list[str]]:
        return self._values


class _Request(OAuth2Request):
    def __init__(self, request: web.Request, form: dict[str, list[str]]) -> None:
        super().__init__(request.method, str(request.url), headers=dict(request.headers))
        self._query = parse_qs(request.query_string, keep_blank_values=True)
        self._form = form
        self.payload = _Payload(self._query | form)

    @property
    def args(self) -> dict[str, str]:
        return {name: found[0] for name, found in self._query.items()}

    @property
    def form(self) -> dict[str, str]:
        return {name: found[0] for name, found in self._form.items()}


@dataclass
class _Answer:
    status: int
    body: Any
    headers: list[tuple[str, str]]

    @property
    def location(self) -> str | None:
        return dict(self.headers).get("Location")

    @location.setter
    def location(self, value: str) -> None:
        self.headers = [(name, value if name == "Location" else old) for name, old in self.headers]

    def sent(self) -> web.Response:
        text = json.dumps(self.body) if isinstance(self.body, dict) else self.body
        return web.Response(status=self.status, text=text or "", headers=dict(self.headers))


class _Server(AuthorizationServer):
    def __init__(self, provider: "OAuthProvider") -> None:
        super().__init__()
        self.provider = provider
        generator = BearerTokenGenerator(
            lambda **_: f"at-{generate_token(42)}",
            lambda **_: f"rt-{generate_token(48)}",
            lambda client, grant_type: provider.lifetime,
        )
        self.register_token_generator("default", generator)

    def query_client(self, client_id: str) -> Client | None:
        return self.provider.clients.get(client_id)

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        before = request.refresh_token
        family = before.family if before is not None else generate_token(8)
        issued = Issued(
            access=token["access_token"],
            refresh=token.get("refresh_token"),
            client_id=request.client.client_id,
            scope=token.get("scope", ""),
            user=str(request.user or ""),
            family=family,
        )
        self.provider.issued.append(issued)

    def create_oauth2_request(self, request: OAuth2Request) -> OAuth2Request:
        return request

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> _Answer:
        return _Answer(status, body, list(headers))

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        pass


class _CodeGrant(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        data = request.payload.data
        if data.get("code_challenge_method") != "S256" or not data.get("code_challenge"):
            raise InvalidRequestError("PKCE with S256 is required.")
        self.server.provider.codes[code] = Code(
            code=code,
            client_id=request.client.client_id,
            redirect_uri=data.get("redirect_uri"),
            scope=request.scope or data.get("scope", ""),
            user=str(request.user),
            code_challenge=data["code_challenge"],
            code_challenge_method=data["code_challenge_method"],
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found: Code | None = self.server.provider.codes.get(code)
        return found if found is not None and found.client_id == client.client_id else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        del self.server.provider.codes[authorization_code.code]

    def authenticate_user(self, authorization_code: Code) -> str:
        return authorization_code.user


class _RefreshGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Issued | None:
        found: Issued | None = self.server.provider.live(refresh_token)
        return found

    def authenticate_user(self, refresh_token: Issued) -> str:
        return refresh_token.user

    def revoke_old_credential(self, refresh_token: Issued) -> None:
        refresh_token.was_refreshed = True


class _OwnGrant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS[:2]


class _Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS = _METHODS

    def query_token(self, token_string: str, token_type_hint: str) -> Issued | None:
        found = [one for one in self.server.provider.issued if token_string in (one.access, one.refresh)]
        return found[0] if found else None

    def revoke_token(self, token: Issued, request: OAuth2Request) -> None:
        self.server.provider.end_family(token.family)


class _Issuer(IssuerParameter):
    def __init__(self, provider: "OAuthProvider") -> None:
        self._provider = provider

    def get_issuer(self) -> str | None:
        return self._provider.sent_issuer


class OAuthProvider:
    """See the module."""

    def __init__(self) -> None:
        self.port = free_port()
        self.clients: dict[str, Client] = {}
        self.codes: dict[str, Code] = {}
        self.issued: list[Issued] = []
        self.user: str | None = "dana"
        """Who is signed in and agrees; None stands for somebody who does not agree."""
        self.lifetime: int | None = 3600
        self.sent_issuer: str | None = self.url
        self.faults: dict[str, Fault] = {}
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.reused = 0
        self.loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="oauth", daemon=True)
        self._server = _Server(self)
        self._server.register_grant(_CodeGrant, [CodeChallenge(required=True)])
        self._server.register_grant(_RefreshGrant)
        self._server.register_grant(_OwnGrant)
        self._server.register_endpoint(_Revocation)
        self._server.register_extension(_Issuer(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def client(self, client_id: str, *redirect_uris: str, method: str = "client_secret_basic") -> Client:
        """Register a client; its secret has signs that have to be encoded."""
        client = Client(client_id=client_id, secret=f"s3cret-{client_id}/%+:", method=method)
        client.redirect_uris.extend(redirect_uris)
        self.clients[client_id] = client
        return client

    def asked(self, grant_type: str) -> list[dict[str, str]]:
        """Return the calls for tokens of one kind."""
        return [form for path, form in self.calls if path == "/token" and form.get("grant_type") == grant_type]

    def live(self, refresh_token: str) -> Issued | None:
        """Find what a refresh token was given for; one that comes a second time ends its family."""
        for one in self.issued:
            if one.refresh == refresh_token:
                if one.was_refreshed:
                    self.reused += 1
                    self.end_family(one.family)
                return None if one.is_revoked_now else one
        return None

    def end_family(self, family: str) -> None:
        for one in self.issued:
            one.is_revoked_now |= one.family == family

    def end_access(self, access: str) -> None:
        """End one access token; what it was got with goes on."""
        self.issued = [
            Issued(**{**vars(one), "access": f"ended-{one.access}"}) if one.access == access else one
            for one in self.issued
        ]

    def holder(self, access: str) -> Issued | None:
        return next((one for one in self.issued if one.access == access and not one.is_revoked_now), None)

    def reset(self) -> None:
        """Begin as new."""
        self.clients.clear()
        self.codes.clear()
        self.issued.clear()
        self.calls.clear()
        self.faults.clear()
        self.user, self.lifetime, self.sent_issuer, self.reused = "dana", 3600, self.url, 0

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(_PATIENCE), "the provider did not start"

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive(), "the provider did not stop"

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        runner = self.loop.run_until_complete(self._open())
        self._started.set()
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(runner.cleanup())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    async def _open(self) -> web.AppRunner:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        return runner

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        form = parse_qs((await request.read()).decode(), keep_blank_values=True)
        flat = {name: found[0] for name, found in form.items()}
        self.calls.append((request.path, flat | {"authorization": request.headers.get("Authorization", "")}))
        fault = self.faults.get(request.path)
        if fault is not None:
            return await fault(request)
        return self.answer(request, form)

    def answer(self, request: web.Request, form: dict[str, list[str]]) -> web.Response:
        """Answer as a provider should."""
        asked = _Request(request, form)
        match request.path:
            case "/authorize":
                try:
                    grant = self._server.get_consent_grant(asked, end_user=self.user)
                except OAuth2Error as error:
                    return web.Response(status=400, text=str(error.error))
                answer: _Answer = self._server.create_authorization_response(asked, grant_user=self.user, grant=grant)
                return answer.sent()
            case "/token":
                answer = self._server.create_token_response(asked)
                return answer.sent()
            case "/revoke":
                answer = self._server.create_endpoint_response("revocation", asked)
                return answer.sent()
            case _:
                holder = self.holder(request.headers.get("Authorization", "").removeprefix("Bearer "))
                if holder is None:
                    return web.json_response({"error": "invalid_token"}, status=401)
                return web.json_response({"sub": holder.user, "scope": holder.scope})

    async def form_of(self, request: web.Request) -> dict[str, list[str]]:
        """Read a form once more, for faults that answer late."""
        return parse_qs((await request.read()).decode(), keep_blank_values=True)


@contextlib.contextmanager
def serving_provider() -> Iterator[OAuthProvider]:
    """Run a provider."""
    provider = OAuthProvider()
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()


def with_query(url: str, **changes: str | None) -> str:
    """Return an address with parameters replaced or, by None, taken out."""
    parts = urlsplit(url)
    query = {name: found[0] for name, found in parse_qs(parts.query, keep_blank_values=True).items()}
    kept = {name: value for name, value in (query | changes).items() if value is not None}
    return parts._replace(query=urlencode(kept)).geturl()
