"""How many scenarios are switched on, in the whole installation: for the page of metrics."""

from typing import Final

from make_bridge.platform.database.pools import Shard

# The function stands in the migration 0029; it counts an index that holds nothing else.
_COUNT: Final = "SELECT shard.count_active_scenarios() AS active"


async def count_active(shard: Shard) -> int:
    """Return how many on one shard are neither off, nor paused, nor invalid; raises Unavailable."""
    async with shard.engine_statement() as tx:
        row = await tx.one(_COUNT)
    return 0 if row is None else int(row["active"])
