"""The edge: what no request gets past, and what every answer carries."""

import asyncio
import itertools
import re
from dataclasses import replace

import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from structlog.testing import capture_logs

from make_bridge.faces.edge import pipeline
from make_bridge.faces.edge.access import PublicMount, PublicRoute
from make_bridge.kernel.errors import ConfigurationError, Conflict, LimitExceeded, NotFound, Unavailable
from support.edge import LIMITS, client_of

MEMBERS = {"detail", "message", "code", "requestId"}
MB = 1024 * 1024


async def echo(request):
    body = await request.body()
    return JSONResponse(
        {
            "path": request.url.path,
            "size": len(body),
            "headers": [list(pair) for pair in request.headers.items()],
            "requestId": request.state.request_id,
            "clientId": request.state.client_request_id,
        }
    )


def raising(error):
    async def endpoint(request):
        raise error

    return endpoint


def public(path, endpoint, methods=("GET", "POST")):
    return PublicRoute(path, endpoint, because="a test", methods=methods)


@pytest.fixture
def client():
    paths = ("/api/things", "/api/things/{id}", "/hook/{token}", "/flow/{id}", "/elsewhere")
    return client_of([public(path, echo) for path in paths], aliases={"/api/short": "/api/things"})


def problem(answer, status, code):
    """Hold an answer against the shape of every refusal."""
    assert answer.status == status, answer.body
    assert answer.header("content-type") == "application/json"
    told = answer.json()
    assert set(told) - {"fields"} == MEMBERS
    assert told["code"] == code
    assert told["requestId"] == answer.header("x-request-id")
    assert told["detail"].endswith(".")
    return told


async def test_every_request_gets_an_id_of_our_own(client):
    first, second = await client.get("/api/things"), await client.get("/api/things")
    assert re.fullmatch(r"[0-9a-f]{32}", first.header("x-request-id"))
    assert first.header("x-request-id") == first.json()["requestId"]
    assert first.header("x-request-id") != second.header("x-request-id")


@pytest.mark.attack("H08")
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("abc-123", "abc-123"),
        ("a" * 64, "a" * 64),
        ("a" * 65, None),
        ("a\x1b[2J", None),
        ("${jndi:x}", None),
        ("", None),
    ],
)
async def test_the_client_s_id_is_kept_apart_and_only_when_it_is_harmless(client, sent, kept):
    answer = await client.get("/api/things", headers=[("X-Request-Id", sent)])
    assert answer.json()["clientId"] == kept
    assert answer.header("x-request-id") != sent


async def test_a_path_that_leads_nowhere_is_a_problem_and_not_a_page(client):
    problem(await client.get("/nowhere"), 404, "not_found")


async def test_a_method_an_address_does_not_take_is_told_with_those_it_takes():
    routes = [public("/api/a", echo, ["GET"]), public("/api/a", echo, ["PUT"]), public("/api/a", echo, ["DELETE"])]
    client = client_of(routes)
    for method in ("POST", "TRACE", "PROPFIND"):
        answer = await client.send(method, "/api/a/")
        problem(answer, 405, "method_not_allowed")
        assert answer.header("allow") == "DELETE, GET, HEAD, PUT"


@pytest.mark.attack("C22")
async def test_a_method_in_a_header_overrides_nothing():
    client = client_of([public("/api/a", echo, ["GET"])])
    answer = await client.send("GET", "/api/a", headers=[("X-HTTP-Method-Override", "DELETE")])
    assert "x-http-method-override" not in dict(answer.json()["headers"])


@pytest.mark.parametrize("path", ["/api/things", "/api/things/", "/api/short", "/api/short/"])
async def test_api_addresses_work_with_and_without_a_slash_and_under_short_names(client, path):
    answer = await client.get(path)
    assert (answer.status, answer.json()["path"]) == (200, "/api/things")


async def test_a_short_name_stands_for_what_lies_below_it_and_for_nothing_that_only_looks_like_it(client):
    assert (await client.get("/api/short/7/")).json()["path"] == "/api/things/7"
    assert (await client.get("/api/shorts")).status == 404


