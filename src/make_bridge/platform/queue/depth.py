"""How much waits in the queue, by class, and how much is held: for the page of metrics.

Each number goes by the index that claims go by, and stops at so many: whether a million waits or two, somebody has to
look. What is held is bounded by what workers run.
"""

from dataclasses import dataclass
from typing import Final

from make_bridge.platform.database.pools import Shard

MOST_COUNTED: Final = 100_000
CLASSES: Final = ("high", "default", "low", "deferred", "ordered", "timer")
_DEPTH: Final = """
WITH ready AS (
    SELECT class.number, (SELECT count(*) FROM (
        SELECT FROM shard.queue q
        WHERE q.class = class.number AND q.lease_until IS NULL AND q.ordering_key IS NULL
          AND q.kind <> 'incomplete.retry' LIMIT %(most)s) waiting) AS rows
    FROM generate_series(0, 3) AS class(number)
)
SELECT (SELECT array_agg(rows ORDER BY number) FROM ready) AS ready,
    (SELECT count(*) FROM (
        SELECT FROM shard.queue
        WHERE ordering_key IS NOT NULL AND lease_until IS NULL LIMIT %(most)s) lanes) AS ordered,
    (SELECT count(*) FROM (
        SELECT FROM shard.queue
        WHERE lease_until IS NULL AND kind = 'incomplete.retry' LIMIT %(most)s) timers) AS timer,
    (SELECT count(*) FROM shard.queue WHERE lease_until IS NOT NULL) AS held,
    (SELECT count(*) FROM shard.queue WHERE lease_until < now()) AS overdue
"""
# Without it a moment of a full queue and old statistics reads a million rows.
_BY_INDEX: Final = "SET LOCAL enable_seqscan = off"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """One look at a shard: rows that wait, by class, and leases, with those that nobody has extended in time."""

    waiting: dict[str, int]
    held: int
    overdue: int


async def depth_of(shard: Shard) -> QueueDepth:
    """Look; raises Unavailable."""
    async with shard.engine_write() as tx:
        await tx.execute(_BY_INDEX)
        row = await tx.one(_DEPTH, {"most": MOST_COUNTED})
    if row is None:
        return QueueDepth(waiting=dict.fromkeys(CLASSES, 0), held=0, overdue=0)
    waiting = dict(zip(CLASSES, (*row["ready"], row["ordered"], row["timer"]), strict=True))
    return QueueDepth(waiting=waiting, held=row["held"], overdue=row["overdue"])
