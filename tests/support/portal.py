"""The portal with everything around it in memory: buses that record and answer, directories with two organizations.

Real are the edge, authentication, verification of signatures and the routes; in memory are what they look things up in.
The buses know scenarios with their teams, so "another team's scenario is not found" is decided as in the real ones.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from starlette.routing import BaseRoute

from make_bridge.domain.customers.messages import Customer
from make_bridge.domain.organizations.messages import Organization, PortalKey
from make_bridge.domain.organizations.model import ApiToken
from make_bridge.domain.scenarios.messages import GetScenario, Scenario
from make_bridge.faces.edge.authentication import Authenticator
from make_bridge.faces.edge.config import RateLimits
from make_bridge.faces.edge.doors import OpenDoors
from make_bridge.faces.edge.limiters import Limiters
from make_bridge.faces.edge.turnstile import Turnstile
from make_bridge.faces.portal.dependencies import PortalConfig, PortalDependencies
from make_bridge.faces.portal.routes import PORTAL_ALIASES, description_route, portal_routes
from make_bridge.kernel.clock import ManualClock
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import CustomerId, OrganizationId, ScenarioId, TeamId
from make_bridge.platform.limits.port import Rate
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.security.portal_tokens import ExpectedClaims, mint_portal_token, shared_key
from make_bridge.services.bridge import token_gates
from support.asgi import Answer, Client
from support.edge import LIMITS, client_of

NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
ACME, RIVAL = OrganizationId(1024), OrganizationId(2048)
ROOT_TEAM, DANA_TEAM, EVE_TEAM, RIVAL_TEAM = TeamId(3072), TeamId(4096), TeamId(5120), TeamId(6144)
KEY_ID, SECRET = "acmekey00001", "acme-secret-that-is-long-enough-for-hs256"
RIVAL_KEY_ID, RIVAL_SECRET = "rivalkey0001", "rival-secret-that-is-long-enough-for-hs256"
API_TOKEN = "8c2b7b1e-1d8f-4a6e-9d2c-0123456789ab"
RIVAL_ORIGIN = "https://rival.example"
PUBLIC_URL = "https://bridge.example"


def scenario(number: int = 7168, team_id: TeamId = DANA_TEAM, **changes: Any) -> Scenario:
    facts: dict[str, Any] = {
        "id": ScenarioId(number),
        "team_id": team_id,
        "name": "Orders",
        "is_active": True,
        "is_paused": False,
        "is_invalid": False,
        "used_packages": ("gateway", "http"),
        "scheduling": {"type": "immediately"},
        "template_version_id": None,
        "flow_id": None,
        "hook_id": None,
        "blueprint_version": 1,
        "next_run_at": None,
        "created_at": NOW,
    }
    return Scenario(**facts | changes)


@dataclass
class Buses:
    """Both buses: notes what is dispatched, answers what was scripted for the message's type."""

    dispatched: list[tuple[Context, Any]] = field(default_factory=list)
    answers: dict[type, Any] = field(default_factory=dict)
    scenarios: dict[int, Scenario] = field(default_factory=dict)

    def messages(self, kind: type) -> list[Any]:
        return [message for _, message in self.dispatched if isinstance(message, kind)]

    def one(self, kind: type) -> Any:
        [message] = self.messages(kind)
        return message

    async def execute(self, context: Context, command: Any) -> Any:
        return self._answer(context, command)

    async def ask(self, context: Context, query: Any) -> Any:
        if isinstance(query, GetScenario) and GetScenario not in self.answers:
            self.dispatched.append((context, query))
            return self._scenario(context, query)
        return self._answer(context, query)

    def _answer(self, context: Context, message: Any) -> Any:
        self.dispatched.append((context, message))
        answer = self.answers[type(message)]
        if isinstance(answer, Exception):
            raise answer
        return answer(message) if isinstance(answer, Callable) else answer  # type: ignore[arg-type]

    def _scenario(self, context: Context, query: GetScenario) -> Scenario:
        found = self.scenarios.get(query.scenario_id)
        if found is None or query.team_id not in {None, found.team_id} or context.organization_id != ACME:
            raise NotFound("There is no such scenario.")
        return found


