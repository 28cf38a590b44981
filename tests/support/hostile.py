"""A server that misbehaves as a test says: one coroutine talks on each connection, byte for byte.

It runs on a thread of the test process, so that it neither slows down nor is slowed down by what is under test. What it
counts are connections and requests; a caller that goes away ends its connection here.
"""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

_PATIENCE = 10.0
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one request said; names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass(slots=True, kw_only=True)
class Connection:
    """One caller. A talk ends by returning; then the connection is closed as usual."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: "Hostile"

    async def request(self) -> Request:
        """Read one request with its body, and count it."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is not None:
            await self.reader.readexactly(int(length[1]))
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ", 2)
        named = (line.partition(":") for line in lines)
        request = Request(method=method, path=path, headers={name.lower(): value.strip() for name, _, value in named})
        self.server.requests.append(request)
        return request

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes = b"{}", status: str = "200 OK", *headers: str) -> None:
        """Send a whole answer on a connection that stays."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def gone(self) -> None:
        """Wait until the caller has hung up."""
        await self.reader.read()

    def reset(self) -> None:
        """Break the connection off: the caller's system is told that it never was."""
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Talk = Callable[[Connection], Awaitable[None]]


@dataclass(slots=True, eq=False)
class Hostile:
    """See the module. Lists are appended to by the thread and only read by the test."""

    talk: Talk
    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    accepted: int = 0
    open: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _ready: threading.Event = field(default_factory=threading.Event)
    _tasks: "set[asyncio.Task[None] | None]" = field(default_factory=set)

    def url(self, path: str = "/", host: str | None = None) -> str:
        name = host or self.host
        shown = f"[{name}]" if ":" in name else name
        return f"{'https' if self.tls else 'http'}://{shown}:{self.port}{path}"

    def serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        listener = self._loop.run_until_complete(
            asyncio.start_server(self._handle, self.host, self.port, ssl=self.tls, limit=1024 * 1024)
        )
        self.port = listener.sockets[0].getsockname()[1]
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            listener.close()
            self._loop.run_until_complete(self._end())
            self._loop.close()

    async def _end(self) -> None:
        waiting = [task for task in self._tasks if task is not None]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            await self.talk(Connection(reader=reader, writer=writer, server=self))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def wait_ready(self) -> None:
        assert self._ready.wait(_PATIENCE), "the server did not start"


@contextlib.contextmanager
def misbehaving(
    talk: Talk, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Hostile]:
    """Run such a server."""
    server = Hostile(talk=talk, host=host, port=port, tls=tls)
    thread = threading.Thread(target=server.serve, name="hostile", daemon=True)
    thread.start()
    server.wait_ready()
    try:
        yield server
    finally:
        server.stop()
        thread.join(_PATIENCE)
        assert not thread.is_alive(), "the server did not stop"
