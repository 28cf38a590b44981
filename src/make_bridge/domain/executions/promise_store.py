"""Looking whether what was promised of runs is so: nothing accepted is lost, and what is held is held once.

For the page of metrics. The look takes a sample: of the runs that were accepted around one moment, a minute ago, and of
what is held at present. It finds what a whole class of faults would do to many runs, not what befell a single one.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from make_bridge.platform.database.pools import Shard

LOST, WITHOUT_LEASE, TWICE = "execution_lost", "running_without_lease", "lane_held_twice"
_AGO: Final = timedelta(seconds=60)
_MOST: Final = 1000
# The function stands in the migration 0029.
_LOST: Final = "SELECT id FROM shard.lost_executions(now() - %(ago)s - %(span)s, now() - %(ago)s, %(most)s) AS id"
# Both go by indexes that hold what is in flight, and no more.
_HELD: Final = """
SELECT (SELECT array_agg(id) FROM (
            SELECT id FROM shard.queue WHERE holds_slot AND lease_until IS NULL LIMIT 100) free) AS without_lease,
       (SELECT array_agg(id) FROM (
            SELECT min(id::text)::uuid AS id FROM shard.queue
            WHERE lease_until > now() AND ordering_key IS NOT NULL
            GROUP BY scenario_id, ordering_key HAVING count(*) > 1 LIMIT 100) lanes) AS twice
"""
_BY_INDEX: Final = "SET LOCAL enable_seqscan = off"


async def broken_promises(shard: Shard, span: timedelta) -> Mapping[str, Sequence[str]]:
    """Return the ids of runs for which a promise is broken; ``span`` is the time since the look before.

    Raises Unavailable.
    """
    async with shard.engine_write() as tx:
        await tx.execute(_BY_INDEX)
        lost = await tx.all(_LOST, {"ago": _AGO, "span": span, "most": _MOST})
        held = await tx.one(_HELD)
    return {
        LOST: [row["id"].hex for row in lost],
        WITHOUT_LEASE: [one.hex for one in (held and held["without_lease"]) or ()],
        TWICE: [one.hex for one in (held and held["twice"]) or ()],
    }
