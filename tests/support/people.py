"""People who sign in: the directory's side of it, and the console's routes over a real database."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from make_bridge.domain.users.members import Welcoming
from make_bridge.domain.users.messages import SignedIn, SignInAttempt
from make_bridge.domain.users.model import SessionLimits, SignInLimits
from make_bridge.domain.users.own_password import OwnPassword
from make_bridge.domain.users.roles import Role
from make_bridge.domain.users.service import UserService
from make_bridge.domain.users.sessions import Sessions
from make_bridge.domain.users.signing_in import SigningIn
from make_bridge.faces.console.gate import CSRF_HEADER, WayIn
from make_bridge.faces.console.place import ConsolePlace
from make_bridge.faces.console.signing import Signing
from make_bridge.faces.edge.config import RateLimits
from make_bridge.faces.edge.limiters import Limiters
from make_bridge.faces.edge.teams import TeamChooser
from make_bridge.kernel.clock import Clock, ManualClock, SystemClock
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.limits.port import Rate
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.security import passwords as hashing
from make_bridge.platform.security.passwords import PasswordCost, Passwords
from make_bridge.services.console import PeopleActs, console_routes
from support.api_v2 import Api
from support.asgi import Answer, Client
from support.edge import client_of

PASSWORD = "correct horse battery"
ORIGIN = "https://bridge.example"
_UNLIMITED = {
    name: Rate(name=name, most=0, seconds=1.0) for name in ("general", "failures", "strangers", "api", "hook", "flow")
}


def cheap_passwords() -> Passwords:
    """Hash as the product does, for little: what a hash has to cost is tested in `unit/platform/security`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "_MEMORY_KIB", 64)
        patch.setattr(hashing, "_PASSES", 1)
        return Passwords(PasswordCost())


class People:
    """One node's way to people; its clock is moved by hand, the database's is not."""

    def __init__(
        self, shards: Shards, *, sessions: SessionLimits | None = None, sign_in: SignInLimits | None = None
    ) -> None:
        self.shards = shards
        self.clock = ManualClock(SystemClock().now())
        self.session_limits, self.sign_in_limits = sessions or SessionLimits(), sign_in or SignInLimits()
        self.metrics, passwords = Metrics(), cheap_passwords()
        self.service = UserService(directory=shards.directory, passwords=passwords)
        self.sessions = self.node()
        self.signing_in = SigningIn(
            directory=shards.directory,
            sessions=self.sessions,
            passwords=passwords,
            clock=self.clock,
            limits=self.sign_in_limits,
            session_limits=self.session_limits,
            metrics=self.metrics,
        )

    def node(self, clock: Clock | None = None) -> Sessions:
        """Return what another process remembers of sessions: nothing yet."""
        return Sessions(self.shards.directory, clock or self.clock, self.session_limits, self.sign_in_limits)

    async def sign_in(self, email: str, password: str = PASSWORD, **more: Any) -> SignedIn:
        """Sign in from an address."""
        given = {"address": "192.0.2.7", "user_agent": "a browser", "request_id": "r1"} | more
        return await self.signing_in.sign_in(SignInAttempt(email=email, password=password, **given))


@dataclass(slots=True)
class Visit:
    """A browser at the console: its cookie and its page's token."""

    client: Client
    place: ConsolePlace
    cookie: str | None = None
    token: str | None = None
    more: list[tuple[str, str]] = field(default_factory=list)

    async def send(
        self, method: str, path: str, body: Any = None, *, headers: Iterable[tuple[str, str]] = (), page: bool = True
    ) -> Answer:
        """Send what a page of the console sends; ``page`` leaves out what only a page of ours can say."""
        given = [("Host", "bridge.example"), *headers, *self.more]
        if self.cookie is not None:
            given.append(("Cookie", f"{self.place.cookie}={self.cookie}"))
        if page and method != "GET":
            given.append(("Origin", ORIGIN))
            if self.token is not None:
                given.append((CSRF_HEADER, self.token))
        raw = b""
        if body is not None:
            raw = json.dumps(body).encode()
            if not any(name.lower() == "content-type" for name, _ in given):
                given.append(("Content-Type", "application/json"))
        return await self.client.send(method, f"/console/api{path}", headers=given, body=raw)

    async def sign_in(self, email: str, password: str = PASSWORD, **more: Any) -> Answer:
        """Sign in, and keep the cookie as a browser does."""
        answer = await self.send("POST", "/sign-in", {"email": email, "password": password, **more})
        if answer.status == 200:
            self.cookie = answer.header("set-cookie").partition(";")[0].partition("=")[2]
            self.token = answer.json()["session"]["csrfToken"]
        return answer


class Console:
    """The console's routes over the Make API's."""

    def __init__(self, api: Api, people: People) -> None:
        self.api, self.people, self.place = api, people, ConsolePlace(origin=ORIGIN)
        given = api.dependencies
        limits = RateLimits(**_UNLIMITED, block_seconds=1.0, keys=1000)
        turnstile = Limiters.of(limits, people.clock, Metrics()).turnstile(_NoOrigins(), given.organizations)
        signing = Signing(
            place=self.place,
            signing_in=people.signing_in,
            sessions=people.sessions,
            organizations=given.organizations,
            commands=api.commands,
            json_depth=given.json_depth,
        )
        way_in = WayIn(
            place=self.place,
            sessions=people.sessions,
            teams=TeamChooser(given.organizations, given.teams),
            turnstile=turnstile,
            witness=given.witness,
        )
        passwords = people.service.passwords
        own_password = OwnPassword(
            directory=people.shards.directory, passwords=passwords, commands=api.commands,
            metrics=people.metrics, limits=people.sign_in_limits,
        )  # fmt: skip
        acts = PeopleActs(own_password=own_password, welcoming=Welcoming(passwords=passwords, commands=api.commands))
        self.routes = console_routes(way_in, signing, acts, given, Path("/nowhere"))
        self.client = client_of(self.routes, is_https=True)

    def visit(self) -> Visit:
        """Open a browser."""
        return Visit(self.client, self.place)

    async def person(self, role: Role, organization_id: OrganizationId, name: str = "") -> Visit:
        """Make a person and sign them in."""
        email = email_of(name or role.value, organization_id)
        await self.people.service.create(email, PASSWORD, organization_id, role)
        visit = self.visit()
        assert (await visit.sign_in(email)).status == 200
        return visit


def email_of(name: str, organization_id: OrganizationId) -> str:
    """Return the address of a test's person: organizations are new for each test, people are not."""
    return f"{name}-{organization_id}@acme.example"


class _NoOrigins:
    """Nobody lists any origin."""

    async def is_listed(self, origin: str) -> bool:
        return False
