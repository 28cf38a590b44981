"""The statements behind lists of scenarios: sorted, cut and narrowed in the database, along an index.

A list costs what it shows, not what the table holds: both orders have an index of the organization and one of the team.
"""

from typing import Final, LiteralString

from psycopg.rows import DictRow

from make_bridge.domain.scenarios.messages import DescribeScenario, FindScenarios, ScenarioFacts
from make_bridge.domain.scenarios.store import COLUMNS, scenario_of
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.transactions import ReadTx

_FACTS: Final = (
    "SELECT "
    + COLUMNS
    + """, description, updated_at, revision, folder_id, (
    SELECT count(*) FROM shard.incomplete_executions i
    WHERE i.organization_id = s.organization_id AND i.scenario_id = s.id AND NOT i.resolved
) AS incomplete
FROM shard.scenarios s
WHERE organization_id = %(organization)s
"""
)
_ONE: Final = _FACTS + "AND id = %(id)s AND (%(team)s::bigint IS NULL OR team_id = %(team)s)"
_OF_TEAM: Final = "AND team_id = %(team)s "
_CHOSEN: Final = "AND id = ANY(%(ids)s) "
_STATE: Final = "AND state = %(state)s "
_IN_FOLDER: Final = "AND folder_id = %(folder)s "
_ORDERS: Final[dict[tuple[str, bool], LiteralString]] = {
    ("id", False): "ORDER BY id ",
    ("id", True): "ORDER BY id DESC ",
    ("name", False): "ORDER BY name, id ",
    ("name", True): "ORDER BY name DESC, id DESC ",
}
_PART: Final = "LIMIT %(limit)s OFFSET %(offset)s"


async def find(tx: ReadTx, organization_id: OrganizationId, query: FindScenarios) -> list[ScenarioFacts]:
    """Return a part of the list."""
    statement: LiteralString = _FACTS
    if query.team_id is not None:
        statement += _OF_TEAM
    if query.ids is not None:
        statement += _CHOSEN
    if query.is_active is not None:
        statement += _STATE
    if query.folder_id is not None:
        statement += _IN_FOLDER
    statement += _ORDERS[query.sort_by, query.is_descending] + _PART
    parameters = {
        "organization": organization_id,
        "team": query.team_id,
        "ids": None if query.ids is None else list(query.ids),
        "state": "active" if query.is_active else "inactive",
        "folder": query.folder_id,
        "limit": query.limit,
        "offset": query.offset,
    }
    return [_facts(row) for row in await tx.all(statement, parameters)]


async def describe(tx: ReadTx, organization_id: OrganizationId, query: DescribeScenario) -> ScenarioFacts:
    """Return one; raises NotFound, also when it belongs to another team than the one given."""
    parameters = {"organization": organization_id, "id": query.scenario_id, "team": query.team_id}
    row = await tx.one(_ONE, parameters)
    if row is None:
        raise NotFound("There is no such scenario.")
    return _facts(row)


def _facts(row: DictRow) -> ScenarioFacts:
    return ScenarioFacts(
        scenario=scenario_of(row),
        description=row["description"],
        edited_at=row["updated_at"],
        incomplete=row["incomplete"],
        revision=row["revision"],
        folder_id=row["folder_id"],
    )