@pytest.mark.parametrize("path", ["/api/things//", "/api//things", "//api/things", "/api/things/%2e%2e/x"])
async def test_no_answer_is_a_redirect(client, path):
    assert (await client.get(path)).status == 404


async def test_identity_claims_of_the_client_do_not_come_through(client):
    claims = ["X-User-Id", "X_User_Id", "X-Team-ID", "X-Forwarded-User", "X-Make-Team-ID", "Remote-User", "X-Roles"]
    ours = ["X-Make-Bridge-Context"]
    answer = await client.get("/api/things", headers=[(name, "1") for name in (*claims, *ours, "X-Other")])
    assert {name for name, _ in answer.json()["headers"]} == {"host", "content-length", "x-other"}


async def test_a_webhook_keeps_its_caller_s_headers_except_ours(client):
    answer = await client.post("/hook/t", headers=[("X-User-Id", "7"), ("X-Make-Bridge-Context", "1")])
    assert {name for name, _ in answer.json()["headers"]} == {"host", "content-length", "x-user-id"}


# --- size and shape


async def test_an_address_up_to_the_limit_passes_and_a_longer_one_does_not(client):
    room = LIMITS.url_bytes - len("/api/thingsq=")
    assert (await client.get("/api/things?q=" + "a" * room)).status == 200
    problem(await client.get("/api/things?q=" + "a" * (room + 1)), 414, "url_too_long")


async def test_headers_are_measured_together(client):
    many = [(f"x-h{number}", "v" * 100) for number in range(400)]
    problem(await client.get("/api/things", headers=many), 431, "headers_too_large")
    assert (await client.get("/api/things", headers=many[:200])).status == 200


@pytest.mark.attack("C15")
@pytest.mark.parametrize(
    "headers",
    [
        [("Host", "a.example"), ("Host", "b.example")],
        [("Host", "a.example/b")],
        [("Host", "a@b.example")],
        [("Host", "")],
        [("Host", "a.example\x00")],
    ],
)
async def test_a_host_that_is_none_is_refused(client, headers):
    problem(await client.get("/api/things", headers=headers), 400, "invalid_host")


@pytest.mark.parametrize("host", ["bridge.example:8080", "[::1]:8080", "127.0.0.1", "my_host"])
async def test_hosts_of_all_kinds_pass(client, host):
    assert (await client.get("/api/things", headers=[("Host", host)])).status == 200


@pytest.mark.parametrize("length", ["1e9", "-1", "+5", "0x10", "", "9" * 30])
async def test_a_length_that_is_no_number_is_refused(client, length):
    answer = await client.post("/api/things", headers=[("Content-Length", length)], content_length=None)
    problem(answer, 400, "invalid_length")


async def test_a_body_with_two_lengths_is_refused(client):
    for second in (("Content-Length", "0"), ("Transfer-Encoding", "chunked")):
        problem(await client.post("/api/things", headers=[second]), 400, "invalid_length")


async def test_a_body_that_announces_too_much_is_refused_unread(client):
    answer = await client.post("/hook/t", content_length=6 * MB)
    problem(answer, 413, "too_large")
    assert answer.taken == 0
    assert answer.header("connection") == "close"


@pytest.mark.parametrize("announced", [None, 10])
async def test_a_body_that_lies_about_its_length_is_cut_off_at_the_limit(client, announced):
    endless = itertools.repeat(b"x" * 65536)
    answer = await client.post("/hook/t", body=endless, content_length=announced)
    problem(answer, 413, "too_large")
    assert answer.taken <= LIMITS.bodies.hook + 65536
    assert answer.header("connection") == "close"


async def test_a_refused_client_may_finish_what_it_sends_within_bounds(client):
    ten = [b"x" * MB] * 10
    answer = await client.post("/hook/t", body=ten, content_length=10 * MB)
    assert (answer.status, answer.taken, answer.thrown_away) == (413, 0, 10 * MB)
    endless = await client.post("/hook/t", body=itertools.repeat(b"x" * MB))
    assert (endless.status, endless.thrown_away) == (413, 32 * MB)


