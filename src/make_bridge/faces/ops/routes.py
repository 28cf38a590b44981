"""``/live``, ``/ready``, ``/health``, ``/metrics`` and ``/slow-statements``.

Alive means that the event loop turns: nothing else, so that a database outage restarts nobody.
Ready means that the directory answers, and a shard: who lives on another is told to try again
(``health``). The rest is for the private side: another machine, or a proxy that speaks for one, finds
nothing there without the operator's token.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.faces.edge.access import PublicRoute
from make_bridge.faces.ops.health import Health
from make_bridge.kernel.errors import NotFound
from make_bridge.platform.observability.metrics import Metrics

SlowOf = Callable[[], Sequence[Mapping[str, object]]]
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDING = frozenset({"forwarded", "true-client-ip", "via", "x-forwarded-for", "x-forwarded-proto", "x-real-ip"})


@dataclass(slots=True, kw_only=True)
class Operations:
    """The endpoints with what they look at. Without ``token`` the counters are told to this machine only."""

    health: Health
    counters: Metrics
    token: str | None
    slow: SlowOf

    async def live(self, _request: Request) -> Response:
        """Answer as long as the loop turns."""
        return _json({"status": "live"}, 200)

    async def ready(self, _request: Request) -> Response:
        """Answer 200 when somebody can be served here, else 503 with the reasons; what is missing else is told."""
        if reasons := self.health.reasons():
            return _json({"status": "unready", "reasons": reasons}, 503)
        told: dict[str, object] = {"status": "ready"}
        if lacking := self.health.lacking():
            told["degraded"] = lacking
        return _json(told, 200)

    async def detail(self, request: Request) -> Response:
        """Answer all that is known of this process's health: 503 when it is not ready."""
        self._require_operator(request)
        return _json(self.health.detail(), 503 if self.health.reasons() else 200)

    async def metrics(self, request: Request) -> Response:
        """Answer the counters in the text format; no database is asked for them (``platform/observability``)."""
        self._require_operator(request)
        return Response(self.counters.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def slow_statements(self, request: Request) -> Response:
        """Answer which statements took too long in this process, the worst first."""
        self._require_operator(request)
        return _json({"statements": self.slow()}, 200)

    def _require_operator(self, request: Request) -> None:
        """Let in who knows the operator's token, and this machine; for anybody else there is nothing here."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        known = self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())
        if not known and not _is_local(request):
            raise NotFound("There is nothing at this address.")


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
        PublicRoute("/health", operations.detail, because="told to this machine only, checked by itself"),
        PublicRoute("/metrics", operations.metrics, because="the same"),
        PublicRoute("/slow-statements", operations.slow_statements, because="the same"),
    )


def _json(value: object, status: int) -> Response:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")
