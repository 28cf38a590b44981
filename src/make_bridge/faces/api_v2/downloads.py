"""Answers in pieces: what is longer than anybody wants to hold is sent as it is read."""

import asyncio
from collections.abc import AsyncIterator

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

_log = structlog.get_logger(__name__)


class Download(StreamingResponse):
    """An answer in pieces that has to be taken within a time; who is slower finds the connection cut."""

    def __init__(self, pieces: AsyncIterator[bytes], *, headers: dict[str, str], seconds: float) -> None:
        """``seconds`` is how long the whole answer may take."""
        super().__init__(pieces, headers=headers)
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            async with asyncio.timeout(self._seconds):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            _log.warning("download_cut", seconds=self._seconds)
