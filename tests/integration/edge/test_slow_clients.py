"""Clients that take their time, over real sockets: none holds a connection for long, and the others notice nothing.

(F-64)
"""

import asyncio
import contextlib
import errno
import json
import socket
from dataclasses import replace

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from make_bridge.cli.serving import Server
from make_bridge.faces.edge import connections
from make_bridge.faces.edge.access import PublicRoute
from make_bridge.faces.edge.application import build_application
from make_bridge.faces.edge.config import ConnectionLimits, EdgeConfig
from make_bridge.faces.edge.connections import protocol_of, watch
from make_bridge.faces.edge.pipeline import DirectFace
from make_bridge.kernel.errors import InvalidInput
from support.edge import LIMITS
from support.slow_line import slow_line

PATIENCE = 20.0
LARGE = 16 * 1024 * 1024
SERVED: list[str] = []
GET = b"GET /api/a HTTP/1.1\r\nHost: bridge.example\r\n"
POST = b"POST /hook/t HTTP/1.1\r\nHost: bridge.example\r\nContent-Length: 10\r\n\r\n"


async def echo(request):
    return PlainTextResponse(await request.body() or b"nothing")


async def plain(request):
    """Answer the short way, as webhooks are."""
    return 200, [(b"content-type", b"text/plain")], request.body


def hook_application(endpoint):
    async def application(scope, receive, send):
        await (await endpoint(Request(scope, receive)))(scope, receive, send)

    return application


async def hasty(request):
    """Answer without a look at the body."""
    return PlainTextResponse(b"done")


async def large(request):
    """Answer far more than sockets hold."""
    SERVED.append(request.url.path)
    return PlainTextResponse(b"x" * LARGE)


@contextlib.asynccontextmanager
async def serving(
    hook=echo,
    *,
    body_seconds=30.0,
    head_seconds=30.0,
    idle_seconds=65.0,
    head_bytes=40_960,
    most=100,
    write_seconds=30.0,
):
    """Serve on a port of its own as the product does; only the watch looks more often."""
    routes = [
        PublicRoute(path, endpoint, because="a test", methods=("GET", "POST"))
        for path, endpoint in (("/api/a", echo), ("/api/hasty", hasty), ("/api/large", large))
    ]
    edge = EdgeConfig(limits=replace(LIMITS, body_seconds=body_seconds), is_https=False)
    direct = {"/hook/": DirectFace(application=hook_application(hook), plain=plain, template="/hook/{token}")}
    app = build_application(routes, edge, direct=direct)
    limits = ConnectionLimits(
        head_seconds=head_seconds, idle_seconds=idle_seconds, write_seconds=write_seconds, head_bytes=head_bytes,
        most=most,
    )  # fmt: skip
    config = uvicorn.Config(
        app, http=protocol_of(limits), lifespan="off", log_config=None, proxy_headers=False, access_log=False,
        timeout_graceful_shutdown=1, timeout_keep_alive=65,
    )  # fmt: skip
    server = Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = asyncio.create_task(server.serve(sockets=[listener]))
        watching = asyncio.create_task(watch(server.server_state.connections, every=0.02))
        try:
            yield listener.getsockname()[1]
        finally:
            server.end()
            watching.cancel()
            await running


def socket_that_reads_nothing(port):
    """Ask for more than the sockets hold, with a small buffer of its own, and read nothing of it."""
    lazy = socket.socket()
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.connect(("127.0.0.1", port))
    lazy.sendall(GET.replace(b"/api/a", b"/api/large") + b"\r\n")
    return lazy


@contextlib.asynccontextmanager
async def connected(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def rest_of(reader):
    """Read up to the end of the connection, however it ends."""
    async with asyncio.timeout(PATIENCE):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def answer_of(reader):
    """Read one answer: its status, headers and body."""
    async with asyncio.timeout(PATIENCE):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), headers, body


async def asked(reader, writer, head=GET):
    writer.write(head + b"\r\n")
    return await answer_of(reader)


