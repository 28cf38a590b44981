"""The HTTP protocol under the application: uvicorn's, with a short way for the plainest requests.

Two things make a webhook cheap here. A whole, plain POST (``plain_http``) to a face that answers such
requests goes there directly: without the incremental parser, the ASGI messages and their objects, which
together cost more than storing the call. And head and body of any other answer leave together: uvicorn
writes them one after the other, and each write is a system call that wakes the peer.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from make_bridge.faces.edge.pipeline import Edge
from make_bridge.faces.edge.plain_http import read_plain

_MOST_WAITING = 1 << 18


class _Cork:
    """A transport that holds writes back until the loop's next turn; everything else goes straight through."""

    __slots__ = ("_loop", "_pieces", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._pieces:
            self._loop.call_soon(self._flush)
        self._pieces.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        pieces, self._pieces = self._pieces, []
        if pieces and not self._transport.is_closing():
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


class BridgeHttpProtocol(HttpToolsProtocol):
    """One connection. Once ``is_ending`` is set on the class, each answer is its connection's last, and says so."""

    is_ending: bool = False

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Begin between two requests; the application is the edge itself, with nothing wrapped around it."""
        super().__init__(config, server_state, app_state, _loop)
        if not isinstance(self.app, Edge):
            raise TypeError(f"This protocol serves the edge, not {type(self.app).__name__}.")
        self._edge = self.app
        self._inside_request = False
        self._answering: asyncio.Task[None] | None = None
        self._waiting = b""
        self._is_last = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, with the transport corked for the long way."""
        self._wire = transport
        super().connection_made(cast("asyncio.Transport", _Cork(transport, self.loop)))

    def data_received(self, data: bytes) -> None:
        """Take the short way with a plain request; what comes before its answer waits."""
        if self._answering is not None:
            self._waiting += data
            if len(self._waiting) > _MOST_WAITING:
                self._wire.pause_reading()
        elif not self._take_plain(data):
            super().data_received(data)

    def _take_plain(self, data: bytes) -> bool:
        if self._inside_request or not self._is_idle():
            return False
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            return False
        request = read_plain(data)
        face = None if request is None else self._edge.takes_plain(request.path)
        if request is None or face is None:
            return False
        self._unset_keepalive_if_required()
        self.on_plain_request()
        answer = self._edge.answer_plain(
            request, face, self.server_state.default_headers, self.client[0] if self.client else ""
        )
        self._answering = self.loop.create_task(self._write(answer))
        return True

    def _is_idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    async def _write(self, answer: Coroutine[Any, Any, bytes]) -> None:
        """Send the answer, then go on with what has come meanwhile."""
        wire = self._wire
        try:
            written = await answer
            if self.flow.write_paused and not wire.is_closing():
                await self.flow.drain()
        except BaseException:
            wire.close()
            raise
        self._answering = None
        self.on_plain_answer()
        self.server_state.total_requests += 1
        if wire.is_closing():
            return
        if self._is_last or self.is_ending:
            wire.write(written.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))
            wire.close()
            return
        wire.write(written)
        if self._waiting:
            data, self._waiting = self._waiting, b""
            wire.resume_reading()
            self.data_received(data)

    @property
    def is_answering(self) -> bool:
        """Whether a plain request is being answered."""
        return self._answering is not None

    def on_plain_request(self) -> None:
        """Hear that a request takes the short way."""

    def on_plain_answer(self) -> None:
        """Hear that it was answered."""

    def shutdown(self) -> None:
        """End the connection, after the answer that is under way."""
        if self._answering is None:
            super().shutdown()
        else:
            self._is_last = True

    def on_headers_complete(self) -> None:
        """Begin the answer; the last one takes its connection along."""
        super().on_headers_complete()
        if self.is_ending and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_begin(self) -> None:
        """Note that the parser holds a part of a request."""
        self._inside_request = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Note that it does not any more."""
        self._inside_request = False
        super().on_message_complete()
