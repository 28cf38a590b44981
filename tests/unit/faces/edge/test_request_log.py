"""The request log tells of what failed, was slow, or was asked for; by the route, never by the address as it came."""

import asyncio
import json

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from structlog.testing import capture_logs

from make_bridge.faces.edge.access import PublicRoute
from make_bridge.faces.edge.addresses import Addresses
from make_bridge.faces.edge.application import build_application
from make_bridge.faces.edge.config import EdgeConfig
from make_bridge.faces.edge.pipeline import DirectFace
from make_bridge.faces.edge.plain_http import PlainRequest
from make_bridge.faces.edge.request_log import Answered, RequestLog, RequestLogConfig
from make_bridge.kernel.errors import NotFound
from make_bridge.platform.observability.logs import make_harmless
from make_bridge.platform.observability.sinks.outlet import line_of
from support.asgi import Client
from support.edge import LIMITS

SECRET = "hunter2hunter2hunter2"


async def done(_request):
    structlog.contextvars.bind_contextvars(organization_id=7)
    return PlainTextResponse("done")


async def fault(_request):
    raise RuntimeError("nobody foresaw it")


async def refusal(_request):
    raise NotFound("There is nothing.")


async def slow(_request):
    await asyncio.sleep(0.1)
    return PlainTextResponse("done")


async def plain(request):
    structlog.contextvars.bind_contextvars(organization_id=7)
    if request.path == "/hook/nowhere":
        raise NotFound("There is nothing.")
    if request.path == "/hook/fault":
        raise RuntimeError("nobody foresaw it")
    return 200, [], b"done"


def edge_of(kinds="errors", slow_seconds=5.0):
    routes = [
        PublicRoute("/api/things/{id}", done, because="a test"),
        PublicRoute("/api/faults/{id}", fault, because="a test"),
        PublicRoute("/api/refusals/{id}", refusal, because="a test"),
        PublicRoute("/api/slow/{id}", slow, because="a test"),
    ]
    log = RequestLogConfig(kinds=kinds, slow_seconds=slow_seconds)
    face = DirectFace(application=PlainTextResponse("done"), plain=plain, template="/hook/{token}")
    config = EdgeConfig(limits=LIMITS, is_https=False, request_log=log)
    return build_application(routes, config, direct={"/hook/": face})


async def told_of(path, *, headers=(), **changed):
    """Ask, and return what the request log says of it, as far as it is the log's own."""
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await Client(edge_of(**changed)).get(path, headers=list(headers))
    return [entry for entry in logs if entry["event"] == "request"]


async def told_of_plain(path, headers=(), **changed):
    edge = edge_of(**changed)
    request = PlainRequest(path, b"a=1", [(b"host", b"bridge.example"), *headers], b"body")
    face = edge.takes_plain(path)
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await edge.answer_plain(request, face, [], "192.0.2.7")
    return [entry for entry in logs if entry["event"] == "request"]


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ("off", []),
        ("errors", ["faults"]),
        ("refusals", ["faults", "refusals"]),
        ("all", ["faults", "refusals", "things"]),
    ],
)
async def test_the_setting_says_of_which_answers_there_is_a_line(kinds, told):
    found = {name: await told_of(f"/api/{name}/1", kinds=kinds) for name in ("faults", "refusals", "things")}
    assert [name for name, lines in found.items() if lines] == told
    assert all(len(lines) <= 1 for lines in found.values())


@pytest.mark.parametrize(("kinds", "told"), [("off", 0), ("errors", 1), ("all", 1)])
async def test_what_is_slow_has_a_line_unless_there_are_none(kinds, told):
    lines = await told_of("/api/slow/1", kinds=kinds, slow_seconds=0.05)
    assert len(lines) == told
    assert all(line["slow"] and line["log_level"] == "warning" and line["milliseconds"] >= 50 for line in lines)
    assert await told_of("/api/slow/1", kinds="errors", slow_seconds=0) == []


