"""Wiring of the figures that databases are asked for, and of those that parts of a process tell of themselves."""

from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import TypeVar

import structlog

from make_bridge.domain.executions.promise_store import broken_promises
from make_bridge.domain.scenarios.active_store import count_active
from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.observability.readings import Readings
from make_bridge.platform.queue.depth import CLASSES, depth_of
from make_bridge.platform.queue.oldest import oldest_waiting
from make_bridge.platform.sharding.scatter import scatter

Answer = TypeVar("Answer")
CountOf = Callable[[], Awaitable[int]]
_log = structlog.get_logger(__name__)


def readings_of(shards: Shards, live_sessions: CountOf, metrics: Metrics, *, every: float, patience: float) -> Readings:
    """Return what asks the databases for figures, ``every`` so many seconds, for so long at most."""
    asking = _Asking(shards, live_sessions, metrics, timedelta(seconds=every))
    reads = {
        "sessions": asking.sessions,
        "queue": asking.queue,
        "scenarios": asking.scenarios,
        "promises": asking.promises,
    }
    return Readings(metrics.readings, reads, every=every, patience=patience)


class _Asking:
    """Each look; what a shard said last stands for it while it is silent."""

    def __init__(self, shards: Shards, live_sessions: CountOf, metrics: Metrics, every: timedelta) -> None:
        self._shards = shards
        self._live_sessions = live_sessions
        self._metrics = metrics
        self._every = every
        self._active: dict[int, int] = {}

    async def sessions(self) -> None:
        self._metrics.sign_ins.sessions.set(await self._live_sessions())

    async def queue(self) -> None:
        queue = self._metrics.queue
        for queue_class, seconds in (await oldest_waiting(self._shards)).items():
            queue.oldest.labels(queue_class).set(seconds)
        found, silent = await self._everywhere(depth_of)
        for name in CLASSES:
            queue.depth.labels(name).set(sum(depth.waiting[name] for depth in found.values()))
        queue.held.set(sum(depth.held for depth in found.values()))
        queue.overdue.set(sum(depth.overdue for depth in found.values()))
        _require_all(silent)

    async def scenarios(self) -> None:
        found, silent = await self._everywhere(count_active)
        here = {shard.number for shard in self._shards.all()}
        self._active = {number: count for number, count in (self._active | found).items() if number in here}
        self._metrics.executions.active_scenarios.set(sum(self._active.values()))
        _require_all(silent)

    async def promises(self) -> None:
        found, silent = await self._everywhere(lambda shard: broken_promises(shard, self._every))
        for number, broken in found.items():
            for promise, ids in broken.items():
                if ids:
                    self._metrics.executions.promises[promise].inc(len(ids))
                    _log.error("promise_broken", promise=promise, shard=number, executions=ids[:10])
        _require_all(silent)

    async def _everywhere(
        self, ask: Callable[[Shard], Coroutine[None, None, Answer]]
    ) -> tuple[dict[int, Answer], list[int]]:
        scattered = await scatter(self._shards.all(), ask)
        return dict(scattered.answers), list(scattered.silent)


def _require_all(silent: list[int]) -> None:
    """Let a look at some shards only grow old."""
    if silent:
        raise Unavailable(f"The shards {', '.join(map(str, silent))} did not answer.")
