"""Care of the execution tables: partitions ahead of time, rows that have had their time.

Any worker may run it at any moment; each statement is safe to run twice and at once.
"""

import asyncio

import structlog

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database.shards import Shards

_DAYS_AHEAD = 7
_HOUR = 3600.0
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


async def keep_up(shards: Shards) -> None:
    """Run the care every hour, for as long as the process serves."""
    while True:
        try:
            made = await ensure_partitions(shards)
        except Unavailable as error:
            _log.warning("upkeep_failed", error=error.message)
        else:
            if made:
                _log.info("partitions_made", count=made)
        await asyncio.sleep(_HOUR)
