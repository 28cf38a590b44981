"""The description of both APIs: of every route, with all that it reads, and the same with and without a server."""

import pytest
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.requests import Request

from make_bridge.services.description import described_bridge
from support.belongings import Belongings
from support.borders import QUERY, asked_for
from support.bridge import API

# What everybody may send and nobody has to be told of: the short form of `cols[]`.
UNTOLD = {"cols"}


async def test_the_written_description_is_that_of_the_served_routes(bridge):
    written = described_bridge()
    assert written["paths"] == bridge.document["paths"]
    served = {
        (method, route.path_format)
        for route in bridge.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert {(method.upper(), path) for path, methods in written["paths"].items() for method in methods} == served


async def test_every_route_says_which_permission_it_asks_for_and_how_it_refuses(bridge):
    for route in bridge.table:
        scope, _, act = route.permission.partition(":")
        assert scope, route.name
        assert act in {"read", "write", "run", "replay"}, route.name
        assert "default" in route.facts["responses"], route.name


class Noting(QueryParams):
    """A query that knows which of its parameters were asked for."""

    def __init__(self, raw, names):
        super().__init__(raw)
        self.names = names

    def get(self, key, default=None):
        self.names.add(key)
        return super().get(key, default)

    def getlist(self, key):
        self.names.add(key)
        return super().getlist(key)

    def __getitem__(self, key):
        self.names.add(key)
        return super().__getitem__(key)


@pytest.fixture
def read(monkeypatch):
    """The names of the parameters that a request reads."""
    names: set[str] = set()
    monkeypatch.setattr(
        Request, "query_params", property(lambda request: Noting(request.scope["query_string"].decode(), names))
    )
    return names


async def test_no_route_of_the_api_reads_a_parameter_that_it_does_not_tell_of(bridge, read):
    own = Belongings(party=await bridge.organization("Acme"), sub="dana", mark="mark")
    await own.every()
    asked = 0
    for route in sorted(bridge.table, key=lambda route: route.method == "DELETE"):
        if not route.path.startswith(API):
            continue
        read.clear()
        good = await asked_for(route, own)
        read.clear()
        await own.party.send(good.route.method, good.target, good.body)
        assert read <= {*route.parameters(QUERY), *UNTOLD}, route.name
        asked += len(read)
    assert asked > 100
