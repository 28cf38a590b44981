"""The short way of a plain POST: over real sockets, compared with the long way for the same bytes.

One face answers both ways with what it was given, so that any difference between the two readings of a
request, or between the two answers, shows.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from make_bridge.faces.edge.application import build_application
from make_bridge.faces.edge.config import EdgeConfig
from make_bridge.faces.edge.pipeline import DirectFace
from make_bridge.faces.edge.plain_http import PlainRequest, read_plain
from make_bridge.faces.edge.protocol import BridgeHttpProtocol
from make_bridge.faces.edge.request_head import RawHeaders
from make_bridge.kernel.errors import NotFound
from support.edge import LIMITS

PATIENCE = 10.0


class Echo:
    """A face that tells what it got, and which way it came."""

    def __init__(self) -> None:
        self.short = 0
        self.long = 0
        self.gate: asyncio.Event | None = None
        self.entered = asyncio.Event()
        self.extra: RawHeaders = []
        self.status = 200

    def face(self) -> DirectFace:
        return DirectFace(application=self._application, plain=self._plain, template="/hook/{token}")

    async def _plain(self, request: PlainRequest) -> tuple[int, RawHeaders, bytes]:
        self.short += 1
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if request.path == "/hook/nowhere":
            message = "There is nothing."
            raise NotFound(message)
        told = _told(request.path, request.query, request.headers, request.body)
        return self.status, [(b"content-type", b"application/json"), *self.extra], told

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.long += 1
        request = Request(scope, receive)
        body = await request.body()
        if scope["path"] == "/hook/nowhere":
            message = "There is nothing."
            raise NotFound(message)
        told = _told(scope["path"], scope["query_string"], request.headers.raw, body)
        response = Response(told, status_code=self.status, media_type="application/json")
        await response(scope, receive, send)


def _told(path: str, query: bytes, headers: RawHeaders, body: bytes) -> bytes:
    pairs = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]
    return json.dumps([path, query.decode("latin-1"), pairs, body.decode("latin-1")]).encode()


class Line:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
            return int(first.split(" ")[1]), headers, body

    async def ends(self) -> bool:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read() == b""


@asynccontextmanager
async def served(echo: Echo, **settings: Any) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    app = build_application([], EdgeConfig(limits=LIMITS, is_https=False), direct={"/hook/": echo.face()})
    config = uvicorn.Config(
        app,
        http=BridgeHttpProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        **settings,
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    await server.on_tick(0)
    try:
        yield server, listener.getsockname()[1]
    finally:
        await server.shutdown(sockets=[listener])


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


def post(path: str = "/hook/abc", body: bytes = b"{}", headers: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: example.com\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + body


async def both_ways(request: bytes) -> tuple[Echo, tuple[Any, ...], tuple[Any, ...]]:
    """Send it whole, which may take the short way, and with a pause in it, which never does."""
    echo = Echo()
    async with served(echo) as (_, port):
        async with connected(port) as line:
            line.writer.write(request)
            whole = await line.answer()
        async with connected(port) as line:
            line.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.writer.write(request[:9])
            await line.writer.drain()
            await _until_read(echo, port)
            line.writer.write(request[9:])
            split = await line.answer()
    return echo, whole, split


async def _until_read(echo: Echo, port: int) -> None:
    """Another request on another connection: when it is answered, what was sent before has been read."""
    before = echo.long
    async with connected(port) as other:
        other.writer.write(b"GET /hook/other HTTP/1.1\r\nHost: example.com\r\n\r\n")
        await other.answer()
    assert echo.long == before + 1


def _comparable(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, dict[str, str], Any]:
    status, headers, body = answer
    shown = json.loads(body)
    if isinstance(shown, dict):
        assert shown.pop("requestId") == headers["x-request-id"]
    headers = {name: value for name, value in headers.items() if name not in {"x-request-id", "date"}}
    return status, headers, shown


@pytest.mark.parametrize(
    "request_",
    [
        post(),
        post(body=b""),
        post("/hook/abc?x=1&y=%20"),
        post(headers="Content-Type: application/json\r\nAuthorization: Bearer x\r\nX-Make-Bridge-Actor: me\r\n"),
        post(headers="X-Request-Id: abc\r\nUser-Agent:curl/8\r\n"),
        post("/hook/nowhere"),
        post(headers="X-Tenant-Id: 3\r\n"),
    ],
    ids=["plain", "empty", "query", "headers", "no-space", "refused", "identity"],
)
async def test_a_plain_request_is_answered_alike_both_ways(request_: bytes) -> None:
    echo, whole, split = await both_ways(request_)
    assert echo.short == 1
    assert _comparable(whole) == _comparable(split)
    assert "date" in whole[1]


@pytest.mark.parametrize(
    "request_",
    [
        post().replace(b"Content-Length: 2\r\n", b"Content-Length: 2\r\nContent-Length: 2\r\n"),
        post().replace(b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"),
        post().replace(b"Content-Length: 2\r\n", b"Content-Length : 2\r\n"),
        post().replace(b"Content-Length: 2\r\n", b"Content-Length: +2\r\n"),
        post().replace(b"HTTP/1.1", b"HTTP/1.0"),
        post().replace(b"\r\nHost", b"\nHost"),
        post(headers="X: a\r\n b\r\n"),
        post(headers="X: \x01\r\n"),
        post(headers="X: caf\xe9\r\n"),
        post(headers="Connection: close\r\n"),
        post(headers="Expect: 100-continue\r\n"),
        post(headers="X:\r\n"),
        post("/hook/%61bc"),
        post("/hook/abc#part"),
        post().replace(b"POST", b"PUT"),
        post() + b"POST",
    ],
)
def test_anything_unusual_is_not_read_here(request_: bytes) -> None:
    assert read_plain(post()) is not None
    assert read_plain(request_) is None


async def test_a_host_that_is_none_is_refused_alike() -> None:
    request = post().replace(b"Host: example.com\r\n", b"Host: a b\r\n")
    _, whole, split = await both_ways(request)
    assert whole[0] == split[0] == 400
    assert json.loads(whole[2])["code"] == "invalid_host"


async def test_requests_in_a_row_are_answered_in_their_order() -> None:
    echo = Echo()
    async with served(echo) as (_, port), connected(port) as line:
        line.writer.write(post("/hook/one"))
        assert b"/hook/one" in (await line.answer())[2]
        line.writer.write(post("/hook/two") + post("/hook/three") + post("/hook/four"))
        for name in (b"two", b"three", b"four"):
            assert name in (await line.answer())[2]
        line.writer.write(post("/hook/five"))
        assert b"/hook/five" in (await line.answer())[2]


async def test_a_request_that_comes_before_the_answer_waits_for_it() -> None:
    echo = Echo()
    echo.gate = asyncio.Event()
    async with served(echo) as (_, port), connected(port) as line:
        line.writer.write(post("/hook/one"))
        async with asyncio.timeout(PATIENCE):
            await echo.entered.wait()
        line.writer.write(post("/hook/two") + post("/hook/three", b"x" * 600_000))
        await line.writer.drain()
        echo.gate.set()
        for name in (b"one", b"two", b"three"):
            assert name in (await line.answer())[2]


async def test_a_shutdown_lets_the_answer_out_and_ends_the_connection() -> None:
    echo = Echo()
    echo.gate = asyncio.Event()
    async with served(echo) as (server, port), connected(port) as line:
        line.writer.write(post())
        async with asyncio.timeout(PATIENCE):
            await echo.entered.wait()
        for connection in list(server.server_state.connections):
            connection.shutdown()
        echo.gate.set()
        status, headers, _ = await line.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert await line.ends()


async def test_a_client_that_went_away_disturbs_nobody() -> None:
    echo = Echo()
    echo.gate = asyncio.Event()
    async with served(echo) as (server, port):
        async with connected(port) as line:
            line.writer.write(post())
            async with asyncio.timeout(PATIENCE):
                await echo.entered.wait()
            line.writer.transport.abort()
        async with connected(port) as other:
            other.writer.write(b"GET /hook/x HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await other.answer())[0] == 200
        echo.gate.set()
        async with connected(port) as other:
            other.writer.write(post())
            assert (await other.answer())[0] == 200
        assert server.server_state.total_requests >= 2


@pytest.mark.attack("D15")
@pytest.mark.parametrize(
    "header", [(b"x-bad", b"a\r\nset-cookie: b"), (b"x bad", b"a"), (b"x-bad", b"\x00")], ids=["split", "name", "nul"]
)
async def test_a_face_cannot_say_what_http_cannot(header: tuple[bytes, bytes]) -> None:
    echo = Echo()
    echo.extra = [header]
    async with served(echo) as (_, port), connected(port) as line:
        line.writer.write(post())
        status, headers, body = await line.answer()
        assert status == 500
        assert json.loads(body)["code"] == "internal_error"
        assert "set-cookie" not in headers


async def test_the_frame_is_the_servers_own() -> None:
    echo = Echo()
    echo.extra = [(b"content-length", b"1"), (b"transfer-encoding", b"chunked"), (b"x-request-id", b"mine")]
    async with served(echo) as (_, port), connected(port) as line:
        line.writer.write(post())
        status, headers, body = await line.answer()
        assert status == 200
        assert len(body) == int(headers["content-length"]) > 1
        assert "transfer-encoding" not in headers
        assert headers["x-request-id"] != "mine"


async def test_an_answer_without_a_body_has_none() -> None:
    echo = Echo()
    echo.status = 204
    async with served(echo) as (_, port), connected(port) as line:
        line.writer.write(post())
        status, headers, _ = await line.answer()
        assert status == 204
        assert "content-length" not in headers
        line.writer.write(post())
        assert (await line.answer())[0] == 204


async def test_a_body_over_the_limit_is_refused() -> None:
    echo = Echo()
    small = LIMITS.bodies.hook
    request = read_plain(post(body=b"x" * (small + 1)))
    assert request is not None
    edge = build_application([], EdgeConfig(limits=LIMITS, is_https=False), direct={"/hook/": echo.face()})
    take = edge.takes_plain(request.path)
    assert take is not None
    assert (await edge.answer_plain(request, take, [])).startswith(b"HTTP/1.1 413 ")
    assert echo.short == 0


@given(st.binary(max_size=300), st.integers(0, 60), st.binary(max_size=6))
def test_whatever_is_read_is_a_whole_request(tail: bytes, at: int, noise: bytes) -> None:
    """Damage a good request anywhere: what is still read has a length that fits and no odd byte in its head."""
    good = post(body=tail)
    read = read_plain(good[:at] + noise + good[at:])
    if read is not None:
        lengths = [value for name, value in read.headers if name == b"content-length"]
        assert [int(value) for value in lengths] == [len(read.body)]
        assert all(0x20 <= byte < 0x7F for _, value in read.headers for byte in value)
        assert not any(name in {b"transfer-encoding", b"connection"} for name, _ in read.headers)