async def test_a_line_tells_the_route_the_tenant_and_the_request_and_nothing_of_the_address():
    [line] = await told_of(f"/api/things/{SECRET}?token={SECRET}", kinds="all")
    assert line["route"] == "/api/things/{id}"
    assert (line["method"], line["status"], line["sent_bytes"], line["organization_id"]) == ("GET", 200, 4, 7)
    assert len(line["request_id"]) == 32
    assert SECRET not in repr(line)


async def test_headers_are_told_from_a_short_list():
    given = [(b"user-agent", b"probe/1"), (b"authorization", SECRET.encode()), (b"x-make-apikey", SECRET.encode()),
             (b"cookie", SECRET.encode()), (b"x-request-id", b"client-1"), (b"x-own", SECRET.encode())]  # fmt: skip
    texts = [(name.decode(), value.decode()) for name, value in given]
    [line] = await told_of("/api/things/1", headers=texts, kinds="all")
    assert line["headers"] == {"user-agent": "probe/1", "x-request-id": "client-1", "content-length": "0"}
    [line] = await told_of_plain("/hook/x", given, kinds="all")
    assert line["headers"] == {"user-agent": "probe/1", "x-request-id": "client-1"}


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [("/hook/x", 200, "all"), ("/hook/nowhere", 404, "refusals"), ("/hook/fault", 500, "errors")],
)
async def test_the_short_way_has_the_same_line(path, status, told):
    [line] = await told_of_plain(path, kinds=told)
    assert (line["route"], line["status"], line["method"]) == ("/hook/{token}", status, "POST")
    assert (line["received_bytes"], line["address"], line["organization_id"]) == (4, "192.0.2.7", 7)
    assert line["sent_bytes"] > 0
    assert "nowhere" not in repr(line)
    fewer = {"all": "refusals", "refusals": "errors", "errors": "off"}[told]
    assert await told_of_plain(path, kinds=fewer) == []


@pytest.mark.parametrize(
    ("path", "route"),
    [("/nowhere", "(no route)"), ("/" + "x" * 10_000, "(refused)"), ("/hook/" + "x" * 300, "/hook/{token}")],
)
async def test_addresses_that_no_route_knows_share_a_name(path, route):
    [line] = await told_of(path, kinds="all")
    assert line["route"] == route


async def test_nothing_of_a_request_is_said_of_the_next_one_on_its_connection():
    edge = edge_of("all")
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
        await Client(edge).get("/api/things/1")
        await Client(edge).get("/nowhere")
    first, second = [entry for entry in logs if entry["event"] == "request"]
    assert first["organization_id"] == 7
    assert "organization_id" not in second
    assert first["request_id"] != second["request_id"]


LATIN = st.characters(max_codepoint=255)
HOSTILE = st.text(st.sampled_from('ab\r\n\x1b\x9b\x00\x7f\u2028\u202e{}"\\%')) | st.text(
    st.characters(max_codepoint=255)
)


@given(HOSTILE, HOSTILE, st.integers(0, 599))
def test_whatever_a_client_sends_is_one_line_that_says_what_happened(method, agent, status):
    log = RequestLog(RequestLogConfig(kinds="all"), Addresses())
    answered = Answered(
        method=method, template="/hook/{token}", status=status, seconds=0.1, received=1, sent=2,
        headers=[(b"user-agent", agent.encode("latin-1", "replace"))], peer="192.0.2.7",
    )  # fmt: skip
    with capture_logs() as logs:
        log.note(answered)
    [entry] = logs
    raw = line_of(make_harmless(None, "", dict(entry)), "node")
    assert b"\n" not in raw
    told = json.loads(raw)
    assert (told["status"], told["route"]) == (status or 499, "/hook/{token}")
    assert not [sign for sign in raw.decode() if ord(sign) < 32 or 0x7F <= ord(sign) < 0xA0]


def test_errors_are_errors_in_the_log():
    log = RequestLog(RequestLogConfig(kinds="all"), Addresses())
    for status, level in ((200, "info"), (404, "info"), (500, "error"), (0, "info")):
        answered = Answered(
            method="GET", template="/", status=status, seconds=0.0, received=0, sent=0, headers=[], peer=""
        )
        with capture_logs() as logs:
            log.note(answered)
        assert [entry["log_level"] for entry in logs] == [level]
