"""A server that scenarios call: it notes every call, and answers at once, late, or when the test says so.

It runs on a thread of the test process, so a paused or killed server under test does not disturb it. A call counts as
in flight from its arrival until its answer, or until its caller is gone. It listens on several ports, because the
product opens only so many connections to one of them.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from support.network import free_port

_PATIENCE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call that arrived; `at` is the monotonic clock of this machine."""

    at: float
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class Hold:
    """Calls that arrive while a hold is in force wait for its release."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.open = asyncio.Event()
        self.is_in_force = True

    def end(self) -> None:
        """Hold no further calls; those that wait, wait on."""
        self.is_in_force = False

    def release(self) -> None:
        """Answer all that wait."""
        self.end()
        self._loop.call_soon_threadsafe(self.open.set)


class Target:
    """See the module. Lists are appended to by the thread and only read by the test."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self.calls: list[Call] = []
        self.in_flight = 0
        self.linger = 0.0
        self.answer: dict[str, Any] = {"received": True}
        self.statuses: dict[str, int] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.quoting: set[str] = set()
        """What is asked for below these paths is answered with everything the caller sent, headers too."""
        self._loop = asyncio.new_event_loop()
        self._hold: Hold | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="target", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(_PATIENCE), "the target did not start"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive(), "the target did not stop"

    def hold(self) -> Hold:
        """Let all calls that arrive from now on wait."""
        self._hold = Hold(self._loop)
        return self._hold

    def calls_to(self, path: str) -> list[Call]:
        return [call for call in self.calls if call.path == path]

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._open())
        self._started.set()
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(runner.cleanup())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _open(self) -> web.AppRunner:
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self._handle)
        # A caller that is gone ends its call here: what is in flight is what somebody waits for.
        runner = web.AppRunner(application, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        for port in self.ports:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner

    async def _handle(self, request: web.Request) -> web.Response:
        call = Call(
            at=time.monotonic(),
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
        )
        self.calls.append(call)
        self.in_flight += 1
        try:
            if self._hold is not None and self._hold.is_in_force:
                await self._hold.open.wait()
            elif self.linger:
                await asyncio.sleep(self.linger)
            status, headers = self.statuses.get(request.path, 200), self.headers.get(request.path)
            if request.path in self.quoting:
                return _quoted(call, status)
            return web.json_response(self.answer, status=status, headers=headers)
        finally:
            self.in_flight -= 1


def _quoted(call: Call, status: int) -> web.Response:
    """Say what was sent: as text in the body and, on one line, in a header and a cookie."""
    sent = {"path": call.path, "query": dict(call.query), "headers": dict(call.headers), "body": call.body.decode()}
    text = json.dumps(sent)
    headers = {"X-Quoted": text, "Set-Cookie": f"seen={call.headers.get('authorization', '')}"}
    return web.Response(status=status, text=text, headers=headers, content_type="application/json")


@contextlib.contextmanager
def serving_target(ports: int = 1) -> Iterator[Target]:
    """Run a target on so many ports."""
    target = Target([free_port() for _ in range(ports)])
    target.start()
    try:
        yield target
    finally:
        target.stop()
