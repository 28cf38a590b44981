"""The statement that says which scenarios of a shard ran last.

It acts as ``bridge_engine``, for all organizations. Ids of executions begin with their time, so the newest of each
retention class stand at the end of an index: so many are read, however many there are.
"""

from typing import Final

from make_bridge.kernel.ids import OrganizationId, ScenarioId
from make_bridge.platform.database.transactions import ReadTx

_LOOKED_AT: Final = 1000
# A class by its number, one by one: only so the newest partition is read first, and the others not at all.
_LAST_RUN: Final = """
WITH newest AS (
    (SELECT scenario_id, created_at FROM shard.executions WHERE retention = 0 ORDER BY id DESC LIMIT %(looked_at)s)
    UNION ALL
    (SELECT scenario_id, created_at FROM shard.executions WHERE retention = 1 ORDER BY id DESC LIMIT %(looked_at)s)
    UNION ALL
    (SELECT scenario_id, created_at FROM shard.executions WHERE retention = 2 ORDER BY id DESC LIMIT %(looked_at)s)
), ran AS (
    SELECT scenario_id, max(created_at) AS last FROM newest GROUP BY scenario_id
)
SELECT s.organization_id, s.id, s.blueprint_version FROM ran JOIN shard.scenarios s ON s.id = ran.scenario_id
WHERE s.state = 'active' ORDER BY ran.last DESC LIMIT %(most)s
"""


async def last_run(tx: ReadTx, most: int) -> list[tuple[OrganizationId, ScenarioId, int]]:
    """Return the active scenarios that ran last, the latest first, each with the version of its blueprint."""
    rows = await tx.all(_LAST_RUN, {"looked_at": _LOOKED_AT, "most": most})
    return [(row["organization_id"], row["id"], row["blueprint_version"]) for row in rows]