def told_of(raw):
    """Read a refusal that came raw and hold it against the shape of all refusals."""
    head, _, body = raw.partition(b"\r\n\r\n")
    told = json.loads(body)
    assert set(told) == {"detail", "message", "code", "requestId"}
    lines = head.decode().lower().split("\r\n")
    assert {"content-type: application/json", "connection: close", "x-content-type-options: nosniff"} <= set(lines)
    assert f"x-request-id: {told['requestId']}" in lines
    return int(head.split()[1]), told["code"]


@pytest.mark.attack("C20")
@pytest.mark.parametrize("first", [b"", b"\r\n", b"G", GET, GET + b"X-Slow: a"])
async def test_a_head_that_does_not_come_ends_the_connection(first):
    async with serving(head_seconds=0.2) as port, connected(port) as (reader, writer):
        writer.write(first)
        assert await rest_of(reader) == b""


@pytest.mark.attack("C20")
async def test_a_head_that_drips_ends_too_and_nobody_else_notices():
    async with serving(head_seconds=0.2) as port, connected(port) as (reader, writer):

        async def drip():
            # uvloop says RuntimeError of a connection that was closed between two writes.
            with contextlib.suppress(ConnectionError, RuntimeError):
                for octet in GET + b"X-Slow: " + b"a" * 10_000:
                    writer.write(bytes([octet]))
                    await writer.drain()
                    async with connected(port) as other:
                        answers.append((await asked(*other))[0])

        answers: list[int] = []
        dripping = asyncio.create_task(drip())
        assert await rest_of(reader) == b""
        await dripping
        assert set(answers) == {200}


async def test_a_connection_is_kept_between_requests_and_not_for_ever():
    async with serving(head_seconds=0.1, idle_seconds=0.5) as port, connected(port) as (reader, writer):
        for _ in range(3):
            assert (await asked(reader, writer))[0] == 200
        # A second head that drips is no sign of life.
        writer.write(GET)
        assert await rest_of(reader) == b""


@pytest.mark.attack("C20")
async def test_a_body_that_stays_away_is_answered_and_the_connection_ends():
    arrived, refused = asyncio.Event(), asyncio.Event()

    async def reading(request):
        arrived.set()
        try:
            return await echo(request)
        except InvalidInput:
            refused.set()
            raise

    async with serving(reading, body_seconds=0.2) as port:
        with slow_line(port) as line:
            async with connected(line.port) as (reader, writer):
                writer.write(POST + b"half")
                async with asyncio.timeout(PATIENCE):
                    await arrived.wait()
                    line.freeze()
                    writer.write(b" more!")
                    await refused.wait()
                line.thaw()
                assert told_of(await rest_of(reader)) == (408, "request_timeout")


async def test_a_body_that_nobody_reads_does_not_keep_the_connection():
    async with serving(head_seconds=0.1, idle_seconds=0.1) as port, connected(port) as (reader, writer):
        writer.write(POST.replace(b"/hook/t", b"/api/hasty"))
        assert (await answer_of(reader))[0] == 200
        writer.write(b"x")
        assert await rest_of(reader) == b""


ENDLESS = {
    "value": GET + b"X-Long: ",
    "lines": GET + b"X-Many: a\r\n",
    "address": b"GET /",
    "trailer": POST.replace(b"Content-Length: 10", b"Transfer-Encoding: chunked") + b"0\r\nX-Trailer: ",
}


async def test_many_short_requests_are_no_endless_head_and_no_idle_connection():
    body = b"a" * 5000
    whole = POST.replace(b"Content-Length: 10", b"Content-Length: 5000") + body
    async with serving(head_seconds=0.1, idle_seconds=0.3) as port, connected(port) as (reader, writer):
        end = asyncio.get_running_loop().time() + 1.0
        while asyncio.get_running_loop().time() < end:
            writer.write(whole)
            assert (await answer_of(reader))[2] == body
        assert await rest_of(reader) == b""


async def test_what_waits_behind_a_short_request_is_no_endless_head():
    body = b"a" * 5000
    whole = POST.replace(b"Content-Length: 10", b"Content-Length: 5000") + body
    async with serving() as port, connected(port) as (reader, writer):
        writer.write(whole)
        for _ in range(20):
            writer.write(whole)
        for _ in range(21):
            assert (await answer_of(reader))[2] == body


