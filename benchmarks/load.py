"""A small HTTP load generator: N connections, each sending the next request when the last was answered.

Written on bare protocols, because a client library would cost more than the server it measures. With
``rate`` it sends at a fixed pace and measures from the moment a request was due, so that a slow
answer cannot hide the ones behind it.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from itertools import cycle
from typing import cast

import uvloop

ORDER = {
    "id": "A-1",
    "qty": 3,
    "price": 50,
    "customer": {"name": "Dana Miller", "email": "dana@acme-crm.example"},
    "items": [{"sku": "TABLE-2", "title": "Oak side table", "quantity": 2, "price": 69.0}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What one run of the generator saw; times in milliseconds."""

    requests: int
    failed: int
    seconds: float
    per_second: float
    p50: float
    p99: float
    slowest: float


class _Connection(asyncio.Protocol):
    def __init__(self, load: "Load") -> None:
        self._load = load
        self._buffer = b""
        self._due = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class, of the same shape
        self.send_next()

    def send_next(self) -> None:
        due = self._load.next_due()
        if due is None:
            self._transport.close()
            return
        wait = due - time.perf_counter()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._send, due)
        else:
            self._send(due)

    def _send(self, due: float) -> None:
        self._due = due
        self._transport.write(self._load.next_request())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        start = head.find(b"content-length:") + 15
        length = int(head[start:].partition(b"\r\n")[0])
        if len(self._buffer) < end + 4 + length:
            return
        self._load.answered(time.perf_counter() - self._due, ok=head.startswith(b"http/1.1 200"))
        self._buffer = self._buffer[end + 4 + length :]
        self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the shape asyncio asks for
        if not self.ended.done():
            self.ended.set_result(None)


class Load:
    """One run: ``requests`` over ``connections``, as fast as answered or at ``rate`` per second.

    ``path`` may be several with commas between them, which take turns.
    """

    def __init__(self, host: str, port: int, path: str, *, requests: int, connections: int, rate: float) -> None:
        body = json.dumps(ORDER).encode()
        head = f"Host: {host}:{port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._requests = cycle([f"POST {one} HTTP/1.1\r\n{head}".encode() + body for one in path.split(",")])
        self._target = (host, port)
        self._left = requests
        self._connections = connections
        self._interval = 1 / rate if rate else 0.0
        self._next = 0.0
        self._times: list[float] = []
        self._failed = 0

    def next_request(self) -> bytes:
        return next(self._requests)

    def next_due(self) -> float | None:
        if self._left <= 0:
            return None
        self._left -= 1
        if not self._interval:
            return time.perf_counter()
        self._next += self._interval
        return self._next

    def answered(self, seconds: float, *, ok: bool) -> None:
        self._times.append(seconds * 1000)
        self._failed += not ok

    async def run(self) -> LoadResult:
        loop = asyncio.get_running_loop()
        began = self._next = time.perf_counter()
        protocols = []
        for _ in range(self._connections):
            _, protocol = await loop.create_connection(lambda: _Connection(self), *self._target)
            protocols.append(protocol)
        await asyncio.gather(*(protocol.ended for protocol in protocols))
        seconds = time.perf_counter() - began
        times = sorted(self._times)
        return LoadResult(
            requests=len(times),
            failed=self._failed,
            seconds=round(seconds, 2),
            per_second=round(len(times) / seconds, 1),
            p50=round(times[len(times) // 2], 2),
            p99=round(times[int(len(times) * 0.99)], 2),
            slowest=round(times[-1], 2),
        )


def main() -> None:
    """Run in a process of its own: HOST PORT PATH REQUESTS CONNECTIONS RATE."""
    host, port, path, requests, connections, rate = sys.argv[1:7]
    load = Load(host, int(port), path, requests=int(requests), connections=int(connections), rate=float(rate))
    json.dump(asdict(uvloop.run(load.run())), sys.stdout)


if __name__ == "__main__":
    main()
