"""The statement that says which scenarios of a shard ran last, and with which version of their blueprint.

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
    (SELECT organization_id, scenario_id, blueprint_version, id FROM shard.executions
     WHERE retention = 0 ORDER BY id DESC LIMIT %(looked_at)s)
    UNION ALL
    (SELECT organization_id, scenario_id, blueprint_version, id FROM shard.executions
     WHERE retention = 1 ORDER BY id DESC LIMIT %(looked_at)s)
    UNION ALL
    (SELECT organization_id, scenario_id, blueprint_version, id FROM shard.executions
     WHERE retention = 2 ORDER BY id DESC LIMIT %(looked_at)s)
), ran AS (
    SELECT DISTINCT ON (scenario_id) organization_id, scenario_id, blueprint_version, id FROM newest
    ORDER BY scenario_id, id DESC
)
SELECT organization_id, scenario_id, blueprint_version FROM ran ORDER BY id DESC LIMIT %(most)s
"""


async def last_run(tx: ReadTx, most: int) -> list[tuple[OrganizationId, ScenarioId, int]]:
    """Return the scenarios that ran last, the latest first, each with the version that ran."""
    rows = await tx.all(_LAST_RUN, {"looked_at": _LOOKED_AT, "most": most})
    return [(row["organization_id"], row["scenario_id"], row["blueprint_version"]) for row in rows]
