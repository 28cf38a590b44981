"""All routes of the portal, for the manifests of the services.

The chapter's short names are aliases, applied by the edge: one resource has one route, with and without a slash at its
end. ``/openapi.json`` describes exactly these routes and those of the API that are served beside them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from make_bridge import __version__
from make_bridge.faces.edge.access import PublicRoute
from make_bridge.faces.edge.doors import Doors
from make_bridge.faces.portal.customers import CustomerRoutes
from make_bridge.faces.portal.dependencies import PortalDependencies
from make_bridge.faces.portal.drafting import DraftingRoutes
from make_bridge.faces.portal.integrations import IntegrationRoutes
from make_bridge.faces.portal.operations import API_TOKEN, PORTAL_TOKEN, PROBLEM, ROOT, Operation, route
from make_bridge.faces.portal.scenarios import ScenarioActs, ScenarioRoutes
from make_bridge.faces.portal.templates import TemplateRoutes
from make_bridge.faces.portal.wire import Problem
from make_bridge.kernel.roles import Role

PORTAL_ALIASES: Final[Mapping[str, str]] = {
    "/api/bridge": ROOT,
    "/api/templates": f"{ROOT}/templates",
    "/api/scenarios": f"{ROOT}/scenarios",
}
_SCHEMES: Final = {
    PORTAL_TOKEN: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "HS256, signed with the organization's secret: header `kid`; claims `sub`, `jti`, `exp`. Once.",
    },
    API_TOKEN: {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Token <uuid>`, for administrators.",
    },
}


def portal_routes(portal: PortalDependencies, doors: Doors) -> list[BaseRoute]:
    """Return the portal's routes, as far as the doors lead anywhere."""
    acts = ScenarioActs(portal=portal)
    tables: list[tuple[str, Role, list[Operation]]] = [
        ("Integrations", Role.BRIDGE, IntegrationRoutes(portal=portal, acts=acts).operations()),
        ("Scenarios", Role.SCENARIOS, ScenarioRoutes(portal=portal, acts=acts).operations()),
        ("Drafting", Role.SCENARIOS, DraftingRoutes(portal=portal, acts=acts).operations()),
        ("Customers", Role.BRIDGE, CustomerRoutes(portal=portal).operations()),
        ("Templates", Role.TEMPLATES, TemplateRoutes(portal=portal).operations()),
    ]
    return [_route(doors, role, operation, tag) for tag, role, operations in tables if doors.serves(role)
            for operation in operations]  # fmt: skip


def _route(doors: Doors, role: Role, operation: Operation, tag: str) -> BaseRoute:
    gate, make = doors.open(operation.access, role)
    return route(operation, gate, tag, make=make)


def description_route(routes: Sequence[BaseRoute], public_url: str) -> PublicRoute:
    """Return the route that describes the others."""
    shown = _Description(routes, public_url)
    return PublicRoute("/openapi.json", shown.openapi, because="the description of an open API is no secret")


class _Description:
    """The OpenAPI document, made when it is first asked for: most processes never are."""

    def __init__(self, routes: Sequence[BaseRoute], public_url: str) -> None:
        self._routes = routes
        self._public_url = public_url
        self._document: bytes | None = None

    async def openapi(self, _request: Request) -> Response:
        """Answer with the document."""
        if self._document is None:
            self._document = msgspec.json.encode(describe(self._routes, self._public_url))
        return Response(self._document, media_type="application/json")


def describe(routes: Sequence[BaseRoute], public_url: str) -> dict[str, Any]:
    """Return the OpenAPI document of the routes."""
    document = get_openapi(
        title="Make Bridge",
        version=__version__,
        description="Automation inside your own product: templates, flows and scenarios of your customers.",
        routes=routes,
        servers=[{"url": public_url}],
    )
    components = document.setdefault("components", {})
    schemas = {**components.get("schemas", {}), PROBLEM: Problem.model_json_schema()}
    components["schemas"] = dict(sorted(schemas.items()))
    components["securitySchemes"] = _SCHEMES
    return document