async def test_a_refused_client_that_sends_no_more_is_not_waited_for_long(client, monkeypatch):
    monkeypatch.setattr(pipeline, "_LINGER_SECONDS", 0.01)
    never = asyncio.Event()

    async def stalling():
        yield b"x"
        await never.wait()

    answer = await client.post("/hook/t", body=stalling(), content_length=10 * MB)
    assert answer.status == 413


@pytest.mark.parametrize("target", ["/hook/t", "/api/things", "/flow/1"])
@pytest.mark.parametrize("announced", [None, 3])
async def test_a_body_that_takes_too_long_is_refused(target, announced, monkeypatch):
    monkeypatch.setattr(pipeline, "_LINGER_SECONDS", 0.01)
    paths = ("/api/things", "/hook/{token}", "/flow/{id}")
    client = client_of([public(path, echo) for path in paths], limits=replace(LIMITS, body_seconds=0.02))
    never = asyncio.Event()

    async def dripping():
        yield b"x"
        await never.wait()

    answer = await client.post(target, body=dripping(), content_length=announced)
    problem(answer, 408, "request_timeout")
    assert answer.header("connection") == "close"


async def test_pieces_do_not_put_the_deadline_of_a_body_off(monkeypatch):
    monkeypatch.setattr(pipeline, "_LINGER_SECONDS", 0.01)
    client = client_of([public("/hook/{token}", echo)], limits=replace(LIMITS, body_seconds=0.05))
    tick = asyncio.Event()

    async def steadily():
        while True:
            tick.clear()
            asyncio.get_running_loop().call_later(0.005, tick.set)
            await tick.wait()
            yield b"x"

    async with asyncio.timeout(5):
        problem(await client.post("/hook/t", body=steadily()), 408, "request_timeout")


async def test_who_waits_for_the_client_to_leave_has_no_deadline():
    left = asyncio.Event()

    async def waits(scope, receive, send):
        message = await receive()
        while message.get("more_body"):
            message = await receive()
        left.set() if (await receive())["type"] == "http.disconnect" else None
        await Response(b"done")(scope, receive, send)

    client = client_of([PublicMount("/api", waits, because="a test")], limits=replace(LIMITS, body_seconds=1e-9))
    assert (await client.get("/api/a")).status == 200
    assert left.is_set()


async def test_a_body_of_exactly_the_limit_passes(client):
    answer = await client.post("/hook/t", body=b"x" * LIMITS.bodies.hook)
    assert answer.json()["size"] == LIMITS.bodies.hook
    assert answer.header("connection") is None


async def test_each_surface_has_its_own_largest_body(client):
    body = b"x" * (4 * MB + 1)
    assert (await client.post("/api/things", body=body)).status == 413
    assert (await client.post("/elsewhere", body=b"x" * (MB + 1))).status == 413


async def test_a_post_without_body_and_content_type_is_legal(client):
    assert (await client.post("/api/things", content_length=None)).json()["size"] == 0


# --- errors


@pytest.mark.parametrize(
    ("error", "status", "code", "header"),
    [
        (NotFound("There is no such thing."), 404, "not_found", None),
        (Conflict("It is busy.", code="busy"), 409, "busy", None),
        (LimitExceeded(retry_after=2.2), 429, "limit_exceeded", ("retry-after", "3")),
        (Unavailable(retry_after=0), 503, "unavailable", ("retry-after", "1")),
    ],
)
async def test_an_error_of_the_domain_becomes_its_problem(error, status, code, header):
    answer = await client_of([public("/api/a", raising(error))]).get("/api/a")
    assert problem(answer, status, code)["detail"] == error.message
    if header:
        assert answer.header(header[0]) == header[1]


@pytest.mark.parametrize(
    "error", [RuntimeError("password=hunter2"), ConfigurationError("hunter2 is missing."), KeyError("hunter2")]
)
async def test_an_unforeseen_error_is_logged_and_tells_nothing(error):
    with capture_logs() as logs:
        answer = await client_of([public("/api/a", raising(error))]).get("/api/a")
    problem(answer, 500, "internal_error")
    assert b"hunter2" not in answer.body
    assert [entry["event"] for entry in logs] == ["request_failed", "request"]
    assert logs[0]["exc_info"] is error


