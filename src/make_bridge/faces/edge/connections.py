"""Connections: how long a client may take, and how much it may send, before there is a request to refuse.

The HTTP server under us waits for ever for the end of a request's head and keeps whatever it is sent of it; a few
thousand sockets that drip a byte now and then would hold every file the process may open. So a connection has its
head complete in time or is closed, as one is that stays idle; head lines (and the lines behind a body sent in pieces)
are counted as they come in; and there are only so many connections. A client that asks and does not read what it is
answered holds the answer in our memory: it has time by the answer's length, then it is cut off. ``cli`` serves with
``protocol_of`` and lets ``watch`` look at all connections once a second: that costs a request nothing but the note of
when it ended.

The body has its own deadline in ``pipeline``, where a refusal can still be told.
"""

import asyncio
import socket
import struct
from collections.abc import Iterable
from secrets import token_hex
from typing import Final

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from make_bridge.faces.edge.config import ConnectionLimits
from make_bridge.faces.edge.problems import problem_of
from make_bridge.faces.edge.protocol import BridgeHttpProtocol
from make_bridge.faces.edge.surfaces import REFUSED_UNREAD
from make_bridge.kernel.errors import BridgeError, InvalidInput, TooLarge, Unavailable

_log = structlog.get_logger(__name__)

_LOOKS_EVERY_SECONDS: Final = 1.0
# What a request line and the lines of a body in pieces may add to header lines of the largest size.
_SPARE_BYTES: Final = 4096
# A client that reads slower than this is as good as one that does not read.
_SLOWEST_BYTES_PER_SECOND: Final = 8192
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_MALFORMED: Final = "What was sent is not an HTTP/1.1 request."
_ELSEWHERE: Final = "The address of this request names another host than its Host header."
_CROWDED: Final = "This server has as many connections as it may have: try again in a moment."


class LimitedHttpProtocol(BridgeHttpProtocol):
    """One connection within its limits; ``protocol_of`` makes the class that knows them."""

    limits: ConnectionLimits
    quiet_since: float = 0.0
    _taken: int = 0
    _allowed: int = 0
    _has_answered: bool = False
    _unread: int = 0
    _read_until: float = 0.0
    _names_two_hosts: bool = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; one connection too many is told so and closed."""
        super().connection_made(transport)
        self.quiet_since = self.loop.time()
        self._allowed = self.limits.head_bytes + _SPARE_BYTES
        if len(self.connections) > self.limits.most:
            self._refuse(Unavailable(_CROWDED, code="too_many_connections"))

    def data_received(self, data: bytes) -> None:
        """Take a piece; raises nothing, but ends a connection whose head grows without end."""
        if self.transport.is_closing():
            return
        if self._inside_request:
            self._taken += len(data)
        super().data_received(data)
        if self._inside_request and self._taken > self._allowed and not self.transport.is_closing():
            message = f"The header lines of this request are larger than {self.limits.head_bytes} bytes."
            self._refuse(TooLarge(message, code="headers_too_large"))

    def on_message_begin(self) -> None:
        """Count anew."""
        self._taken, self._allowed = 0, self.limits.head_bytes + _SPARE_BYTES
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Take the head; its address may name a host, as it does for a proxy, but no other one."""
        if not self.url.startswith(b"/"):
            authority = self.url.partition(b"://")[2].partition(b"/")[0].partition(b"?")[0]
            hosts = [value.lower() for name, value in self.headers if name == b"host"]
            self._names_two_hosts = hosts != [authority.lower()]
            if self._names_two_hosts:
                # What a callback raises makes the parser stop and the request malformed.
                raise ValueError(_ELSEWHERE)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Leave a body to the edge; sent in pieces, it may have as much around it as in it."""
        self._allowed += 2 * len(body)
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Note when the connection fell quiet."""
        self._fell_quiet()
        super().on_response_complete()

    def on_plain_answer(self) -> None:
        """Note when the connection fell quiet."""
        self._fell_quiet()

    def _fell_quiet(self) -> None:
        self.quiet_since = self.loop.time()
        self._has_answered = True

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request in the shape of all refusals."""
        _log.info("request_malformed", reason=msg)
        if self._names_two_hosts:
            self._refuse(InvalidInput(_ELSEWHERE, code="invalid_host"))
            return
        self._refuse(InvalidInput(_MALFORMED, code="malformed_request"))

    def is_overdue(self, now: float) -> bool:
        """Say whether the next request is too long in coming; one that is being answered takes the time it takes."""
        if self.is_answering or not self._is_idle():
            return False
        allowed = self.limits.head_seconds + (self.limits.idle_seconds if self._has_answered else 0.0)
        return now - self.quiet_since > allowed

    def resume_writing(self) -> None:
        """Go on with an answer: most of what waited was read."""
        self._unread = 0
        super().resume_writing()

    def is_unread(self, now: float) -> bool:
        """Say whether an answer waits too long for its client; each look notes what waits."""
        waiting = self._wire.get_write_buffer_size()
        if not waiting:
            self._unread = 0
            return False
        if not self._unread:
            self._read_until = now + self.limits.write_seconds
        if waiting > self._unread:
            self._read_until += (waiting - self._unread) / _SLOWEST_BYTES_PER_SECOND
            self._unread = waiting
        return now > self._read_until

    def throw_away(self) -> None:
        """End the connection with all that waits for its client, in the kernel too: a plain close would keep that."""
        self._wire.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._wire.abort()

    def _refuse(self, error: BridgeError) -> None:
        if self._may_speak():
            problem = problem_of(error)
            request_id = token_hex(16)
            self._edge.note_refusal(problem.status, request_id, self.client[0] if self.client else "")
            body = problem.body(request_id)
            headers = (*REFUSED_UNREAD, *problem.headers, (b"x-request-id", request_id.encode()),
                       (b"content-length", str(len(body)).encode()), (b"connection", b"close"))  # fmt: skip
            head = b"".join(b"%b: %b\r\n" % pair for pair in headers)
            self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[problem.status], head, body))
        self.transport.close()

    def _may_speak(self) -> bool:
        """Say whether a refusal would stand where the client looks for an answer, and not inside another one."""
        if self.is_answering or self.pipeline:
            return False
        return self._is_idle() or not self.cycle.response_started


def protocol_of(limits: ConnectionLimits) -> type[LimitedHttpProtocol]:
    """Return the protocol for these limits: the server makes one per connection, and gives it nothing of ours."""

    class Protocol(LimitedHttpProtocol):
        pass

    Protocol.limits = limits
    return Protocol


async def watch(connections: Iterable[asyncio.Protocol], *, every: float = _LOOKS_EVERY_SECONDS) -> None:
    """Close what is overdue, for ever."""
    clock = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(every)
        now = clock.time()
        for connection in list(connections):
            if not isinstance(connection, LimitedHttpProtocol):
                continue
            if connection.is_overdue(now):
                connection.transport.abort()
            elif connection.is_unread(now):
                connection.throw_away()
