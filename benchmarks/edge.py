"""The edge: what a request costs before a face sees it, and with a portal token, as processor time of this process.

First the whole way in with local limits around an answer that does nothing, credentials apart: goal 60 µs. The same
answer behind the framework alone stands beside it. Then the same with portal tokens whose ids are durably used up in a
real database, at a modest rate: goals 150 µs and 10 ms at p99. Requests are handed over as the server does it; sockets
and the parsing of HTTP are measured by `acceptance`.
"""

import asyncio
import tempfile
import time
from collections.abc import MutableMapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from benchmarks.report import Report
from make_bridge.boot import open_domain
from make_bridge.domain.organizations.keys import ListedOrigins
from make_bridge.domain.organizations.messages import NewOrganization
from make_bridge.faces.edge.access import GuardedRoute
from make_bridge.faces.edge.application import build_application
from make_bridge.faces.edge.authentication import Authenticator, Credentials, Identity
from make_bridge.faces.edge.gates import Access, TokenGate
from make_bridge.faces.edge.limiters import Limiters
from make_bridge.faces.edge.teams import TeamChooser
from make_bridge.kernel.context import Actor, ActorKind
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.security.portal_tokens import mint_portal_token
from make_bridge.settings import Settings, load_settings
from make_bridge.wiring.domain import Domain

_PATH = "/portal/api/bridge/integrations"
_REQUESTS, _ROUNDS = 4_000, 5
_TOKENS, _PER_SECOND, _WARM, _CALLERS = 1_000, 100, 100, 8
_RATES = {"rates": "on", "rate_general": 0, "rate_api": 1_000_000, "rate_strangers": 1_000_000}
_ACCESS = Access(permission="integrations:read", max_body=1024)
_HEAD = [
    (b"host", b"127.0.0.1:8080"),
    (b"accept", b"application/json"),
    (b"user-agent", b"integrator/1.0"),
    (b"x-request-id", b"0123456789abcdef"),
]


def run(report: Report) -> None:
    """Measure and report."""
    with tempfile.TemporaryDirectory(prefix="make-bridge-bench-") as folder:
        uvloop.run(_measure(Path(folder) / "data", report))


async def _measure(data_dir: Path, report: Report) -> None:
    async with AsyncExitStack() as stack:
        loaded = load_settings(None, {"data_dir": data_dir, **_RATES})
        domain = await open_domain(stack, loaded, lambda _: None)
        made = await domain.service.create(NewOrganization(name="Benchmark"))
        known = _Known(made.organization_id, made.team_id)
        bare = await _best(Starlette(routes=[Route(_PATH, _nothing)]))
        edge = await _best(_application(domain, loaded.settings, known))
        report.line("an answer behind the framework alone", f"{bare:.0f} µs")
        report.goal("µs with the edge, tokens apart", edge, at_most=60.0)
        real = _application(domain, loaded.settings, _authenticator(domain, loaded.settings))
        processor, late = await _with_tokens(real, domain, made.key_id, made.secret)
        report.goal("µs with a portal token used up", processor, at_most=150.0)
        report.goal(f"ms at p99, {_PER_SECOND} tokens a second", late * 1000, at_most=10.0)


class _Known:
    """Lets everybody in as the same customer."""

    def __init__(self, organization_id: OrganizationId, team_id: TeamId) -> None:
        self._identity = Identity(
            organization_id=organization_id,
            actor=Actor(kind=ActorKind.CUSTOMER, reference="dana@example.com"),
            permissions=frozenset({"*"}),
            team_id=team_id,
            credential="key",
        )

    async def authenticate(
        self, headers: Sequence[str], accepts: frozenset[Credentials], *, request_id: str
    ) -> Identity:
        del headers, accepts, request_id
        return self._identity


def _authenticator(domain: Domain, settings: Settings) -> Authenticator:
    return Authenticator(
        portal_keys=domain.portal_keys,
        api_tokens=domain.api_tokens,
        ledger=domain.ledger,
        customers=domain.customers,
        clock=domain.clock,
        max_token_bytes=settings.token_bytes,
        expected=settings.tokens(),
    )


def _application(domain: Domain, settings: Settings, authenticator: Any) -> ASGIApp:  # noqa: ANN401 - one of two
    limiters = Limiters.of(settings.rate_limits(), domain.clock, Metrics())
    turnstile = limiters.turnstile(ListedOrigins(domain.shards.directory, domain.clock), domain.organizations)
    teams = TeamChooser(domain.organizations, domain.customers)
    gate = TokenGate(_ACCESS, authenticator, teams, turnstile)
    return build_application([GuardedRoute(_PATH, _nothing, gate=gate, methods=["GET"])], settings.edge())


async def _nothing(_request: Request) -> Response:
    return Response(status_code=204)


async def _best(app: ASGIApp) -> float:
    """Return the processor time of a request in µs, the best of some rounds."""
    rounds = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(_REQUESTS):
            await _ask(app, _HEAD)
        rounds.append((time.process_time() - began) / _REQUESTS * 1e6)
    return min(rounds)


async def _with_tokens(app: ASGIApp, domain: Domain, key_id: str, secret: str) -> tuple[float, float]:
    """Return processor time in µs of requests of a few callers, and the latency at p99 in seconds at an even pace.

    The pace leaves the process asleep most of the time, and waking up costs more than the request: that is no
    property of the edge, so processor time is taken where one request follows the other.
    """
    now = domain.clock.now()
    minted = [mint_portal_token(key_id, secret, "dana@example.com", now) for _ in range(2 * _TOKENS + _WARM)]
    heads = [[*_HEAD, (b"authorization", f"Bearer {token}".encode())] for token in minted]
    for head in heads[:_WARM]:
        await _ask(app, head)
    took: list[float] = []

    async def timed(head: list[tuple[bytes, bytes]]) -> None:
        began = time.perf_counter()
        await _ask(app, head)
        took.append(time.perf_counter() - began)

    async def caller(own: list[list[tuple[bytes, bytes]]]) -> None:
        for head in own:
            await _ask(app, head)

    start = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number, head in enumerate(heads[_WARM : _WARM + _TOKENS]):
            await asyncio.sleep(max(start + number / _PER_SECOND - time.perf_counter(), 0))
            tasks.create_task(timed(head))
    began = time.process_time()
    await asyncio.gather(*(caller(heads[_WARM + _TOKENS + number :: _CALLERS]) for number in range(_CALLERS)))
    return (time.process_time() - began) / _TOKENS * 1e6, sorted(took)[int(_TOKENS * 0.99)]


async def _ask(app: ASGIApp, headers: list[tuple[bytes, bytes]]) -> None:
    """Hand one request over; anything but the answer that does nothing is a mistake of this benchmark."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": _PATH,
        "raw_path": _PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }
    statuses: list[int] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    assert statuses == [204], statuses
