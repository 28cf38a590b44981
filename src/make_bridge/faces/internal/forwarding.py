"""Handing requests on: the gateway's side of a call from process to process.

A route whose role another process has is the same row of the same table, behind the same gate: who may not pass is told
so here, tokens are used up once, limits count once. What passes goes to one of the role's nodes with the signed context
(``platform/security/internal_context``) in the place of the credentials, until the deadline that stands in it.

Another node is asked when the first cannot have seen the request, or when repeating it is harmless: a reading, or a
change that names an ``Idempotency-Key``, which its handler does once whoever asks. The latter are bounded by a share of
all requests, so that a failing role is not called twice as often as a sound one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from make_bridge.faces.edge.access import Gate
from make_bridge.faces.edge.doors import Doors, MakeGate, MakeRoute
from make_bridge.faces.edge.gates import READING, Access, Call
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import DeadlineExceeded, Unavailable
from make_bridge.kernel.roles import Role
from make_bridge.platform.egress.breaker import Verdict
from make_bridge.platform.observability.metrics import UpstreamCounters
from make_bridge.platform.observability.tracing.names import known_method
from make_bridge.platform.observability.tracing.spans import carried, step
from make_bridge.platform.security.internal_context import HEADER, Forwarded, ForwardedCall, InternalContexts
from make_bridge.platform.upstreams.client import UpstreamAnswer, UpstreamClient, UpstreamFailure
from make_bridge.platform.upstreams.nodes import Nodes, Turn

# What of a request's head its handler may want to know. Credentials, cookies and whatever else came stay here.
_HANDED_ON: Final = ("accept", "accept-language", "content-type", "if-match", "if-none-match", "range", "user-agent")
# These speak of one connection, or are the edge's own to say.
_NOT_HANDED_BACK: Final = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"trailer", b"te", b"proxy-authenticate",
     b"server", b"date", b"x-request-id", b"content-length"}
)  # fmt: skip
_UNWELL: Final = frozenset({502, 503, 504})
_READ_AT_ONCE: Final = 256 * 1024
_AS_IT_IS: Final = "/:@!$&'()*+,;=-._~"

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardingConfig:
    """``seconds`` is how long a node has for its answer; repetitions are bounded by share and by a few at a time."""

    seconds: float = 120.0
    tries: int = 3
    retry_share: float = 0.2
    most_retries_saved: float = 10.0


class RetryBudget:
    """Lets a share of all requests be repeated, and a few more when it was quiet."""

    def __init__(self, share: float, most: float) -> None:
        """Begin full."""
        self._share = share
        self._most = most
        self._saved = most

    def count(self) -> None:
        """Count a request."""
        self._saved = min(self._saved + self._share, self._most)

    def take(self) -> bool:
        """Say whether one more may be repeated."""
        if self._saved < 1:
            return False
        self._saved -= 1
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarder:
    """Hands a request that was let in to a node of a role."""

    nodes: Nodes
    client: UpstreamClient
    contexts: InternalContexts
    clock: Clock
    counters: UpstreamCounters
    config: ForwardingConfig
    budget: RetryBudget

    async def send(self, role: Role, request: Request) -> Response:
        """Return the node's answer; raises Unavailable and DeadlineExceeded."""
        with step(f"hand on to {role}", "client") as span:
            span.set("http.request.method", known_method(request.method))
            span.set("make_bridge.role", str(role))
            response = await self._send(role, request)
            span.set("http.response.status_code", response.status_code)
            return response

    async def _send(self, role: Role, request: Request) -> Response:
        call: Call = request.state.call
        now, target = self.clock.now(), target_of(request)
        forwarded = Forwarded(
            context=call.context,
            home=call.team_id,
            deadline=now + timedelta(seconds=self.config.seconds),
            trace=carried() or "",
        )
        described = ForwardedCall(audience=role, method=request.method, target=target, body=call.body)
        headers = _head(request) | {HEADER: self.contexts.write(forwarded, described, now)}
        is_harmless = request.method in READING or call.context.idempotency_key is not None
        self.budget.count()
        tried: frozenset[str] = frozenset()
        while True:
            turn = self.nodes.choose(role, tried)
            tried |= {turn.node.member.name}
            try:
                return await self._ask(role, turn, request.method, target, headers, call.body)
            except UpstreamFailure as failure:
                # What nobody has seen is not repeated but sent: only repetitions take from the budget.
                may_repeat = failure.is_unseen or (is_harmless and self.budget.take())
                if len(tried) >= self.config.tries or not may_repeat:
                    message = "The server that has this did not answer: try again in a moment."
                    raise Unavailable(message, code="upstream_failed") from failure
                self.counters.retries.labels(role).inc()

    async def _ask(
        self, role: Role, turn: Turn, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Ask one node; raises UpstreamFailure and DeadlineExceeded."""
        try:
            answer = await self.client.send(
                turn.node.address, method, target, headers, body, seconds=self.config.seconds
            )
            response = await self._response_of(answer, turn)
        except (UpstreamFailure, DeadlineExceeded) as failure:
            if isinstance(failure, UpstreamFailure) and failure.is_unseen:
                turn.node.missed()
            turn.judge(Verdict.BAD, getattr(failure, "cause", "deadline"))
            self.counters.requests.labels(role, "failed").inc()
            turn.finish()
            raise
        except BaseException:
            turn.finish()
            raise
        is_unwell = answer.status in _UNWELL
        turn.judge(Verdict.BAD if is_unwell else Verdict.GOOD, str(answer.status))
        self.counters.requests.labels(role, "unwell" if is_unwell else "answered").inc()
        return response

    async def _response_of(self, answer: UpstreamAnswer, turn: Turn) -> Response:
        """Return the answer as ours: small ones whole, so that a broken one can still be asked for again."""
        response: Response
        if answer.length is not None and answer.length <= _READ_AT_ONCE:
            try:
                async with asyncio.timeout(self.config.seconds):
                    response = Response(await answer.read(), status_code=answer.status)
            except TimeoutError:
                answer.close()
                raise DeadlineExceeded from None
            turn.finish()
        else:
            response = _Passing(answer, turn)
        response.raw_headers += [
            (name.lower(), value) for name, value in answer.headers if name.lower() not in _NOT_HANDED_BACK
        ]
        return response


class _Passing(StreamingResponse):
    """An answer that is handed back while it comes; whoever hangs up first, the connection is not left open."""

    def __init__(self, answer: UpstreamAnswer, turn: Turn) -> None:
        super().__init__(answer.pieces(), status_code=answer.status)
        self._answer = answer
        self._turn = turn
        if answer.length is not None:
            self.headers["content-length"] = str(answer.length)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._answer.close()
            self._turn.finish()


def target_of(request: Request) -> str:
    """Return path and query as the node will see them: the path as the edge has made it out, the query as it came."""
    path, query = quote(request.scope["path"], safe=_AS_IT_IS), request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _head(request: Request) -> dict[str, str]:
    kept = {name: request.headers[name] for name in _HANDED_ON if name in request.headers}
    return kept | {"x-request-id": request.state.request_id}


class ForwardedRoute(APIRoute):
    """A row of a face's table whose work another process does; it is described as if it were done here."""

    def __init__(
        self, *arguments: Any, gate: Gate, forward: Callable[[Request], Awaitable[Response]], **options: Any  # noqa: ANN401 - APIRoute's own
    ) -> None:  # fmt: skip
        """Keep who is asked, before the route is put together."""
        self._gate = gate
        self._forward = forward
        super().__init__(*arguments, **options)

    def get_route_handler(self) -> Handler:
        """Let pass who may, and hand on."""

        async def handle(request: Request) -> Response:
            await self._gate(request)
            return await self._forward(request)

        return handle


class ForwardingDoors(Doors):
    """A gateway's: asks for credentials, serves its own roles and hands on the others."""

    def __init__(self, here: frozenset[Role], gate: MakeGate, forwarder: Forwarder) -> None:
        """``here`` are the roles of this process."""
        self._here = here
        self._gate = gate
        self._forwarder = forwarder

    def serves(self, role: Role) -> bool:  # noqa: ARG002 - the world calls every one here
        """Say yes."""
        return True

    def open(self, access: Access, role: Role) -> tuple[Gate, MakeRoute]:
        """Return a plain route for what is here, one that leads on for the rest."""
        gate = self._gate(access)
        if role in self._here:
            return gate, APIRoute

        async def forward(request: Request) -> Response:
            return await self._forwarder.send(role, request)

        def make(*arguments: Any, **options: Any) -> APIRoute:  # noqa: ANN401 - APIRoute's own
            return ForwardedRoute(*arguments, gate=gate, forward=forward, **options)

        return gate, make
