"""A server that is called, by scenarios or by what exports spans: it answers at once, in a process of its own.

On bare protocols, like the load generator, because what it costs is taken from the server under measurement.
"""

import asyncio
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import uvloop

PORT = 18090
_BODY = b'{"stock": 7}'
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
# What a collector says that took everything: an empty message.
_TAKEN = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class, of the same shape

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            start = head.find(b"content-length:")
            length = int(head[start + 15 :].partition(b"\r\n")[0]) if start >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._transport.write(_TAKEN if b"application/x-protobuf" in head else _ANSWER)


@contextmanager
def answering() -> Iterator[str]:
    """Start the target and return its address."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.target"])
    url = f"http://127.0.0.1:{PORT}/"
    try:
        _until_it_answers(url, time.perf_counter() + 10)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _until_it_answers(url: str, deadline: float) -> None:
    while time.perf_counter() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310  the address is our own
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.01)
    raise RuntimeError("the target did not start")


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", PORT, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
