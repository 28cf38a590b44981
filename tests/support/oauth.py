"""An organization with an OAuth application at a real provider, and a browser that goes there and back.

The browser speaks to the product's own edge and face, keeps its cookie as a browser would, and visits the provider over
HTTP.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from make_bridge.domain.connections import handlers as connection_handlers
from make_bridge.domain.connections.handlers import ComponentHandlers
from make_bridge.domain.connections.opening import ComponentOpener
from make_bridge.domain.credential_requests import handlers as request_handlers
from make_bridge.domain.credential_requests import views as request_views
from make_bridge.domain.credential_requests.handing_over import HandingOver
from make_bridge.domain.credential_requests.handlers import CredentialRequestHandlers
from make_bridge.domain.credential_requests.views import CredentialRequestViews
from make_bridge.domain.executions.credential_uses import CredentialUses
from make_bridge.domain.executions.credentials import OpenedByTeam
from make_bridge.domain.oauth import views
from make_bridge.domain.oauth.consent import Consents
from make_bridge.domain.oauth.endpoints import Provider
from make_bridge.domain.oauth.handlers import OAuthFarewell, OAuthHandlers
from make_bridge.domain.oauth.keeping import TokenKeeper
from make_bridge.domain.oauth.messages import (
    ApplicationFacts,
    ApplicationId,
    BeginConsent,
    CreateOAuthApplication,
    CreateOAuthConnection,
    GetOAuthConnection,
    OAuthConnection,
)
from make_bridge.domain.oauth.model import OAuthLimits
from make_bridge.domain.oauth.revoking import Revoking
from make_bridge.faces.edge.config import RateLimits
from make_bridge.faces.edge.limiters import Limiters
from make_bridge.faces.oauth.routes import OAuthFace, oauth_routes
from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.ids import ComponentId, new_execution_id
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.queries import QueryBus
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.egress.client import EgressClient, EgressConfig
from make_bridge.platform.egress.guard import EgressPolicy
from make_bridge.platform.limits.port import Rate
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import JobTypes
from support.asgi import Answer
from support.edge import client_of
from support.jobs import JobScene
from support.network import send
from support.oauth_server import OAuthProvider
from support.organizations import administrator, data_keys_of, organizations_of

ORIGIN = "https://bridge.example"
_LIMITS = ("general", "failures", "strangers", "api", "hook", "flow")
_DUE = """
UPDATE shard.oauth_grants SET renew_at = now(),
    expires_at = CASE WHEN %s THEN now() - interval '1 second' ELSE expires_at END
WHERE connection_id = %s
"""
NO_RATES = RateLimits(**{name: Rate(name=name, most=0, seconds=1) for name in _LIMITS}, block_seconds=1, keys=100)


def uncalled_handlers(shards: Shards, jobs: JobQueue | None = None, **limits: Any) -> OAuthHandlers:
    """The slice's commands where nobody calls out; jobs stay where they are."""
    known, keys = OAuthLimits(**limits), data_keys_of(shards)
    queue = jobs or JobQueue(types=JobTypes())
    calls = Provider(out=EgressClient(EgressConfig()), limits=known)
    revoking = Revoking(shards=shards, sealing=keys, provider=calls, jobs=queue)
    queue.types.add(revoking.type())
    return OAuthHandlers(
        sealing=keys, organizations=organizations_of(shards), revoking=revoking, policy=EgressPolicy(),
        own_origin=ORIGIN, limits=known,
    )  # fmt: skip


@dataclass
class Browser:
    """A browser: it has one cookie at most, and remembers where it was sent."""

    face: Any
    cookie: str = ""
    cookie_line: str = ""
    seen: list[str] = field(default_factory=list)

    async def start(self, ticket: str) -> Answer:
        """Send the ticket as the start page does; keep the cookie that is set."""
        answer: Answer = await self.face.send(
            "POST", "/oauth/start", headers=[("content-type", "application/json"), *self._cookies()],
            body=json.dumps({"ticket": ticket}).encode(),
        )  # fmt: skip
        line = answer.header("set-cookie")
        if line is not None:
            self.cookie_line, self.cookie = line, line.partition(";")[0]
        return answer

    def visit(self, address: str) -> str:
        """Go to the provider, who sends the browser back; return where to."""
        reply = send("GET", address)
        assert reply.status == 302, reply
        location: str = reply.headers["location"]
        self.seen.append(location)
        return location

    async def come_back(self, location: str) -> Answer:
        """Follow the provider's redirect to the callback."""
        assert location.startswith(ORIGIN), location
        answer: Answer = await self.face.send("GET", location.removeprefix(ORIGIN), headers=self._cookies())
        return answer

    async def agree(self, ticket: str) -> Answer:
        """Go all the way."""
        begun = await self.start(ticket)
        assert begun.status == 200, begun.body
        return await self.come_back(self.visit(begun.json()["address"]))

    def _cookies(self) -> list[tuple[str, str]]:
        return [("cookie", self.cookie)] if self.cookie else []