@dataclass
class Directories:
    """Keys, used tokens, API tokens, customers, teams and organizations."""

    used: set[tuple[int, str, str]] = field(default_factory=set)
    looked_up: list[str] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    not_after: datetime | None = None
    key_permissions: frozenset[str] = frozenset({"*"})
    token_permissions: frozenset[str] = frozenset({"*"})
    origins: tuple[str, ...] = ("https://app.acme.example", "http://localhost:3000")

    async def find(self, name: str) -> Any:
        self.looked_up.append(name)
        if name == API_TOKEN:
            return ApiToken(id=77, organization_id=ACME, permissions=self.token_permissions, label="console")
        keys = {KEY_ID: (ACME, SECRET), RIVAL_KEY_ID: (RIVAL, RIVAL_SECRET)}
        if name not in keys:
            return None
        organization_id, secret = keys[name]
        return PortalKey(
            kid=name,
            organization_id=organization_id,
            algorithm="HS256",
            secret=secret.encode(),
            permissions=self.key_permissions,
            not_after=self.not_after,
        )

    async def consume(self, kid: str, jti: str, organization_id: OrganizationId, expires_at: datetime) -> bool:
        use = (organization_id, kid, jti)
        is_first = use not in self.used
        self.used.add(use)
        return is_first

    async def resolve(self, organization_id: OrganizationId, sub: str, *, request_id: str = "") -> Customer:
        self.resolved.append(sub)
        teams = {(ACME, "dana"): DANA_TEAM, (ACME, "eve"): EVE_TEAM}
        return customer(sub, teams.get((organization_id, sub), RIVAL_TEAM), organization_id)

    async def has_team(self, organization_id: OrganizationId, team_id: TeamId) -> bool:
        return organization_id == ACME and team_id in {ROOT_TEAM, DANA_TEAM, EVE_TEAM}

    async def get(self, organization_id: OrganizationId) -> Organization:
        return Organization(
            id=organization_id,
            name="Acme",
            timezone="UTC",
            root_team_id=ROOT_TEAM,
            origins=self.origins if organization_id == ACME else (RIVAL_ORIGIN,),
            is_demo=False,
        )

    async def is_listed(self, origin: str) -> bool:
        self.looked_up.append(origin)
        return origin in {*self.origins, RIVAL_ORIGIN}


def customer(sub: str = "dana", team_id: TeamId = DANA_TEAM, organization_id: OrganizationId = ACME) -> Customer:
    return Customer(
        id=CustomerId(8192),
        organization_id=organization_id,
        team_id=team_id,
        name=sub.title(),
        external_id=sub,
        operations_limit=None,
    )


@dataclass
class Waiter:
    """Notes who waited."""

    waited: list[tuple[OrganizationId, str, float]] = field(default_factory=list)

    async def outcome(self, organization_id: OrganizationId, execution_id: str, seconds: float) -> object:
        self.waited.append((organization_id, execution_id, seconds))
        return None


