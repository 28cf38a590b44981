"""What a shard has to carry, by its own figures: size, what waits in its queue, and how many rows of runs it was given.

Asked by ``shards list`` and by the watch over loads. The number of runs is PostgreSQL's own count of rows inserted into
the partitions of executions since its statistics began: two looks make a rate, and no table is read for it.
"""

from dataclasses import dataclass
from typing import Final

from make_bridge.platform.database.pools import Shard

MOST_COUNTED: Final = 100_000
_LOAD: Final = """
SELECT pg_database_size(current_database()) AS size,
    (SELECT count(*) FROM (SELECT 1 FROM shard.queue LIMIT %s) counted) AS queued,
    (SELECT coalesce(sum(s.n_tup_ins), 0)::bigint FROM pg_stat_user_tables s
     JOIN pg_inherits i ON i.inhrelid = s.relid
     WHERE i.inhparent = 'shard.executions'::regclass
        OR i.inhparent IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'shard.executions'::regclass)) AS stored
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardLoad:
    """One look; ``queued`` stops at ``MOST_COUNTED``, ``stored`` only ever rises while the statistics last."""

    size: int
    queued: int
    stored: int


async def load_of(shard: Shard) -> ShardLoad:
    """Look; raises Unavailable."""
    async with shard.engine_statement() as tx:
        row = await tx.one(_LOAD, (MOST_COUNTED,))
    if row is None:
        return ShardLoad(size=0, queued=0, stored=0)
    return ShardLoad(size=row["size"], queued=row["queued"], stored=row["stored"])
