"""``/demo`` and ``/proxy``: what an integrator's own product and backend would be.

The proxy does what every integrator's backend does: it knows who is signed in, mints a fresh token
for each request and passes it on. It speaks HTTP to this very server, so the demo goes the same way
as a real integrator, with nothing short-cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute

from make_bridge.domain.customers.directory import CustomerDirectory
from make_bridge.domain.executions.messages import Execution, GetExecution, ListExecutions
from make_bridge.domain.scenarios.messages import GetHook, ListScenarios, Scenario
from make_bridge.faces.demo.sample import sample_order
from make_bridge.faces.edge.access import PublicMount, PublicRoute
from make_bridge.faces.edge.body import read_bytes
from make_bridge.faces.edge.built_files import BuiltFiles
from make_bridge.faces.edge.built_page import BuiltPage
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import Conflict, NotFound, Unavailable
from make_bridge.kernel.ids import ExecutionId, HookId, OrganizationId
from make_bridge.platform.bus.queries import QueryBus
from make_bridge.platform.security.portal_tokens import mint_portal_token

JsonObject = dict[str, Any]

_BECAUSE = "the demo's own page; it does not exist in production"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_MAX_BODY = 1024 * 1024
_SECONDS = 60.0
_PASSED_ON = frozenset({"content-type", "x-request-id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoConfig:
    """Who plays: the integrator's key, its one user, and where this server listens."""

    organization_id: OrganizationId
    key_id: str
    secret: str
    user_name: str
    user_email: str
    organization_name: str
    server_url: str
    public_url: str
    certificate: bytes | None = None
    """The SHA-256 of this server's own certificate, when it speaks TLS: what calls itself trusts that one alone."""

    def __repr__(self) -> str:
        """Show no secret."""
        return f"DemoConfig({self.organization_id})"