class Portal:
    """The portal, ready to be asked. Putting it together takes a while: tests share one and ``forget`` in between."""

    def __init__(self, rates: RateLimits | None = None) -> None:
        """Without ``rates`` callers may come as often as they like, and no other origin's pages."""
        self.buses = Buses()
        self.directories = Directories()
        self.waiter = Waiter()
        self.clock = ManualClock(NOW)
        self.turnstile: Turnstile | None = None
        if rates is not None:
            limiters = Limiters.of(rates, self.clock, Metrics())
            self.turnstile = limiters.turnstile(self.directories, self.directories)
        cross_origin = self.turnstile.cross_origin if self.turnstile else None
        portal = self._dependencies()
        served = portal_routes(portal, OpenDoors(token_gates(portal)))
        self.routes: list[BaseRoute] = [*served, description_route(served, portal.config.public_url)]
        self.client: Client = client_of(self.routes, aliases=PORTAL_ALIASES, cross_origin=cross_origin)

    def forget(self) -> None:
        """Begin again, with one scenario of Dana's."""
        Buses.__init__(self.buses, scenarios={7168: scenario()})
        Directories.__init__(self.directories)
        Waiter.__init__(self.waiter)

    def token(self, sub: str = "dana", *, key_id: str = KEY_ID, secret: str = SECRET, **more: Any) -> str:
        now = self.clock.now() - more.pop("age", timedelta())
        if (claims := more.pop("claims", None)) is None:
            return mint_portal_token(key_id, secret, sub, now, **more)
        issued = int(now.timestamp())
        claims = {"sub": sub, "jti": str(uuid.uuid4()), "iat": issued, "exp": issued + 60, **claims}
        return jwt.encode({"alg": "HS256", "kid": key_id}, claims, shared_key(secret), algorithms=["HS256"])

    async def send(
        self, method: str, target: str, *, sub: str | None = "dana", authorization: str | None = None, **more: Any
    ) -> Answer:
        """Send a request with a fresh token of ``sub``, or with the given header, or (sub None) with nothing."""
        headers = list(more.pop("headers", ()))
        if authorization is not None or sub is not None:
            headers.append(("Authorization", authorization or f"Bearer {self.token(str(sub))}"))
        root = "" if target.startswith(("/portal", "/api", "/openapi")) else "/portal/api/bridge"
        return await self.client.send(method, root + target, headers=headers, **more)

    async def get(self, target: str, **more: Any) -> Answer:
        return await self.send("GET", target, **more)

    async def post(self, target: str, **more: Any) -> Answer:
        return await self.send("POST", target, **more)

    def _dependencies(self) -> PortalDependencies:
        directories = self.directories
        authenticator = Authenticator(
            portal_keys=directories,
            api_tokens=directories,
            ledger=directories,
            customers=directories,
            clock=self.clock,
            max_token_bytes=LIMITS.token_bytes,
            expected=ExpectedClaims(issuers=frozenset({"acme"}), audiences=frozenset({"bridge-of-acme"})),
        )
        return PortalDependencies(
            commands=self.buses,
            queries=self.buses,
            authenticator=authenticator,
            organizations=directories,
            teams=directories,
            waiter=self.waiter,
            turnstile=self.turnstile,
            config=PortalConfig(
                public_url=PUBLIC_URL, responsive_run_seconds=40.0, json_depth=LIMITS.json_depth, bodies=LIMITS.bodies
            ),
        )


def rates(*, general: int = 100, failures: int = 5, api: int = 20, strangers: int = 20) -> RateLimits:
    """Return limits of the token-protected APIs, small enough for a test to reach."""
    return RateLimits(
        general=Rate(name="general", most=general, seconds=900.0),
        failures=Rate(name="failures", most=failures, seconds=900.0),
        strangers=Rate(name="strangers", most=strangers, seconds=60.0),
        api=Rate(name="api", most=api, seconds=3600.0),
        hook=Rate(name="hook", most=0, seconds=1.0),
        flow=Rate(name="flow", most=0, seconds=1.0),
        block_seconds=3600.0,
        keys=1000,
    )


def refusal(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """Hold a refusal against the shape all refusals have, and return it."""
    assert answer.status == status, (answer.status, answer.body)
    assert answer.header("content-type") == "application/json"
    told: dict[str, Any] = answer.json()
    assert set(told) - {"fields"} == {"detail", "message", "code", "requestId"}
    assert told["code"] == code
    assert told["requestId"] == answer.header("x-request-id")
    assert told["detail"].endswith(".")
    return told
