"""Every route with every permission there is: who shows the one it declares passes, and nobody else.

The cells are made of the description of the routes, for the API tokens of operators' tools and for portal keys, as an
administrator and as a customer. People's roles have a matrix of their own (``contract/console/test_role_matrix``).
Behind the gates stand probes, so that nothing happens to the next cell.
"""

import dataclasses
import re

import pytest
from fastapi.routing import APIRoute
from starlette.responses import Response

from make_bridge.domain.organizations.model import CUSTOMER_PERMISSIONS, EVERYTHING, OWN_IDENTITY, SCOPES
from make_bridge.faces.edge.access import Gate, GuardedRoute
from support.bridge import Party
from support.edge import client_of

PASSED = 204
GRANTS = [*sorted(SCOPES), "*"]
CUT_DOWN = {
    "token": "UPDATE directory.api_tokens SET permissions = %s WHERE organization_id = %s",
    "key": "UPDATE directory.portal_keys SET permissions = %s WHERE organization_id = %s",
}


async def probe(_request):
    return Response(status_code=PASSED)


@pytest.fixture(scope="module")
async def probed(bridge):
    """The gates that really stand before the routes, each before a probe."""
    routes = [
        GuardedRoute(route.path, probe, gate=dependency.dependency, methods=sorted(route.methods or ()))
        for route in bridge.routes
        if isinstance(route, APIRoute)
        for dependency in route.dependencies
        if isinstance(dependency.dependency, Gate)
    ]
    assert len(routes) == len(bridge.table)
    return client_of(routes)


async def party_with(bridge, probed, credential, grant):
    """An organization whose only credential of a kind holds one permission, before the probes."""
    party = await bridge.organization(f"Holds {grant}")
    await bridge.sql(CUT_DOWN[credential], [grant], party.id)

    return Party(bridge=dataclasses.replace(bridge, client=probed), facts=party.facts)


def passes(route, grant):
    return grant in {route.permission, *EVERYTHING}


async def wrong_cells(bridge, party, sub, expected):
    wrong = []
    for route in bridge.table:
        target = re.sub(r"{[^}]+}", "1", route.path)
        answer = await party.send(route.method, target, sub=sub)
        if answer.status != expected(route):
            wrong.append((route.method, route.path, route.permission, answer.status, expected(route)))
    return wrong


@pytest.mark.attack("B13")
@pytest.mark.parametrize("grant", GRANTS)
async def test_b13_an_api_token_passes_where_its_scope_is_asked_for_and_nowhere_else(bridge, probed, grant):
    party = await party_with(bridge, probed, "token", grant)

    def expected(route):
        if not route.takes("apiToken"):
            return 401
        return PASSED if passes(route, grant) or route.permission == OWN_IDENTITY else 403

    assert await wrong_cells(bridge, party, None, expected) == []


@pytest.mark.attack("B13")
@pytest.mark.parametrize("grant", GRANTS)
async def test_b13_a_portal_key_lets_an_administrator_pass_where_its_permission_is_asked_for(bridge, probed, grant):
    party = await party_with(bridge, probed, "key", grant)

    def expected(route):
        if not route.takes("portalToken"):
            return 401
        return PASSED if passes(route, grant) else 403

    assert await wrong_cells(bridge, party, "*", expected) == []


@pytest.mark.attack("B13")
@pytest.mark.parametrize("grant", GRANTS)
async def test_b13_a_portal_key_lets_a_customer_pass_where_customers_may(bridge, probed, grant):
    party = await party_with(bridge, probed, "key", grant)

    def expected(route):
        if not route.takes("portalToken"):
            return 401
        may = passes(route, grant) and route.permission in CUSTOMER_PERMISSIONS
        return PASSED if may and not route.is_for_administrators else 403

    assert await wrong_cells(bridge, party, "dana", expected) == []


async def test_every_permission_is_asked_for_by_some_route_and_every_route_asks_for_one_there_is(bridge):
    asked = {route.permission for route in bridge.table}
    assert asked <= {*SCOPES, OWN_IDENTITY}
    assert CUSTOMER_PERMISSIONS <= SCOPES
