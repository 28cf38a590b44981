"""Ports that say what a run is waiting for, so that a long one is not a silent one. Used by ``blueprint run``."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from make_bridge.engine.ports import HttpClient, HttpRequest, HttpResponse, Sleeper

RUNNING: Final = "Running …"
_WORTH_SAYING: Final = 1.0


class WatchedHttp:
    """Calls out, each one said; of an address only what cannot hold a secret."""

    def __init__(self, inner: HttpClient, tell: Callable[[str], None]) -> None:
        """Send through `inner`."""
        self._inner = inner
        self._tell = tell
        self._calls = 0

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Say it, and send it."""
        self._calls += 1
        self._tell(f"Call {self._calls}: {request.method} {urlsplit(request.url).hostname} …")
        try:
            return await self._inner.send(request)
        finally:
            self._tell(RUNNING)


class WatchedSleeper:
    """Sleeps, the longer ones said."""

    def __init__(self, inner: Sleeper, tell: Callable[[str], None]) -> None:
        """Sleep through `inner`."""
        self._inner = inner
        self._tell = tell

    async def sleep(self, seconds: float) -> None:
        """Say it, and sleep."""
        if seconds >= _WORTH_SAYING:
            self._tell(f"Sleeping {seconds:g} s …")
        await self._inner.sleep(seconds)
        if seconds >= _WORTH_SAYING:
            self._tell(RUNNING)
