"""How long the oldest work has waited that a worker could begin, by class: what an autoscaler looks at.

The page of counters asks. Left out is what more workers would not help: runs that wait for the one before them, timers,
and what waits for a limit of usage. The look jumps from team to team by the claim's own index, so it costs the same
whether thousands wait or a million; beyond so many teams it stops, and tells of those.
"""

from collections.abc import Mapping
from typing import Final

from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.queue.leases import DEFAULT, HIGH, LOW
from make_bridge.platform.sharding.scatter import scatter

_MOST_TEAMS: Final = 1000
_SECONDS: Final = 1.0
_NAMES: Final[Mapping[int, str]] = {HIGH: "high", DEFAULT: "default", LOW: "low"}
# Without it a moment of a full queue and old statistics reads a million rows.
_BY_INDEX: Final = "SET LOCAL enable_seqscan = off"
_OLDEST: Final = """
WITH RECURSIVE first AS (
    (SELECT class, team_id, ready_at FROM shard.queue
     WHERE lease_until IS NULL AND ordering_key IS NULL AND kind <> 'incomplete.retry' AND class < 3
     ORDER BY class, team_id, ready_at, id LIMIT 1)
    UNION ALL
    SELECT following.* FROM first CROSS JOIN LATERAL (
        SELECT q.class, q.team_id, q.ready_at FROM shard.queue q
        WHERE q.lease_until IS NULL AND q.ordering_key IS NULL AND q.kind <> 'incomplete.retry' AND q.class < 3
          AND (q.class, q.team_id) > (first.class, first.team_id)
        ORDER BY q.class, q.team_id, q.ready_at, q.id LIMIT 1
    ) following
)
SELECT class, extract(epoch FROM greatest(clock_timestamp() - min(ready_at), '0'))::float8 AS seconds
FROM (SELECT * FROM first LIMIT %s) looked_at GROUP BY class
"""


async def oldest_waiting(shards: Shards) -> dict[str, float]:
    """Return the seconds for each class, over all shards that answer; 0 where nothing waits."""
    oldest = dict.fromkeys(_NAMES.values(), 0.0)
    for found in (await scatter(shards.all(), _oldest_of, seconds=_SECONDS)).answers.values():
        for queue_class, seconds in found.items():
            oldest[queue_class] = max(oldest[queue_class], seconds)
    return oldest


async def _oldest_of(shard: Shard) -> dict[str, float]:
    async with shard.engine_write() as tx:
        await tx.execute(_BY_INDEX)
        rows = await tx.all(_OLDEST, (_MOST_TEAMS,))
    return {_NAMES[row["class"]]: row["seconds"] for row in rows}
