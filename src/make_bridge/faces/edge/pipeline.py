"""The pipeline: what happens to every request before a face sees it, and to every answer before it leaves.

One ASGI wrapper, outermost of all, so that nothing (not even a fault in a face) goes past it. In this order:

1. a request id of our own; the client's stays an attribute of the log
2. the surface the path belongs to, and the canonical path
3. size and shape of address and headers; identity claims taken out
4. the body's announced length, then its real one, counted while it streams, and the time it takes
5. the face
6. the surface's security headers and ``X-Request-Id`` on whatever answer there is
7. for an error that nobody answered: the problem, and the log
8. the request log, where it wants to tell of such a request

A response that refuses a request before its body was read ends the connection. What the client still sends is thrown
away for a moment first: cut off at once, most clients would see a broken connection and never the refusal.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from make_bridge.faces.edge import problems
from make_bridge.faces.edge.config import EdgeConfig
from make_bridge.faces.edge.cross_origin import CrossOrigin
from make_bridge.faces.edge.hosts import EXEMPT
from make_bridge.faces.edge.plain_http import PlainRequest, check_headers, render
from make_bridge.faces.edge.request_head import RawHeaders, RequestHead, check_address, read_head
from make_bridge.faces.edge.request_log import Answered, RequestLog
from make_bridge.faces.edge.surfaces import HTTPS_ONLY, Surface, find_surface, surfaces
from make_bridge.kernel.entropy import random_hex
from make_bridge.kernel.errors import InvalidInput, TooLarge
from make_bridge.platform.observability.metrics import Declarations, RequestNumbers
from make_bridge.platform.observability.tracing.names import OTHER, known_method
from make_bridge.platform.observability.tracing.spans import NOTHING, AnySpan
from make_bridge.platform.observability.tracing.tracer import Tracing

_REFUSED: Final = 400
_OUR_FAULT: Final = 500
_NO_CONTENT: Final = 204
_FOR_PAGES: Final = "/portal/api/"
_LINGER_SECONDS: Final = 2.0
_LINGER_BYTES: Final = 32 * 1024 * 1024
NO_ROUTE: Final = "(no route)"
REFUSED: Final = "(refused)"
_OUR_ID: Final = re.compile(rb"[0-9a-f]{32}")
TakePlain = Callable[[PlainRequest], Awaitable[tuple[int, RawHeaders, bytes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectFace:
    """A public face that the edge calls itself, past the router.

    ``plain`` answers the plainest requests (``plain_http``) with status, headers and body, in the same
    way as ``application`` would; for everything else there is ``application``. ``template`` is the address
    as a route would write it, for whoever tells of requests.
    """

    application: ASGIApp
    plain: TakePlain
    template: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observers:
    """Who is told of every request: its counters, and its trace; by default nobody looks."""

    requests: RequestNumbers = field(default_factory=lambda: RequestNumbers(Declarations()))
    tracing: Tracing = field(default_factory=Tracing)


class Edge:
    """See the module."""

    def __init__(
        self,
        app: ASGIApp,
        config: EdgeConfig,
        aliases: Mapping[str, str],
        direct: Mapping[str, DirectFace],
        cross_origin: CrossOrigin | None = None,
        observers: "Observers | None" = None,
    ) -> None:
        """``aliases`` maps a short path to the one it stands for, each for itself and what lies below it.

        ``direct`` maps a prefix to a face that is called without the router, ``cross_origin`` answers browsers that ask
        before they call, and ``observers`` are told of them all.
        """
        self._app = app
        self._direct = tuple(direct.items())
        self._config = config
        self._aliases = tuple(aliases.items())
        self._cross_origin = cross_origin
        observers = observers or Observers()
        self._requests, self._tracing = observers.requests, observers.tracing
        self._surfaces = surfaces(config.limits.bodies)
        self._request_log = RequestLog(config.request_log, config.addresses)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one connection; only requests are the edge's business, and nothing here speaks WebSocket."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        request_id = _given_id(scope["headers"]) if self._config.is_internal else None
        surface = find_surface(self._surfaces, scope["path"])
        exchange = Exchange(receive, send, surface, self._config, request_id or random_hex(16))
        # A connection's next request may begin where the one before it ends: nothing of that one is said of it.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=exchange.request_id)
        with self._span(exchange.request_id, scope["headers"], surface) as span:
            try:
                await self._serve(scope, exchange)
            finally:
                took, template = perf_counter() - began, self._template(exchange.admitted)
                self._requests.count(scope["method"], template, exchange.status, took)
                if self._request_log.wants(exchange.status, took):
                    self._request_log.note(exchange.answered(scope, template, took))
                if span.is_recording:
                    tell_request(span, scope["method"], template, exchange.status, self._config)

    async def _serve(self, scope: Scope, exchange: "Exchange") -> None:
        try:
            admitted = exchange.admitted = self._admit(scope, exchange)
            if self._cross_origin is not None and _is_preflight(admitted):
                await self._answer_preflight(self._cross_origin, admitted, exchange)
                return
            await self._face(admitted["path"])(admitted, exchange.receive, exchange.send)
        except Exception as error:  # noqa: BLE001 - the last place where an error can become an answer
            await exchange.fail(error, scope)

    def note_refusal(self, status: int, request_id: str, peer: str) -> None:
        """Take note of what was refused before there was a request to speak of."""
        self._requests.count("", REFUSED, status, 0.0)
        if self._request_log.wants(status, 0.0):
            answered = Answered(
                method="", template=REFUSED, status=status, seconds=0.0, received=0, sent=0, headers=(), peer=peer
            )
            with structlog.contextvars.bound_contextvars(request_id=request_id):
                self._request_log.note(answered)

    def _span(self, request_id: str, headers: RawHeaders, surface: Surface) -> AnySpan:
        """Begin the span of a request; probes, files and paths that lead nowhere have none."""
        if not surface.is_traced:
            return NOTHING
        return self._tracing.request(request_id, headers, is_inner=self._config.is_internal)

    def _template(self, admitted: Scope | None) -> str:
        """Return the address of a request as its route writes it, never as it came: those have no end."""
        if admitted is None:
            return REFUSED
        for prefix, face in self._direct:
            if admitted["path"].startswith(prefix):
                return face.template
        template: str = getattr(admitted.get("route"), "path_format", NO_ROUTE)
        return template

    async def _answer_preflight(self, cross_origin: CrossOrigin, scope: Scope, exchange: "Exchange") -> None:
        [origin] = [value for name, value in scope["headers"] if name == b"origin"]
        headers = await cross_origin.preflight(origin.decode("latin-1"), scope["state"]["address"])
        await exchange.send({"type": "http.response.start", "status": _NO_CONTENT, "headers": headers})
        await exchange.send({"type": "http.response.body", "body": b""})

    def takes_plain(self, path: str) -> DirectFace | None:
        """Return the face of a path, if the short way leads to it."""
        for prefix, face in self._direct:
            if path.startswith(prefix):
                return face
        return None

    async def answer_plain(
        self, request: PlainRequest, face: DirectFace, server_headers: RawHeaders, peer: str = ""
    ) -> bytes:
        """Take a plain request of ``peer`` through the same stations as any other and return the whole answer."""
        began, status, body = perf_counter(), 0, b""
        request_id = random_hex(16)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        surface = find_surface(self._surfaces, request.path)
        with self._span(request_id, request.headers, surface) as span:
            try:
                status, headers, body = await self._serve_plain(request, face, server_headers, request_id, surface)
            finally:
                took = perf_counter() - began
                self._requests.count("POST", face.template, status, took)
                if self._request_log.wants(status, took):
                    answered = Answered(
                        method="POST", template=face.template, status=status, seconds=took,
                        received=len(request.body), sent=len(body), headers=request.headers, peer=peer,
                    )  # fmt: skip
                    self._request_log.note(answered)
                if span.is_recording:
                    tell_request(span, "POST", face.template, status, self._config)
        return render(status, headers, body)

    async def _serve_plain(
        self, request: PlainRequest, face: DirectFace, server_headers: RawHeaders, request_id: str, surface: Surface
    ) -> tuple[int, RawHeaders, bytes]:
        limits = self._config.limits
        try:
            check_address(request.path.encode(), request.query, limits)
            request.headers = read_head(
                request.headers, limits, keeps_identity=surface.keeps_identity, allowed=self._config.hosts
            ).headers
            _check_size(request, surface)
            status, headers, body = await face.plain(request)
            return status, _complete(server_headers + check_headers(headers), surface, request_id, self._config), body
        except Exception as error:  # noqa: BLE001 - the last place where an error can become an answer
            if problems.is_unforeseen(error):
                problems.log_fault(error, method="POST", surface=surface.name)
            problem = problems.problem_of(error)
            headers = [*server_headers, (b"content-type", b"application/json"), *problem.headers]
            completed = _complete(headers, surface, request_id, self._config)
            return problem.status, completed, problem.body(request_id)

    def _face(self, path: str) -> ASGIApp:
        for prefix, face in self._direct:
            if path.startswith(prefix):
                return face.application
        return self._app

    def _admit(self, scope: Scope, exchange: "Exchange") -> Scope:
        limits, surface = self._config.limits, exchange.surface
        check_address(scope.get("raw_path") or scope["path"].encode(), scope["query_string"], limits)
        # Only HTTP/1.0, which simple health checks still speak, may leave the host out.
        needs_host = scope["http_version"] == "1.1"
        allowed = None if scope["path"] in EXEMPT else self._config.hosts
        head = read_head(
            scope["headers"],
            limits,
            keeps_identity=surface.keeps_identity,
            keeps_context=self._config.is_internal,
            needs_host=needs_host,
            allowed=allowed,
        )
        exchange.expect(head)
        client = scope.get("client")
        state = {**scope.get("state", {}), "request_id": exchange.request_id}
        state["client_request_id"] = head.client_request_id
        state["address"] = self._config.addresses.of(client[0], head.headers) if client else ""
        # What gates learn and every answer has to say, also one that refuses later.
        state["answer_headers"] = exchange.more_headers
        return {**scope, "headers": head.headers, "state": state, "path": self._canonical(scope["path"], surface)}

    def _canonical(self, path: str, surface: Surface) -> str:
        """Take one trailing slash off and a short name for what it stands for; a redirect would leak our address."""
        if not surface.is_api:
            return path
        if path.endswith("/") and not path.endswith("//"):
            path = path[:-1]
        for short, full in self._aliases:
            if path.startswith(short) and path[len(short) : len(short) + 1] in {"", "/"}:
                return full + path[len(short) :]
        return path


class Exchange:
    """One request with its answer: counts what comes in, completes what goes out."""

    __slots__ = (
        *("_config", "_deadline", "_ended", "_read", "_receive", "_refused", "_send", "_started", "_unread"),
        *("_sent", "admitted", "more_headers", "request_id", "status", "surface"),
    )

    def __init__(self, receive: Receive, send: Send, surface: Surface, config: EdgeConfig, request_id: str) -> None:
        """Begin with nothing read and nothing sent."""
        self.request_id = request_id
        self.surface = surface
        self.status = 0
        self.admitted: Scope | None = None
        self.more_headers: RawHeaders = []
        self._receive = receive
        self._send = send
        self._config = config
        self._read = 0
        self._sent = 0
        self._deadline: float | None = None
        self._unread = True
        self._started = False
        self._refused = False
        self._ended = False

    def expect(self, head: RequestHead) -> None:
        """Refuse a body whose announced length is too large; raises TooLarge."""
        self._unread = head.body_length != 0
        if head.body_length is not None and head.body_length > self.surface.max_body:
            raise self._too_large()

    async def receive(self) -> Message:
        """Pass on a piece of the body; raises TooLarge for a byte too many, InvalidInput when it is late.

        Once the body is here, whoever waits waits for the client to go, and that takes as long as it takes.
        """
        message = await (self._receive_in_time() if self._unread else self._receive())
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self.surface.max_body:
                raise self._too_large()
            self._unread = message.get("more_body", False)
        return message

    async def _receive_in_time(self) -> Message:
        seconds = self._config.limits.body_seconds
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError:
            message = f"The body of this request was not here within {seconds:g} seconds."
            raise InvalidInput(message, code="request_timeout") from None

    async def send(self, message: Message) -> None:
        """Pass on a piece of the answer, its head completed."""
        if message["type"] == "http.response.start":
            self._started = True
            self.status = message["status"]
            self._refused = self._unread and message["status"] >= _REFUSED
            message = {**message, "headers": self._complete(message)}
        elif message["type"] == "http.response.body":
            self._sent += len(message.get("body", b""))
            self._ended = not message.get("more_body", False)
            if self._ended and self._refused:
                await self._send({**message, "more_body": True})
                await self._discard()
                message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def fail(self, error: Exception, scope: Scope) -> None:
        """Answer an error; one that comes after the answer is only logged, one amid it breaks the connection."""
        if problems.is_unforeseen(error):
            problems.log_fault(error, method=scope["method"], surface=self.surface.name)
        if self._ended or isinstance(error, ClientDisconnect):
            return
        if self._started:
            raise error
        problem = problems.problem_of(error)
        body = problem.body(self.request_id)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *problem.headers,
        ]
        await self.send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def answered(self, scope: Scope, template: str, seconds: float) -> Answered:
        """Return what came of it."""
        client = scope.get("client")
        return Answered(
            method=scope["method"], template=template, status=self.status, seconds=seconds, received=self._read,
            sent=self._sent, headers=scope["headers"], peer=client[0] if client else "",
        )  # fmt: skip

    def _complete(self, message: Message) -> RawHeaders:
        given = [*message.get("headers", ()), *self.more_headers]
        given = _complete(given, self.surface, self.request_id, self._config)
        if self._refused:
            given.append((b"connection", b"close"))
        return given

    async def _discard(self) -> None:
        """Throw away what the client still sends, up to a bound in bytes and time."""
        left = _LINGER_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while self._unread and left > 0:
                    message = await self._receive()
                    left -= len(message.get("body", b""))
                    self._unread = message["type"] == "http.request" and message.get("more_body", False)

    def _too_large(self) -> TooLarge:
        return _too_large(self.surface)


def _given_id(headers: RawHeaders) -> str | None:
    """Return the id that a gateway has given a request; only processes between themselves believe it."""
    given = [value for name, value in headers if name == b"x-request-id"]
    return given[0].decode() if len(given) == 1 and _OUR_ID.fullmatch(given[0]) else None


def _is_preflight(scope: Scope) -> bool:
    """Say whether a browser asks if a page may call the portal API."""
    if scope["method"] != "OPTIONS" or not scope["path"].startswith(_FOR_PAGES):
        return False
    names = [name for name, _ in scope["headers"]]
    return names.count(b"origin") == 1 and b"access-control-request-method" in names


def tell_request(span: AnySpan, method: str, template: str, status: int, config: EdgeConfig) -> None:
    """Say on its span what a request was: by its route, never by its address, which may hold a secret."""
    known = known_method(method)
    word, has_route = "HTTP" if known == OTHER else known, template not in {NO_ROUTE, REFUSED}
    span.rename(f"{word} {template}" if has_route else word)
    span.set("http.request.method", known)
    span.set("http.route", template if has_route else None)
    span.set("url.scheme", "https" if config.is_https else "http")
    span.set("http.response.status_code", status or None)
    if status >= _OUR_FAULT:
        span.fail(str(status))


def _check_size(request: PlainRequest, surface: Surface) -> None:
    if len(request.body) > surface.max_body:
        raise _too_large(surface)


def _too_large(surface: Surface) -> TooLarge:
    return TooLarge(f"The body of this request is larger than {surface.max_body} bytes.")


def _complete(given: RawHeaders, surface: Surface, request_id: str, config: EdgeConfig) -> RawHeaders:
    """Return a face's headers with the surface's: forced ones replace, defaults stand where there is none."""
    names = {name for name, _ in given}
    if not names.isdisjoint(surface.forced_names):
        given = [pair for pair in given if pair[0] not in surface.forced_names]
    given.extend(surface.forced)
    given.append((b"x-request-id", request_id.encode()))
    given.extend(pair for pair in surface.defaults if pair[0] not in names)
    if config.is_https:
        given.append(HTTPS_ONLY)
    return given
