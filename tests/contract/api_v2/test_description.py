"""``/openapi.json`` tells of every route of the API that is served beside the portal's."""

import pytest
from fastapi.routing import APIRoute

from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.kernel.clock import SystemClock
from make_bridge.platform.egress.circuits import Circuits, CircuitsConfig
from make_bridge.services.bridge import bridge_routes
from support.edge import LIMITS, client_of
from support.portal import Portal

ROOT = "/api/v2"


@pytest.fixture(scope="module")
def routes():
    portal = Portal()._dependencies()  # noqa: SLF001  the portal's parts, for the routes of a whole role
    api = ApiDependencies(
        commands=portal.commands,
        queries=portal.queries,
        authenticator=portal.authenticator,
        organizations=portal.organizations,
        teams=portal.teams,
        circuits=Circuits(CircuitsConfig(), SystemClock()),
        json_depth=LIMITS.json_depth,
        bodies=LIMITS.bodies,
    )
    return bridge_routes(portal, api)


@pytest.fixture
async def told(routes):
    answer = await client_of(routes).get("/openapi.json")
    assert answer.status == 200
    return answer.json()


async def test_every_route_is_described_once(routes, told):
    served = {
        (method, route.path_format) for route in routes if isinstance(route, APIRoute) for method in route.methods or ()
    }
    described = {(method.upper(), path) for path, methods in told["paths"].items() for method in methods}
    assert described == served
    assert len({path for _, path in described if path.startswith(ROOT)}) > 10
    names = [operation["operationId"] for methods in told["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))


async def test_routes_of_the_api_say_what_they_take_and_who_may(told):
    made = told["paths"][f"{ROOT}/data-stores"]["post"]
    assert made["security"] == [{"apiToken": []}]
    assert "apiToken" in told["components"]["securitySchemes"]
    schema = made["requestBody"]["content"]["application/json"]["schema"]
    assert {"name", "teamId", "maxSizeMB"} <= set(schema["properties"])
    assert made["responses"]["default"]["content"]["application/json"]["schema"]["$ref"].endswith("/Problem")
    edit = told["paths"][f"{ROOT}/dlqs/{{record_id}}"]["patch"]["requestBody"]["content"]["application/json"]["schema"]
    assert {"blueprint", "failer", "bundles"} <= set(edit["properties"])
