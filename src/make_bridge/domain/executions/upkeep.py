"""Care of the tables: partitions ahead of time, and rows that have had their time.

Any worker may run it at any moment; each statement is safe to run twice and at once. Where many serve they would all do
the same at the same hour, so each waits a while for a lock, and puts a round off while somebody else is at it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from functools import partial

import structlog

from make_bridge.kernel.errors import BridgeError, Conflict, Unavailable
from make_bridge.platform.coordination.locks import Lock
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics.loops import LoopTurns

Care = Callable[[], Awaitable[int]]
_DAYS_AHEAD = 7
_HOUR = 3600.0
_WAIT_SECONDS = 30.0
_AGAIN_SECONDS = 60.0
_FORGET_ANSWERS = "SELECT shard.forget_answers() AS gone"
_ENSURE = "SELECT shard.ensure_partitions(%s) AS made"
_log = structlog.get_logger(__name__)


async def ensure_partitions(shards: Shards) -> int:
    """Make the partitions of the coming days on every shard; return how many were missing."""
    return await shards.everywhere("partitions_made", ensure_partitions_of)


async def ensure_partitions_of(shard: Shard) -> int:
    """Make the partitions of the coming days on one shard; return how many were missing. Raises Unavailable."""
    async with shard.engine_statement() as tx:
        row = await tx.one(_ENSURE, (_DAYS_AHEAD,))
        return int(row["made"]) if row else 0


async def forget_answers(shards: Shards) -> int:
    """Drop stored answers of idempotency keys after their day; return how many."""

    async def forget(shard: Shard) -> int:
        async with shard.engine_statement() as tx:
            row = await tx.one(_FORGET_ANSWERS)
            return int(row["gone"]) if row else 0

    return await shards.everywhere("answers_forgotten", forget)


async def keep_up(shards: Shards, more: Mapping[str, Care], loops: LoopTurns, lock: Lock | None = None) -> None:
    """Run the care every hour, for as long as the process serves; ``more`` are the other slices' own, by name."""
    cares: dict[str, Care] = {
        "partitions_made": partial(ensure_partitions, shards),
        "answers_forgotten": partial(forget_answers, shards),
        **more,
    }
    with loops.turning("upkeep", within=2 * _HOUR) as turned:
        while True:
            try:
                async with nullcontext() if lock is None else lock.held(within=_WAIT_SECONDS):
                    await _take_care(cares)
            except Conflict as error:
                # Somebody else is at it, which is as good.
                turned()
                await _put_off(error)
            except Unavailable as error:
                await _put_off(error)
            else:
                turned()
                await asyncio.sleep(_HOUR)


async def _put_off(error: BridgeError) -> None:
    _log.info("upkeep_put_off", error=error.message)
    await asyncio.sleep(_AGAIN_SECONDS)


async def _take_care(cares: Mapping[str, Care]) -> None:
    for name, care in cares.items():
        try:
            count = await care()
        except Unavailable as error:
            _log.warning("upkeep_failed", care=name, error=error.message)
        else:
            if count:
                _log.info(name, count=count)