@pytest.mark.parametrize("kind", ENDLESS)
async def test_a_head_without_an_end_is_not_kept(kind):
    async with serving() as port, connected(port) as (reader, writer):
        writer.write(ENDLESS[kind])
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                writer.write(b"x-more: a\r\n" * 100 if kind == "lines" else b"a" * 1000)
                await writer.drain()
        raw = await rest_of(reader)
        assert not raw or told_of(raw) == (431, "headers_too_large")


async def test_a_body_in_small_pieces_is_no_endless_head():
    async with serving() as port, connected(port) as (reader, writer):
        writer.write(POST.replace(b"Content-Length: 10", b"Transfer-Encoding: chunked"))
        writer.write(b"4\r\nabcd\r\n" * 50_000 + b"0\r\n\r\n")
        status, _, body = await answer_of(reader)
        assert (status, len(body)) == (200, 200_000)


async def test_what_is_no_request_is_told_so_in_the_shape_of_refusals():
    async with serving() as port, connected(port) as (reader, writer):
        writer.write(b"HELO bridge.example\r\n\r\n")
        assert told_of(await rest_of(reader)) == (400, "malformed_request")


@pytest.mark.attack("C20")
async def test_one_connection_too_many_is_turned_away_and_the_others_stay():
    async with (
        serving(most=2) as port,
        connected(port) as first,
        connected(port) as second,
    ):
        assert [(await asked(*pair))[0] for pair in (first, second)] == [200, 200]
        async with connected(port) as (reader, _):
            assert told_of(await rest_of(reader)) == (503, "too_many_connections")
        assert [(await asked(*pair))[0] for pair in (first, second)] == [200, 200]


def is_cut(lazy):
    """Say whether the connection was broken from the other side."""
    return lazy.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET


async def until_cut(lazy):
    async with asyncio.timeout(PATIENCE):
        while not is_cut(lazy):  # noqa: ASYNC110 - a plain socket, which no loop watches
            await asyncio.sleep(0.02)


async def test_c20_a_client_that_does_not_read_its_answer_is_cut_off_and_holds_nothing(monkeypatch):
    monkeypatch.setattr(connections, "_SLOWEST_BYTES_PER_SECOND", LARGE * 2)
    async with serving(write_seconds=0.3) as port, connected(port) as beside:
        with contextlib.closing(socket_that_reads_nothing(port)) as lazy:
            await until_cut(lazy)
        # Who reads is served meanwhile and after, on a connection that was there before.
        assert (await asked(*beside))[0] == 200


async def test_c20_who_asks_again_and_again_and_reads_nothing_is_answered_once():
    async with serving(write_seconds=30.0) as port:
        with contextlib.closing(socket_that_reads_nothing(port)) as lazy:
            lazy.setblocking(False)
            served = len(SERVED)
            with contextlib.suppress(BlockingIOError):
                for _ in range(200):
                    lazy.send(GET.replace(b"/api/a", b"/api/large") + b"\r\n")
            await asyncio.sleep(0.5)
            assert len(SERVED) - served <= 2


async def test_c20_a_large_answer_that_is_read_slowly_enough_arrives_whole():
    async with serving(write_seconds=0.5) as port, connected(port) as (reader, writer):
        writer.write(GET.replace(b"/api/a", b"/api/large") + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head
        read = 0
        while read < LARGE:
            read += len(await reader.readexactly(min(LARGE - read, 1 << 20)))
            await asyncio.sleep(0.06)


@pytest.mark.parametrize("target", ["http://evil.example/api/a", "http://evil.example", "http://bridge.example@evil/x"])
async def test_c15_an_address_that_names_another_host_than_the_header_is_refused(target):
    async with serving() as port, connected(port) as (reader, writer):
        writer.write(GET.replace(b"/api/a", target.encode()) + b"\r\n")
        assert told_of(await rest_of(reader)) == (400, "invalid_host")


async def test_c15_an_address_in_the_form_for_proxies_that_names_the_same_host_is_taken():
    async with serving() as port, connected(port) as (reader, writer):
        assert (await asked(reader, writer, GET.replace(b"/api/a", b"http://bridge.example/api/a")))[0] == 200
        assert (await asked(reader, writer))[0] == 200
