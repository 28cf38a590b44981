"""A collector of traces: takes OTLP over HTTP as a strict one does, and goes wrong in every way that one can.

It runs on a thread of the test process and reads with OpenTelemetry's own messages. What a real collector would refuse,
or silently show wrong, is written down in ``wrong``: a test that ends with something in it has failed.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from support.network import free_port

Mood = Literal[
    "takes", "refuses", "later", "partly", "rubbish", "other type", "endless", "redirects", "hangs", "drips", "breaks"
]
KINDS = {
    OtlpSpan.SPAN_KIND_INTERNAL: "internal",
    OtlpSpan.SPAN_KIND_SERVER: "server",
    OtlpSpan.SPAN_KIND_CLIENT: "client",
    OtlpSpan.SPAN_KIND_PRODUCER: "producer",
    OtlpSpan.SPAN_KIND_CONSUMER: "consumer",
}
_TYPE = "application/x-protobuf"
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A span as it arrived; times are nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    start: int
    end: int
    attributes: dict[str, Any]
    is_error: bool
    links: list[tuple[str, str]]
    resource: dict[str, Any]
    state: str


@dataclass(slots=True)
class Collector:
    """See the module. Lists are appended to by the thread and only read by the test."""

    port: int
    mood: Mood = "takes"
    spans: list[Told] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    exports: list[int] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def of(self, trace_id: str) -> list[Told]:
        """Every span of a trace that has arrived."""
        return [span for span in self.spans if span.trace_id == trace_id]

    def named(self, name: str) -> list[Told]:
        return [span for span in self.spans if span.name == name]

    def start(self) -> None:
        """Listen; after ``stop`` on the same port again."""
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(ready,), name="collector", daemon=True)
        self._thread.start()
        assert ready.wait(_PATIENCE), "the collector did not start"

    def stop(self) -> None:
        """Be gone: nobody listens on the port any more."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_PATIENCE)
            assert not self._thread.is_alive(), "the collector did not stop"
            self._thread = None

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._open())
        ready.set()
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(runner.cleanup())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _open(self) -> web.AppRunner:
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True).start()
        return runner

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        mood = self.mood
        if mood in {"takes", "partly"}:
            self.bodies.append(body)
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
            if (request.method, request.path, request.content_type) != ("POST", "/v1/traces", _TYPE):
                self.wrong.append(f"{request.method} {request.path} {request.content_type}")
            self._read(body)
        return await self._answer(request, mood)

    async def _answer(self, request: web.Request, mood: Mood) -> web.StreamResponse:
        match mood:
            case "takes":
                return web.Response(body=ExportTraceServiceResponse().SerializeToString(), content_type=_TYPE)
            case "partly":
                answer = ExportTraceServiceResponse()
                answer.partial_success.rejected_spans = 1
                return web.Response(body=answer.SerializeToString(), content_type=_TYPE)
            case "refuses":
                return web.Response(status=400)
            case "later":
                return web.Response(status=503, headers={"Retry-After": "0"})
            case "rubbish":
                return web.Response(body=b"\xff\xff\xff<html>", content_type=_TYPE)
            case "other type":
                return web.Response(text="<html>Welcome!</html>", content_type="text/html")
            case "redirects":
                return web.Response(status=307, headers={"Location": f"{self.url}/elsewhere"})
            case "hangs":
                await asyncio.Event().wait()
            case "breaks":
                assert request.transport is not None
                request.transport.close()
        return await self._stream(request, mood)

    async def _stream(self, request: web.Request, mood: Mood) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": _TYPE})
        await response.prepare(request)
        piece, pause = (b"\n" * 65536, 0.0) if mood == "endless" else (b"\n", 0.05)
        # Until the other side has had enough of it.
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(piece)
                await asyncio.sleep(pause)
        return response

    def _read(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        count = 0
        for resource in request.resource_spans:
            described = _attributes(resource.resource.attributes)
            if "service.name" not in described:
                self.wrong.append("a resource without a service's name")
            for scope in resource.scope_spans:
                for span in scope.spans:
                    count += 1
                    self._check(span)
                    self.spans.append(_told(span, described))
        self.exports.append(count)

    def _check(self, span: OtlpSpan) -> None:
        names = [attribute.key for attribute in span.attributes]
        faults = {
            "its trace's id": len(span.trace_id) == 16 and any(span.trace_id),
            "its id": len(span.span_id) == 8 and any(span.span_id),
            "its parent": len(span.parent_span_id) in {0, 8} and span.parent_span_id != span.span_id,
            "its name": 0 < len(span.name) <= 256,
            "its kind": span.kind in KINDS,
            "its times": 0 < span.start_time_unix_nano <= span.end_time_unix_nano,
            "a name that comes twice": len(names) == len(set(names)),
            "an attribute without a value": all(one.value.WhichOneof("value") for one in span.attributes),
            "its flags": span.flags & 0x101 == 0x101,
        }
        self.wrong += [f"{span.name}: {what}" for what, is_right in faults.items() if not is_right]


def _attributes(found: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value") for one in found}


def _told(span: OtlpSpan, resource: dict[str, Any]) -> Told:
    return Told(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        kind=KINDS[span.kind],
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        is_error=span.status.code == 2,
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        resource=resource,
        state=span.trace_state,
    )


def shown(spans: list[Told]) -> str:
    """What arrived, for the report of a failed test."""
    rows = [f"{span.trace_id[:8]} {span.parent_id or '-':16} {span.span_id} {span.name}" for span in spans]
    return "\n".join([*rows, json.dumps([span.attributes for span in spans], default=str)[:4000]])


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """A collector for the length of the block; nothing may be wrong with what it was sent."""
    collector = Collector(port=free_port())
    collector.start()
    try:
        yield collector
    finally:
        collector.stop()
    assert collector.wrong == []
