"""Care of the tables: partitions ahead of time, and rows that have had their time.

Any worker may run it at any moment; each statement is safe to run twice and at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database.shards import Shards

Care = Callable[[], Awaitable[int]]
_DAYS_AHEAD = 7
_HOUR = 3600.0
_FORGET_ANSWERS = "SELECT shard.forget_answers() AS gone"
_ENSURE = "SELECT shard.ensure_partitions(%s) AS made"
_log = structlog.get_logger(__name__)


async def ensure_partitions(shards: Shards) -> int:
    """Make the partitions of the coming days on every shard; return how many were missing."""
    made = 0
    for shard in shards.all():
        async with shard.engine_statement() as tx:
            row = await tx.one(_ENSURE, (_DAYS_AHEAD,))
            made += int(row["made"]) if row else 0
    return made


async def forget_answers(shards: Shards) -> int:
    """Drop stored answers of idempotency keys after their day; return how many."""
    gone = 0
    for shard in shards.all():
        async with shard.engine_statement() as tx:
            row = await tx.one(_FORGET_ANSWERS)
            gone += int(row["gone"]) if row else 0
    return gone


async def keep_up(shards: Shards, more: Mapping[str, Care]) -> None:
    """Run the care every hour, for as long as the process serves; ``more`` are the other slices' own, by name."""
    cares: dict[str, Care] = {
        "partitions_made": partial(ensure_partitions, shards),
        "answers_forgotten": partial(forget_answers, shards),
        **more,
    }
    while True:
        for name, care in cares.items():
            try:
                count = await care()
            except Unavailable as error:
                _log.warning("upkeep_failed", care=name, error=error.message)
            else:
                if count:
                    _log.info(name, count=count)
        await asyncio.sleep(_HOUR)
