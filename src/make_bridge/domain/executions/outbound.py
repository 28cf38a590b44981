"""The engine's ports on the platform: calls out through the egress guard, waiting on the loop.

The engine knows no socket; every call of every scenario goes through the one guarded client.
"""

import asyncio
from typing import Final

from make_bridge.engine.ports import FailureKind, HttpFailure, HttpRequest, HttpResponse
from make_bridge.platform.egress.client import EgressClient
from make_bridge.platform.egress.messages import EgressFailure, EgressRequest

_KINDS: Final[dict[str, FailureKind]] = {
    "refused": "refused",
    "timeout": "timeout",
    "too_large": "too_large",
}


class GuardedHttp:
    """``HttpClient`` over the egress client."""

    def __init__(self, client: EgressClient) -> None:
        """Share one client over all runs of the process."""
        self._client = client

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send it; raises HttpFailure."""
        outgoing = EgressRequest(
            url=request.url,
            method=request.method,
            headers=list(request.headers),
            body=request.body,
            timeout=request.timeout,
            follow_redirects=request.follow_redirects,
            max_response_bytes=request.max_bytes,
            verify_tls=request.verify_tls,
        )
        try:
            answer = await self._client.send(outgoing)
        except EgressFailure as failure:
            raise HttpFailure(_KINDS.get(failure.kind, "connect"), failure.message) from failure
        return HttpResponse(status=answer.status, headers=tuple(answer.headers), body=answer.body)


class LoopSleeper:
    """``Sleeper`` on the event loop."""

    async def sleep(self, seconds: float) -> None:
        """Wait without holding anything but the lease."""
        await asyncio.sleep(seconds)