async def test_an_error_amid_an_answer_breaks_the_connection():
    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError

    client = client_of([PublicMount("/api", half, because="a test")])
    with pytest.raises(RuntimeError), capture_logs():
        await client.get("/api/a")


async def test_a_client_that_left_is_no_fault_of_ours():
    async def left(request):
        raise ClientDisconnect

    with capture_logs() as logs:
        await client_of([public("/api/a", left)]).post("/api/a")
    assert logs == []


# --- headers of the answer


@pytest.mark.attack("B16")
async def test_an_api_answer_can_do_nothing_in_a_browser_and_is_kept_nowhere(client):
    answer = await client.get("/api/things")
    assert "default-src 'none'" in answer.header("content-security-policy")
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("cache-control") == "no-store"
    assert answer.header("referrer-policy") == "no-referrer"
    assert answer.header("access-control-allow-origin") is None
    assert answer.header("strict-transport-security") is None


async def test_a_refusal_carries_the_same_headers(client):
    assert (await client.get("/api/nowhere")).header("content-security-policy") is not None


@pytest.mark.attack("D14")
async def test_a_scenario_s_own_answer_cannot_lift_the_sandbox():
    async def page(request):
        return HTMLResponse("<script>1</script>", headers={"Content-Security-Policy": "", "X-Request-Id": "theirs"})

    answer = await client_of([public("/hook/t", page)]).get("/hook/t")
    assert answer.header("content-security-policy").startswith("sandbox; default-src 'none'")
    assert re.fullmatch(r"[0-9a-f]{32}", answer.header("x-request-id"))


async def test_a_page_sets_its_own_policy_and_one_that_forgets_is_closed():
    async def page(request):
        return HTMLResponse("", headers={"Content-Security-Policy": "frame-ancestors https://acme.example"})

    async def forgetful(request):
        return HTMLResponse("")

    client = client_of([public("/flow/a", page), public("/flow/b", forgetful), public("/demo", page)])
    own, closed = await client.get("/flow/a"), await client.get("/flow/b")
    assert own.header("content-security-policy") == "frame-ancestors https://acme.example"
    assert "frame-ancestors 'none'" in closed.header("content-security-policy")
    assert own.header("x-frame-options") is None
    assert own.header("cross-origin-opener-policy") == "unsafe-none", "as a pop-up it keeps its opener"
    assert (await client.get("/demo")).header("cross-origin-opener-policy") == "same-origin-allow-popups"


async def test_the_widget_s_script_loads_on_any_site(tmp_path):
    (tmp_path / "portal.js").write_text("1")
    client = client_of([PublicMount("/portal/static", StaticFiles(directory=tmp_path), because="a test")])
    answer = await client.get("/portal/static/portal.js")
    assert answer.status == 200
    assert answer.header("access-control-allow-origin") == "*"
    assert answer.header("cross-origin-resource-policy") == "cross-origin"
    problem(await client.get("/portal/static/none.js"), 404, "not_found")
    assert (await client.post("/portal/static/portal.js")).header("allow") == "GET, HEAD"


@pytest.mark.attack("C25")
async def test_browsers_are_told_to_stay_on_https_only_where_we_are_on_https(client):
    async def fine(request):
        return PlainTextResponse("")

    answer = await client_of([public("/api/a", fine)], is_https=True).get("/api/a")
    assert answer.header("strict-transport-security") == "max-age=31536000"


async def test_a_policy_is_sent_once_for_each_header(client):
    for path in ("/api/things", "/hook/t", "/flow/x", "/elsewhere", "/nowhere"):
        names = [name for name, _ in (await client.get(path)).headers]
        assert len(names) == len(set(names)), path


async def test_a_response_without_a_body_keeps_its_status():
    async def empty(request):
        return Response(status_code=204)

    assert (await client_of([public("/api/a", empty)]).get("/api/a")).status == 204
