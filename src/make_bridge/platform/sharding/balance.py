"""How evenly the shards are loaded: gauges for each, how far the busiest is above the mean, a warning beyond a bound.

A loop in each process that works. The ring spreads organizations, not their load: one that is busier than all others
shows here, and ``make-bridge shards pin`` gives it a shard of its own. What does not answer is left out of the mean.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

import structlog

from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import ShardGauges
from make_bridge.platform.sharding.config import BalanceConfig
from make_bridge.platform.sharding.load import ShardLoad, load_of
from make_bridge.platform.sharding.moving_model import Standing
from make_bridge.platform.sharding.scatter import scatter

CountOf = Callable[[], Awaitable[Mapping[int, int]]]
MovesOf = Callable[[], Awaitable[Standing]]
# Below so many (waiting, or stored a second) on the mean shard nobody is busy, and chance decides who is busiest.
LEAST_BUSY: Final = 5.0
_AGAIN_SECONDS: Final = 600.0
_log = structlog.get_logger(__name__)


class Balance:
    """See the module."""

    def __init__(
        self, shards: Shards, organizations: CountOf, moves: MovesOf, gauges: ShardGauges, config: BalanceConfig
    ) -> None:
        """``organizations`` tells how many live on each shard, ``moves`` how their moves stand."""
        self._moves = moves
        self._shards = shards
        self._organizations = organizations
        self._gauges = gauges
        self._config = config
        self._before: Mapping[int, ShardLoad] = {}
        self._looked_at = 0.0
        self._told_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._keep_looking(), name="shard balance")

    async def stop(self) -> None:
        """Stop between two looks."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def look(self) -> float:
        """Look once; return the imbalance, 1 where nobody is busy."""
        now = asyncio.get_running_loop().time()
        for number, count in (await self._organizations()).items():
            self._gauges.organizations.labels(str(number)).set(count)
        self._tell_moves(await self._moves())
        found = (await scatter(self._shards.all(), load_of)).answers
        loads = {
            number: _busyness(load, self._before.get(number), now - self._looked_at) for number, load in found.items()
        }
        self._before, self._looked_at = found, now
        for number, busy in loads.items():
            self._gauges.load.labels(str(number)).set(busy)
        uneven = imbalance(loads)
        self._gauges.imbalance.set(uneven)
        if uneven > self._config.most and now - self._told_at >= _AGAIN_SECONDS:
            self._told_at = now
            busiest = max(loads, key=lambda number: loads[number])
            _log.warning("shards_uneven", imbalance=round(uneven, 2), busiest=busiest, bound=self._config.most)
        return uneven

    def _tell_moves(self, standing: Standing) -> None:
        for state, gauge in self._gauges.moves.items():
            gauge.set(standing.counts[state])
        self._gauges.paused.set(standing.paused_seconds)
        self._gauges.longest_pause.set(standing.longest_pause)

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self.look()
            except BridgeError as error:
                _log.warning("shard_balance_failed", error=error.message)
            except Exception:  # noqa: BLE001
                # A figure that cannot be read is no reason to lose all others for good.
                _log.exception("shard_balance_failed")
            await asyncio.sleep(self._config.seconds)


def imbalance(loads: Mapping[int, float]) -> float:
    """Return how many times the mean the busiest has; 1 for an even load, and where there is hardly any."""
    mean = sum(loads.values()) / len(loads) if loads else 0.0
    return 1.0 if mean < LEAST_BUSY else max(loads.values()) / mean


def _busyness(load: ShardLoad, before: ShardLoad | None, seconds: float) -> float:
    """Return what waits and what was stored a second since the look before; statistics that began anew are none."""
    stored = 0.0 if before is None or seconds <= 0 else max(load.stored - before.stored, 0) / seconds
    return load.queued + stored
