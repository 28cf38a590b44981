"""Every request is counted once, under the template of its route, whichever way it takes and whoever answers it."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles

from make_bridge.faces.edge.access import PublicMount, PublicRoute
from make_bridge.faces.edge.application import build_application
from make_bridge.faces.edge.config import EdgeConfig
from make_bridge.faces.edge.pipeline import DirectFace, Observers
from make_bridge.faces.edge.plain_http import PlainRequest
from make_bridge.kernel.errors import NotFound
from make_bridge.platform.observability.metrics import Declarations, RequestNumbers
from support.asgi import Client
from support.edge import LIMITS

HOOK = "/hook/{token}"


async def done(_request):
    return PlainTextResponse("done")


async def fault(_request):
    raise RuntimeError("nobody foresaw it")


async def plain(request):
    if request.path == "/hook/nowhere":
        raise NotFound("There is nothing.")
    return 200, [], b"done"


FACE = DirectFace(application=PlainTextResponse("done"), plain=plain, template=HOOK)


class Counted:
    """An edge, and how often it has counted what."""

    def __init__(self, folder):
        self.requests = RequestNumbers(Declarations())
        routes = [
            PublicRoute("/api/things/{id:int}", done, because="a test"),
            PublicRoute("/api/fault", fault, because="a test"),
            PublicMount("/static", StaticFiles(directory=folder), because="a test"),
        ]
        config = EdgeConfig(limits=LIMITS, is_https=False)
        aliases = {"/api/short": "/api/things"}
        self.edge = build_application(
            routes, config, aliases=aliases, direct={"/hook/": FACE}, observers=Observers(requests=self.requests)
        )
        self.client = Client(self.edge)

    @property
    def found(self):
        requests, durations = text_string_to_metric_families(self.requests.render())
        counted = {
            tuple(sample.labels[name] for name in ("method", "route", "status")): sample.value
            for sample in requests.samples
        }
        timed = {
            tuple(sample.labels[name] for name in ("method", "route", "status")): sample.value
            for sample in durations.samples
            if sample.name.endswith("_count")
        }
        assert timed == counted
        return counted


@pytest.fixture
def counted(tmp_path):
    (tmp_path / "one.css").write_text("a {}")
    return Counted(tmp_path)


async def test_a_request_counts_under_the_template_of_its_route(counted):
    for number in range(50):
        await counted.client.get(f"/api/things/{number}")
        await counted.client.get(f"/api/short/{number}")
    await counted.client.send("DELETE", "/api/things/7")
    assert counted.found == {
        ("GET", "/api/things/{id}", "2xx"): 100,
        ("DELETE", "/api/things/{id}", "4xx"): 1,
    }


async def test_addresses_that_lead_nowhere_make_one_series(counted):
    for number in range(500):
        await counted.client.get(f"/nowhere/{number}/x{number}")
    assert counted.found == {("GET", "(no route)", "4xx"): 500}


async def test_files_count_under_their_folder(counted):
    await counted.client.get("/static/one.css")
    for number in range(20):
        await counted.client.get(f"/static/{number}.css")
    assert counted.found == {("GET", "/static/{path}", "2xx"): 1, ("GET", "/static/{path}", "4xx"): 20}


async def test_what_the_edge_refuses_counts_too(counted):
    await counted.client.get("/api/things/1?" + "x" * LIMITS.url_bytes)
    await counted.client.send("POST", "/hook/t", content_length=LIMITS.bodies.hook + 1)
    counted.edge.note_refusal(503, "r", "")
    assert counted.found == {
        ("GET", "(refused)", "4xx"): 1,
        ("POST", "(refused)", "4xx"): 1,
        ("other", "(refused)", "5xx"): 1,
    }


async def test_a_fault_counts_as_one_of_ours(counted):
    await counted.client.get("/api/fault")
    assert counted.found == {("GET", "/api/fault", "5xx"): 1}


async def test_both_ways_to_a_webhook_count_alike(counted):
    await counted.client.send("POST", "/hook/long", body=b"{}")
    for path in ("/hook/short", "/hook/nowhere"):
        request = PlainRequest(path, b"", [(b"host", b"bridge.example")], b"{}")
        await counted.edge.answer_plain(request, FACE, [])
    assert counted.found == {("POST", HOOK, "2xx"): 2, ("POST", HOOK, "4xx"): 1}


async def test_who_leaves_before_the_answer_counts_as_gone(counted):
    waits = asyncio.Event()

    async def never(_request):
        waits.set()
        await asyncio.Event().wait()

    face = DirectFace(application=FACE.application, plain=never, template=HOOK)
    request = PlainRequest("/hook/t", b"", [(b"host", b"bridge.example")], b"{}")
    asking = asyncio.ensure_future(counted.edge.answer_plain(request, face, []))
    await waits.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert counted.found == {("POST", HOOK, "gone"): 1}
