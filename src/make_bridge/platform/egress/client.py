"""The HTTP client for everything that leaves: calls of scenarios, webhooks out, OAuth token calls.

One per process, entered by ``boot``. It follows redirects itself so that each hop passes the guard,
puts one deadline over all hops, keeps no cookies, reads no proxy or credential from the environment
and decompresses within the caller's limit. aiohttp gives the connections and their pool.
"""

import asyncio
import io
import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace, TracebackType
from typing import Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDict

from make_bridge.platform.egress.bodies import ACCEPTED_ENCODINGS, read_body, read_start
from make_bridge.platform.egress.guard import BlockedAddress, EgressGuard, EgressPolicy
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest, EgressResponse, FailureKind, refused
from make_bridge.platform.egress.redirects import REDIRECTS, redirected, resolve_location
from make_bridge.platform.egress.trace_hosts import TraceHosts
from make_bridge.platform.egress.trust import TrustedContexts
from make_bridge.platform.egress.urls import Target, read_target
from make_bridge.platform.observability.tracing.context import TRACEPARENT
from make_bridge.platform.observability.tracing.names import OTHER, known_method
from make_bridge.platform.observability.tracing.spans import step

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_IN_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_REFUSED_METHODS: Final = frozenset({"CONNECT", "TRACE"})
# These describe the connection, which is ours: what a scenario says about it is not passed on.
_OURS: Final = frozenset(
    {
        "connection", "content-length", "expect", "http2-settings", "keep-alive", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
# The body we hand on is not what these were said of any more.
_OF_PACKED_BODY: Final = frozenset({"content-encoding", "content-length"})
_SWITCHING_PROTOCOLS: Final = 101
_REFUSED: Final = 400
# A larger body is written in pieces, so that other work gets its turn on the loop.
_WRITTEN_AT_ONCE: Final = 512 * 1024
_MAX_HEADER_BYTES: Final = 32 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressConfig:
    """How the client behaves; what it may reach is the policy."""

    policy: EgressPolicy = field(default_factory=EgressPolicy)
    traced_hosts: tuple[str, ...] = ()
    connections: int = 512
    connections_per_host: int = 32
    connect_timeout: float = 10.0
    dns_seconds: int = 10
    max_redirects: int = 5
    user_agent: str = "Make-Bridge"


@dataclass(slots=True)
class _Attempt:
    """A call on its way; ``sent`` turns true when a connection is there, ``queued`` is true while it waits for one."""

    on_sent: Callable[[], None] | None = None
    sent: bool = False
    queued: bool = False


class EgressClient:
    """Sends requests out of the process, past the guard."""

    def __init__(
        self, config: EgressConfig, *, resolver: AbstractResolver | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        """``resolver`` and ``tls`` default to the system's resolver and its trusted certificates."""
        self._config = config
        self._resolver = resolver
        self._tls = tls
        self._trusted = TrustedContexts(tls)
        self._traced = TraceHosts(config.traced_hosts)
        self._guard: EgressGuard | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        config = self._config
        guard = EgressGuard(config.policy, self._resolver or aiohttp.ThreadedResolver())
        connector = aiohttp.TCPConnector(
            resolver=guard,
            socket_factory=guard.open_socket,
            limit=config.connections,
            limit_per_host=config.connections_per_host,
            use_dns_cache=config.dns_seconds > 0,
            ttl_dns_cache=config.dns_seconds,
            ssl=self._tls or True,
        )
        trace = aiohttp.TraceConfig()
        trace.on_connection_queued_start.append(_mark_queued)
        trace.on_connection_queued_end.append(_mark_served)
        trace.on_connection_create_end.append(_mark_sent)
        trace.on_connection_reuseconn.append(_mark_sent)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=("Content-Type", "User-Agent"),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=config.connect_timeout),
            trace_configs=[trace],
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        )
        self._guard = guard
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
        if self._guard is not None:
            await self._guard.close()

    async def send(self, request: EgressRequest) -> EgressResponse:
        """Return the answer, or raise ``EgressFailure``; every status is an answer."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        attempt = _Attempt(on_sent=request.on_sent)
        try:
            async with asyncio.timeout(request.timeout):
                status, headers, body, target = await self._follow(_checked(request), attempt)
        except EgressFailure as failure:
            # An earlier hop may have been acted on, whatever became of this one.
            failure.sent = failure.sent or attempt.sent
            raise
        except TimeoutError:
            host = read_target(request.url).host
            message = f"There was no complete answer from {host} within {request.timeout:g} s."
            raise EgressFailure("timeout", message, sent=attempt.sent, queued=attempt.queued) from None
        return EgressResponse(
            status=status, headers=headers, body=body, final_url=str(target.url), elapsed=loop.time() - started
        )

    async def _follow(
        self, request: EgressRequest, attempt: _Attempt
    ) -> tuple[int, list[tuple[str, str]], bytes, Target]:
        target = self._checked_target(request.url)
        for _ in range(self._config.max_redirects + 1):
            outcome = await self._measured_hop(request, target, attempt)
            if not isinstance(outcome, _Redirect):
                return *outcome, target
            following = self._checked_target(resolve_location(target, outcome.location))
            request = redirected(request, outcome.status, target, following)
            target = following
        message = f"The answer was more than {self._config.max_redirects} redirects in a row."
        raise EgressFailure("redirect", message, sent=True)

    def _checked_target(self, url: str) -> Target:
        if self._guard is None:
            raise EgressFailure("refused", "The client for calls out has not been started.")
        target = read_target(url)
        self._guard.check(target)
        return target

    async def _measured_hop(
        self, request: EgressRequest, target: Target, attempt: _Attempt
    ) -> "_Redirect | tuple[int, list[tuple[str, str]], bytes]":
        method = known_method(request.method.upper())
        with step("HTTP" if method == OTHER else method, "client") as span:
            span.set("http.request.method", method)
            span.set("url.scheme", target.url.scheme)
            span.set("server.address", target.host)
            span.set("server.port", target.url.port)
            try:
                outcome = await self._hop(request, target, attempt)
            except EgressFailure as failure:
                span.fail(failure.kind)
                raise
            status = outcome.status if isinstance(outcome, _Redirect) else outcome[0]
            span.set("http.response.status_code", status)
            if status >= _REFUSED:
                span.fail(str(status))
            return outcome

    async def _hop(
        self, request: EgressRequest, target: Target, attempt: _Attempt
    ) -> "_Redirect | tuple[int, list[tuple[str, str]], bytes]":
        """Send one request and read its answer, or only where it points to."""
        if self._session is None:
            raise EgressFailure("refused", "The client for calls out has not been started.")
        try:
            async with self._session.request(
                request.method,
                target.url,
                headers=_headers(request, target, self._config.user_agent, self._traced.headers_for(target.host)),
                data=_payload(request.body),
                allow_redirects=False,
                ssl=self._tls_for(request),
                trace_request_ctx=attempt,
            ) as response:
                if request.cookies is not None:
                    request.cookies.take(str(target.url), response.headers.getall("Set-Cookie", []))
                if response.status == _SWITCHING_PROTOCOLS:
                    raise EgressFailure("protocol", "The answer changes to another protocol.", sent=True)
                location = response.headers.get("Location") if response.status in REDIRECTS else None
                if location and request.follow_redirects:
                    response.close()
                    return _Redirect(status=response.status, location=location)
                if request.cut_response:
                    start = await read_start(response, request.max_response_bytes)
                    return response.status, _received(response, unpacked=False), start
                body, unpacked = await read_body(response, request.max_response_bytes)
                return response.status, _received(response, unpacked=unpacked), body
        except aiohttp.ClientError as error:
            raise _failure(error, target.host, sent=attempt.sent) from None

    def _tls_for(self, request: EgressRequest) -> ssl.SSLContext | bool:
        if request.trust is None:
            return request.verify_tls
        return self._trusted.context(request.trust, verify=request.verify_tls)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Redirect:
    """An answer that points elsewhere."""

    status: int
    location: str


async def _mark_sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _parameters: object) -> None:
    attempt: _Attempt = context.trace_request_ctx
    if not attempt.sent and attempt.on_sent is not None:
        attempt.on_sent()
    attempt.sent = True


async def _mark_queued(_session: aiohttp.ClientSession, context: SimpleNamespace, _parameters: object) -> None:
    context.trace_request_ctx.queued = True


async def _mark_served(_session: aiohttp.ClientSession, context: SimpleNamespace, _parameters: object) -> None:
    context.trace_request_ctx.queued = False


def _checked(request: EgressRequest) -> EgressRequest:
    """Refuse what could break out of its line in the request."""
    if not _TOKEN.fullmatch(request.method) or request.method.upper() in _REFUSED_METHODS:
        raise refused("This HTTP method cannot be used.", "invalid_request")
    for name, value in request.headers:
        if not _TOKEN.fullmatch(name):
            raise refused("A header's name holds characters that no header may have.", "invalid_request")
        if _BAD_IN_VALUE.search(value):
            raise refused(f"The value of the header {name} holds a line break or control character.", "invalid_request")
    return request


def _headers(
    request: EgressRequest, target: Target, user_agent: str, traced: Sequence[tuple[str, str]] = ()
) -> CIMultiDict[str]:
    headers = CIMultiDict((name, value.strip()) for name, value in request.headers if name.lower() not in _OURS)
    authority = target.url.raw_authority
    if [host.lower() for host in headers.popall("Host", [authority])] != [authority]:
        raise refused("The header Host is given by the URL and cannot be another.", "invalid_request")
    shared = request.cookies.header(str(target.url)) if request.cookies is not None else ""
    if shared:
        headers["Cookie"] = "; ".join(filter(None, (*headers.popall("Cookie", []), shared)))
    headers.setdefault("Accept", "*/*")
    headers.setdefault("Accept-Encoding", ACCEPTED_ENCODINGS)
    headers.setdefault("User-Agent", user_agent)
    if TRACEPARENT not in headers:
        headers.update(traced)
    return headers


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    return io.BytesIO(body) if body is not None and len(body) > _WRITTEN_AT_ONCE else body


def _received(response: aiohttp.ClientResponse, *, unpacked: bool) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("utf-8", "replace"))
        for name, value in response.raw_headers
        if not (unpacked and name.decode("latin-1").lower() in _OF_PACKED_BODY)
    ]


def _failure(error: aiohttp.ClientError, host: str, *, sent: bool) -> EgressFailure:
    """Say in one of our words what aiohttp says in its many classes."""
    kind: FailureKind
    match error:
        case aiohttp.ClientConnectorError(os_error=BlockedAddress()):
            return refused(f"The address behind {host} is not open to calls from here.", "blocked_address")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            kind, message = "tls", f"The certificate or encryption of {host} could not be accepted."
        case aiohttp.ClientConnectorDNSError():
            kind, message = "connect", f"The name {host} could not be found."
        case aiohttp.ClientConnectorError():
            kind, message = "connect", f"{host} did not accept the connection."
        case aiohttp.ServerTimeoutError():
            kind, message = "timeout", f"{host} did not accept the connection in time."
        case _:
            kind, message = "protocol", f"The connection to {host} broke, or its answer is not valid HTTP."
    return EgressFailure(kind, message, sent=sent)