class OAuthScene:
    """The parts of the slice over a real database, wired as ``boot`` does."""

    def __init__(
        self, shards: Shards, scene: JobScene, provider: OAuthProvider, out: EgressClient, **limits: Any
    ) -> None:
        self.shards, self.scene, self.provider, self.place = shards, scene, provider, scene.place
        self.organization_id = scene.place.organization_id
        self.limits = OAuthLimits(**{"plain_http": True, "refusal_pause_seconds": 0.0, "call_seconds": 10.0} | limits)
        self.keys, self.metrics = data_keys_of(shards), Metrics()
        calls = Provider(out=out, limits=self.limits)
        self.calls_out = calls
        organizations = organizations_of(shards)
        self.revoking = Revoking(shards=shards, sealing=self.keys, provider=calls, jobs=scene.queue)
        scene.queue.types.add(self.revoking.type())
        self.policy = EgressPolicy.parse(["127.0.0.1"])
        handlers = OAuthHandlers(
            sealing=self.keys, organizations=organizations, revoking=self.revoking, policy=self.policy,
            own_origin=ORIGIN, limits=self.limits,
        )  # fmt: skip
        components = ComponentHandlers(sealing=self.keys, farewell=OAuthFarewell(revoking=self.revoking))
        requests = CredentialRequestHandlers(sealing=self.keys, components=components)
        self.commands = CommandBus(
            [
                *handlers.commands(),
                *connection_handlers.commands(components),
                *request_handlers.commands(requests),
                *HandingOver(requests=requests, oauth=handlers).commands(),
            ],
            shards,
            self.keys,
        )
        shown = CredentialRequestViews(organizations=organizations, sealing=self.keys)
        self.queries = QueryBus([*views.queries(), *request_views.queries(shown)], shards)
        self.consents = Consents(
            shards=shards, sealing=self.keys, provider=calls, organizations=organizations, revoking=self.revoking,
            origin=ORIGIN, limits=self.limits,
        )  # fmt: skip
        self.keepers: list[TokenKeeper] = []
        self.keeper = self.new_keeper()
        self.context = administrator(self.organization_id)
        limiters = Limiters.of(NO_RATES, SystemClock(), self.metrics)
        face = OAuthFace(
            consents=self.consents, attempts=limiters.attempts, is_https=True,
            cookie_seconds=self.limits.attempt_seconds, json_depth=50,
        )  # fmt: skip
        self.face = client_of(oauth_routes(face), is_https=True)

    def new_keeper(self) -> TokenKeeper:
        """Another process' way to tokens."""
        keeper = TokenKeeper(self.shards, self.keys, self.calls_out, self.metrics)
        self.keepers.append(keeper)
        return keeper

    def browser(self) -> Browser:
        return Browser(self.face)

    def facts(self, **changes: Any) -> ApplicationFacts:
        """An application at the provider, as its owner would describe it."""
        url = self.provider.url
        given: dict[str, Any] = {
            "name": "Shop",
            "client_id": "bridge",
            "authorize_url": f"{url}/authorize",
            "token_url": f"{url}/token",
            "revoke_url": f"{url}/revoke",
            "userinfo_url": f"{url}/userinfo",
            "issuer": url,
            "sends_issuer": True,
            "scopes": ("orders", "profile"),
            "hosts": (self.provider.host,),
        }
        return ApplicationFacts(**given | changes)

    async def do(self, command: Any, context: Any = None) -> Any:
        return await self.commands.execute(context or self.context, command)

    async def application(self, *, method: str = "client_secret_basic", **changes: Any) -> ApplicationId:
        """Make an application known on both sides."""
        words = {"client_secret_basic": "basic", "client_secret_post": "post", "none": "none"}
        facts = self.facts(**{"authentication": words[method]} | changes)
        client = self.provider.clients.get(facts.client_id) or self.provider.client(facts.client_id, method=method)
        secret = None if method == "none" else client.secret
        made = await self.do(CreateOAuthApplication(facts=facts, client_secret=secret))
        application_id: ApplicationId = made.id
        client.redirect_uris.append(self.consents.redirect_uri(application_id))
        return application_id

    async def pending(self, application_id: ApplicationId, **changes: Any) -> ComponentId:
        """Make a connection nobody has agreed to."""
        given: dict[str, Any] = {
            "team_id": self.place.team_id,
            "application_id": application_id,
            "name": "My shop",
        } | changes
        made = await self.do(CreateOAuthConnection(**given))
        connection_id: ComponentId = made.id
        return connection_id

    async def ticket(self, connection_id: ComponentId, return_to: str = "") -> str:
        begun = await self.do(BeginConsent(connection_id=connection_id, return_to=return_to))
        ticket: str = begun.ticket
        return ticket

    async def connected(self, **changes: Any) -> ComponentId:
        """Make a connection that a person has agreed to."""
        connection_id = await self.pending(await self.application(**changes))
        answer = await self.browser().agree(await self.ticket(connection_id))
        assert answer.status == 200, answer.body
        return connection_id

    async def shown(self, connection_id: ComponentId) -> OAuthConnection:
        return await self.queries.ask(self.context, GetOAuthConnection(connection_id=connection_id))

    async def row(self, connection_id: ComponentId) -> Any:
        return await self.place.one("SELECT * FROM shard.oauth_grants WHERE connection_id = %s", connection_id)

    async def make_due(self, connection_id: ComponentId, *, is_over: bool = False) -> None:
        """Let the time pass until a token is to be renewed, or has run out."""
        await self.place.execute(_DUE, is_over, connection_id)

    async def token(self, connection_id: ComponentId, keeper: TokenKeeper | None = None, path: str = "/api") -> str:
        """Take a token as a run does."""
        keeper = keeper or self.keeper
        found = await keeper.token(self.organization_id, connection_id, url=f"{self.provider.url}{path}")
        return found.access

    def components(self, keeper: TokenKeeper | None = None) -> Any:
        """The engine's port for runs of the team."""
        opener = ComponentOpener(shards=self.shards, sealing=self.keys)
        uses = CredentialUses(self.shards, Metrics())
        made = OpenedByTeam(opener=opener, tokens=keeper or self.keeper, uses=uses)
        return made.of(self.organization_id, self.place.team_id, new_execution_id())

    async def close(self) -> None:
        for keeper in self.keepers:
            await keeper.close()
        await self.scene.worker.stop()
