"""``/live``, ``/ready`` and ``/metrics``.

Alive means that the event loop turns: nothing else, so that a database outage restarts nobody.
Ready means that the database answers. The counters are for the private side: another machine, or a
proxy that speaks for one, finds nothing there without the operator's token.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.faces.edge.access import PublicRoute
from make_bridge.kernel.errors import BridgeError, NotFound
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.redis.client import RedisClient

# Who asks learns within two seconds that the database is away.
_PATIENCE = 1.5
CountOf = Callable[[], Awaitable[int]]
_WITHOUT_REDIS = "Redis does not answer: each server lets its part of the rate limits through."
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDING = frozenset({"forwarded", "true-client-ip", "via", "x-forwarded-for", "x-forwarded-proto", "x-real-ip"})


class Operations:
    """The endpoints with what they look at."""

    def __init__(
        self,
        shards: Shards,
        metrics: Metrics,
        *,
        token: str | None,
        live_sessions: CountOf,
        redis: RedisClient | None = None,
    ) -> None:
        """Without ``token`` the counters are told to this machine only."""
        self._live_sessions = live_sessions
        self._redis = redis
        self._shards = shards
        self._metrics = metrics
        self._token = token

    async def live(self, _request: Request) -> Response:
        """Answer as long as the loop turns."""
        return _json({"status": "live"}, 200)

    async def ready(self, _request: Request) -> Response:
        """Answer 200 when every database answers, else 503 with the reason; what serves without is only told."""
        reasons = []
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._shards.reach()
        except (BridgeError, TimeoutError) as error:
            reasons.append(error.message if isinstance(error, BridgeError) else "The database does not answer.")
        if reasons:
            return _json({"status": "unready", "reasons": reasons}, 503)
        told: dict[str, object] = {"status": "ready"}
        if self._redis is not None and not self._redis.is_up:
            told["degraded"] = [_WITHOUT_REDIS]
        return _json(told, 200)

    async def metrics(self, request: Request) -> Response:
        """Answer the counters in the text format."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        known = self._token is not None and hmac.compare_digest(given.encode(), self._token.encode())
        if not known and not _is_local(request):
            raise NotFound("There is nothing at this address.")
        # Counted when somebody asks. Without the database the other counters matter most, and this one stays.
        with suppress(BridgeError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                self._metrics.sign_ins.sessions.set(await self._live_sessions())
        return Response(self._metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _is_local(request: Request) -> bool:
    """Say whether this machine asks for itself, by a name of its own.

    A proxy on it speaks for the world, and says so; or it passes on the name that the world has called.
    """
    host = request.client.host if request.client else ""
    if host not in _LOOPBACK or request.url.hostname not in _OWN_NAMES:
        return False
    return _FORWARDING.isdisjoint(request.headers.keys())


def ops_routes(operations: Operations) -> tuple[PublicRoute, ...]:
    """Return the routes."""
    return (
        PublicRoute("/live", operations.live, because="says only that the process runs"),
        PublicRoute("/ready", operations.ready, because="says only whether the process can serve"),
        PublicRoute("/metrics", operations.metrics, because="told to this machine only, checked by itself"),
    )


def _json(value: object, status: int) -> Response:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")
