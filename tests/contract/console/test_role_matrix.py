"""Every route of the console as every role: who may pass, and who is told what their role lacks.

The cells are made of the routes themselves, so a new one is in the matrix as soon as it is served; what a role may do
stands in one table, ``domain/users/roles``. Each request goes through the gate that really stands before its route;
behind it stands a probe in the route's place, so that nothing happens to the next cell.
"""

import re
from itertools import pairwise

import pytest
from fastapi.routing import APIRoute
from starlette.responses import Response

from make_bridge.domain.users.roles import OWN_PASSWORD, OWN_SESSIONS, PERMISSIONS, Role
from make_bridge.faces.console.gate import SessionGate, SignInGate
from make_bridge.faces.edge.access import GuardedRoute, PublicMount, PublicRoute
from support.edge import client_of
from support.people import Visit

PASSED = 204


async def probe(request):
    return Response(status_code=PASSED)


def cells(console):
    """Each route that stands behind the gate of sessions: method, path, gate."""
    return [
        (method, route.path, dependency.dependency)
        for route in console.routes
        if isinstance(route, APIRoute)
        for dependency in route.dependencies
        for method in sorted(route.methods or ())
        if isinstance(dependency.dependency, SessionGate)
    ]


@pytest.fixture
def probed(console):
    """The same gates, each before a probe."""
    return client_of(
        [GuardedRoute(path, probe, gate=gate, methods=(method,)) for method, path, gate in cells(console)],
        is_https=True,
    )


@pytest.mark.parametrize("role", list(Role), ids=str)
async def test_b13_each_role_passes_where_its_permissions_say_and_nowhere_else(console, probed, acme, role):
    person = await console.person(role, acme)
    visit = Visit(probed, console.place, person.cookie, person.token)
    wrong = []
    for method, path, gate in cells(console):
        target = re.sub(r"{[^}]+}", "1", path).removeprefix("/console/api")
        answer = await visit.send(method, target)
        needed, held = gate.access.permission, PERMISSIONS[role]
        expected = PASSED if needed in held or "*" in held else 403
        told = expected == PASSED or f"Your role here, {role}, does not allow this" in answer.json()["detail"]
        if answer.status != expected or not told:
            wrong.append((method, path, needed, answer.status))
    assert wrong == []


async def test_b13_nobody_passes_without_a_session(console, probed):
    visit = Visit(probed, console.place)
    for method, path, _ in cells(console):
        answer = await visit.send(method, re.sub(r"{[^}]+}", "1", path).removeprefix("/console/api"))
        assert (answer.status, answer.json()["code"]) == (401, "signed_out"), (method, path)


def test_b13_every_route_is_behind_the_gate_of_sessions_or_says_why_not(console):
    open_to_all = {route.path for route in console.routes if isinstance(route, PublicRoute | PublicMount)}
    assert open_to_all == {
        *("/console", "/console/sessions", "/console/keys", "/console/tokens", "/console/members", "/console/password"),
        "/console/static",
        "/console/api/session",
    }
    rest = [route for route in console.routes if route.path not in open_to_all]
    guarded = [route for route in rest if isinstance(route, GuardedRoute)]
    assert [route.path for route in guarded] == ["/console/api/sign-in"]
    assert len(cells(console)) == sum(len(route.methods or ()) for route in rest if isinstance(route, APIRoute))


def test_every_operation_of_the_make_api_is_in_the_matrix(console):
    here = {(method, path.replace("/console/api/v2", "/api/v2")) for method, path, _ in cells(console)}
    there = {(method, route.path) for route in console.api.routes for method in route.methods}
    assert there <= here


async def test_b13_a_viewer_retries_nothing_and_an_operator_makes_nothing(console, acme):
    viewer, operator = await console.person(Role.VIEWER, acme), await console.person(Role.OPERATOR, acme)
    for path in ("/v2/dlqs/1/retry", "/v2/dead-letters/replay", f"/v2/organizations/{acme}/keys/rotate"):
        assert (await viewer.send("POST", path, {})).status in {403, 404}
    store = {"name": "Mine", "teamId": 1, "maxSizeMB": 1}
    assert (await operator.send("POST", "/v2/data-stores", store)).status == 403
    assert (await viewer.send("GET", f"/v2/organizations/{acme}/keys")).status == 200


def test_roles_hold_what_the_one_below_holds():
    order = [PERMISSIONS[role] for role in (Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMIN)]
    added = [sorted(more - less) for less, more in pairwise(order)]
    assert all(less < more for less, more in pairwise(order))
    assert added == [
        ["events:replay", "jobs:write", "reports:write", "scenarios:run"],
        [
            *("connections:write", "customers:write", "datastores:write", "datastructures:write", "functions:write"),
            *("integrations:write", "scenarios:write", "templates:write", "variables:write", "webhooks:write"),
        ],
        ["audit:read", "members:read", "members:write", "oauth:write", "organizations:write", "teams:write"],
    ]
    assert PERMISSIONS[Role.OWNER] == {"*"}
    assert all(name.endswith(":read") or name in {OWN_SESSIONS, OWN_PASSWORD} for name in PERMISSIONS[Role.VIEWER])


def test_signing_in_has_a_gate_of_its_own():
    assert not issubclass(SignInGate, SessionGate)
