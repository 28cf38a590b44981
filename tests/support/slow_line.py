"""A line between the product and one of its servers that a test can freeze: nothing arrives, nothing breaks.

It forwards a port on a thread of the test process. While it is frozen both sides keep their connections and may go on
writing; on the thaw everything arrives, late and in order. That is what a silent partition of the network looks like.
It can also hold only the answers, and then be cut: what was asked is done, and whoever asked will never know.
"""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from support.network import free_port

_PATIENCE = 10.0
_PIECE = 64 * 1024


class SlowLine:
    """See the module."""

    def __init__(self, to_port: int) -> None:
        self.port = free_port()
        self._to_port = to_port
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._answering = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._waiting: dict[int, bytes] = {}
        self._ends_flow = b""
        self._ends_answers = b""
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slow line", daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(_PATIENCE), "the line did not start"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive(), "the line did not stop"

    def freeze(self) -> None:
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def freeze_at(self, text: bytes) -> None:
        """Freeze as soon as this is written into the line, before it arrives."""
        self._ends_flow = text

    def thaw(self) -> None:
        self._ends_flow = b""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def hold_answers(self) -> None:
        """Let everything arrive there and nothing come back, until the line is cut."""
        self._loop.call_soon_threadsafe(self._answering.clear)

    def hold_answers_at(self, text: bytes) -> None:
        """Hold answers from when this is asked: it arrives, and is done."""
        self._ends_answers = text

    def cut(self) -> None:
        """Break all connections, with what is held; new ones work."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        self._ends_answers = b""
        for writer in list(self._open):
            writer.transport.abort()
        self._answering.set()

    def holds(self, text: bytes) -> bool:
        """Say whether this was written into the frozen line, in whichever direction."""
        return any(text in piece for piece in list(self._waiting.values()))

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._flowing.set()
        self._answering.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._connect, "127.0.0.1", self.port))
        self._started.set()
        try:
            self._loop.run_forever()
        finally:
            server.close()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            writer.close()
            return
        self._open |= {back, writer}
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer, self._answering))
        self._open -= {back, writer}

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gate: asyncio.Event | None = None
    ) -> None:
        """Carry one direction, as long as both ends are there."""
        try:
            while piece := await reader.read(_PIECE):
                self._waiting[id(reader)] = piece
                if self._ends_flow and self._ends_flow in piece:
                    self._flowing.clear()
                if self._ends_answers and self._ends_answers in piece:
                    self._answering.clear()
                await self._flowing.wait()
                if gate is not None:
                    await gate.wait()
                del self._waiting[id(reader)]
                writer.write(piece)
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass  # one end is gone, or the line is taken down
        finally:
            self._waiting.pop(id(reader), None)
            writer.close()


@contextlib.contextmanager
def slow_line(to_port: int) -> Iterator[SlowLine]:
    """Lay a line to a port of this machine."""
    line = SlowLine(to_port)
    line.start()
    try:
        yield line
    finally:
        line.stop()