class Demo:
    """The endpoints of the demo."""

    def __init__(
        self, config: DemoConfig, queries: QueryBus, customers: CustomerDirectory, clock: Clock, folder: Path
    ) -> None:
        """Take what the play needs; ``folder`` holds the built pages."""
        self._page = BuiltPage(folder / "demo" / "index.html")
        self._config = config
        self._queries = queries
        self._customers = customers
        self._clock = clock

    async def page(self, _request: Request) -> Response:
        """Answer the page."""
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
            "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(self._page.text, headers={"content-security-policy": policy, "cache-control": "no-store"})

    async def session(self, _request: Request) -> Response:
        """Answer who is signed in."""
        config = self._config
        user = {"name": config.user_name, "email": config.user_email}
        return _json({"user": user, "organization": config.organization_name, "zone": config.public_url})

    async def proxy(self, request: Request) -> Response:
        """Pass a request of the widget on to the portal, with a fresh token for the signed-in user."""
        token = mint_portal_token(self._config.key_id, self._config.secret, self._config.user_email, self._clock.now())
        headers = {name: value for name, value in request.headers.items() if name in _PASSED_ON}
        headers["authorization"] = f"Bearer {token}"
        url = f"{self._config.server_url}/portal/{request.path_params['rest']}"
        body = await read_bytes(request, _MAX_BODY)
        status, answer_headers, answer = await self._send(request.method, url, headers, body, request.url.query)
        return Response(answer, status_code=status, media_type=answer_headers.get("content-type"))

    async def send_order(self, _request: Request) -> Response:
        """Send a sample order to the webhook of every active scenario, as the product would."""
        context = await self._context()
        hooks = [(scenario, scenario.hook_id) for scenario in await self._active(context) if scenario.hook_id]
        if not hooks:
            message = "No integration that is switched on waits for orders. Connect one that does, then send an order."
            raise Conflict(message, code="demo_no_hook")
        order = sample_order()
        sent = [await self._send_to(context, scenario, hook_id, order) for scenario, hook_id in hooks]
        return _json({"order": order, "sent": sent})

    async def _send_to(self, context: Context, scenario: Scenario, hook_id: HookId, order: object) -> JsonObject:
        """Send the order to one scenario and return what it answered."""
        hook = await self._queries.ask(context, GetHook(hook_id=hook_id))
        url = f"{self._config.server_url}/hook/{hook.token}"
        headers = {"content-type": "application/json"}
        status, answer_headers, answer = await self._send("POST", url, headers, msgspec.json.encode(order), "")
        return {
            "scenarioId": scenario.id,
            "scenarioName": scenario.name,
            "status": status,
            "response": _readable(answer_headers.get("content-type", ""), answer),
            "executionId": answer_headers.get("x-execution-id"),
        }

    async def executions(self, _request: Request) -> Response:
        """Answer the newest executions over all scenarios of the user."""
        context = await self._context()
        rows = []
        for scenario in await self._scenarios(context):
            for run in await self._queries.ask(context, ListExecutions(scenario_id=scenario.id, limit=20)):
                rows.append(_row(scenario, run))  # noqa: PERF401 - an asynchronous generator would hide the two queries
        rows.sort(key=lambda row: str(row["id"]), reverse=True)
        return _json({"executions": rows[:20]})

    async def execution(self, request: Request) -> Response:
        """Answer one execution with every module's input and output."""
        context = await self._context()
        for scenario in await self._scenarios(context):
            execution_id = ExecutionId(request.path_params["execution_id"])
            query = GetExecution(scenario_id=scenario.id, execution_id=execution_id)
            try:
                detail = await self._queries.ask(context, query)
            except NotFound:
                continue
            run = {"id": detail.execution.id, "status": detail.execution.status}
            return _json(run | {"steps": detail.steps, "error": detail.error})
        message = "There is no such execution."
        raise NotFound(message)

    async def _active(self, context: Context) -> list[Scenario]:
        active = [scenario for scenario in await self._scenarios(context) if scenario.is_active]
        if not active:
            message = "No integration is switched on. Connect one above, then send an order."
            raise Conflict(message, code="demo_nothing_active")
        return active

    async def _scenarios(self, context: Context) -> list[Scenario]:
        return await self._queries.ask(context, ListScenarios(team_id=context.team_id))

    async def _context(self) -> Context:
        customer = await self._customers.resolve(self._config.organization_id, self._config.user_email)
        return Context(
            organization_id=self._config.organization_id,
            actor=Actor(kind=ActorKind.SYSTEM, reference="demo"),
            permissions=frozenset({"scenarios:read"}),
            request_id="demo",
            team_id=customer.team_id,
        )

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, query: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        target = f"{url}?{query}" if query else url
        own = self._config.certificate
        trusted: aiohttp.Fingerprint | bool = True if own is None else aiohttp.Fingerprint(own)
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(
                    method, target, headers=headers, data=body or None, allow_redirects=False, ssl=trusted
                ) as answer,
            ):
                return answer.status, answer.headers, await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            message = "The demo could not reach the server it runs on."
            raise Unavailable(message) from error


def demo_routes(demo: Demo, folder: Path) -> list[BaseRoute]:
    """Return the routes."""
    return [
        PublicRoute("/demo", demo.page, because=_BECAUSE),
        PublicRoute("/demo/api/session", demo.session, because=_BECAUSE),
        PublicRoute("/demo/api/send-order", demo.send_order, because=_BECAUSE, methods=("POST",)),
        PublicRoute("/demo/api/executions", demo.executions, because=_BECAUSE),
        PublicRoute("/demo/api/executions/{execution_id}", demo.execution, because=_BECAUSE),
        PublicRoute("/proxy/{rest:path}", demo.proxy, because=_BECAUSE, methods=_METHODS),
        PublicMount("/demo/static", BuiltFiles(folder / "demo"), because=_BECAUSE),
    ]


def _row(scenario: Scenario, run: Execution) -> dict[str, object]:
    return {
        "id": run.id,
        "scenarioId": scenario.id,
        "scenarioName": scenario.name,
        "status": run.status,
        "timestamp": run.created_at,
        "duration": run.duration_ms,
        "operations": run.operations,
    }


def _readable(content_type: str, body: bytes) -> object:
    """Return an answer's JSON, or its text where it is none or only says that it is."""
    if content_type.startswith("application/json"):
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError:
            pass
    return body.decode(errors="replace")


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
