"""Routes: each says who may pass, or the server does not start."""

import pytest
from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from make_bridge.faces.edge.access import Gate, GuardedRoute, PublicMount, PublicRoute, require_declared
from make_bridge.kernel.errors import ConfigurationError, Unauthenticated
from support.edge import client_of


class Word(Gate):
    """Lets those pass who know the word."""

    async def __call__(self, request: Request):
        if request.headers.get("word") != "please":
            raise Unauthenticated


async def page(request):
    return PlainTextResponse("in")


async def operation() -> str:
    return "in"


@pytest.mark.attack("B13")
def test_a_route_that_says_nothing_stops_the_start():
    routes = [
        Route("/a", page),
        APIRoute("/b", operation),
        APIRoute("/c", operation, dependencies=[Depends(page)]),
        Mount("/d", routes=[Route("/e", page)]),
        PublicRoute("/f", page, because="a test"),
    ]
    with pytest.raises(ConfigurationError, match=r"who may pass: /a, /b, /c, /d\."):
        client_of(routes)


def test_routes_that_say_it_are_fine(tmp_path):
    require_declared(
        [
            PublicRoute("/a", page, because="a test"),
            PublicMount("/b", StaticFiles(directory=tmp_path), because="a test"),
            GuardedRoute("/c", page, gate=Word(), methods=["GET"]),
            APIRoute("/d", operation, dependencies=[Depends(Word())]),
        ]
    )


@pytest.mark.parametrize("path", ["/plain", "/fast"])
async def test_what_a_route_says_is_what_happens(path):
    client = client_of(
        [
            GuardedRoute("/plain", page, gate=Word(), methods=["GET"]),
            APIRoute("/fast", operation, dependencies=[Depends(Word())]),
        ]
    )
    refused = await client.get(path)
    assert (refused.status, refused.header("www-authenticate")) == (401, "Bearer")
    assert (await client.get(path, headers=[("word", "please")])).status == 200


async def test_pages_of_the_framework_are_not_there():
    client = client_of([PublicRoute("/a", page, because="a test")])
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert (await client.get(path)).status == 404
