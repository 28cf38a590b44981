"""The statements on teams as such; what hangs on a team stands with the customers, whose teams come and go too."""

from typing import Final, LiteralString

from psycopg.rows import DictRow

from make_bridge.domain.teams.messages import FindTeams, Team
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.database.transactions import ReadTx

# A customer without a limit leaves a team without one of its own without any.
_FACTS: Final = """
SELECT t.id, t.organization_id, t.name, (
    SELECT count(*) FROM shard.scenarios s
    WHERE s.organization_id = t.organization_id AND s.team_id = t.id AND s.state = 'active'
) AS active_scenarios, t.transfer_limit, coalesce(t.operations_limit, (
    SELECT CASE WHEN count(*) = count(c.operations_limit) THEN sum(c.operations_limit)::bigint END
    FROM shard.customers c WHERE c.organization_id = t.organization_id AND c.team_id = t.id
)) AS operations_limit
FROM shard.teams t
WHERE t.organization_id = %(organization)s AND (%(team)s::bigint IS NULL OR t.id = %(team)s)
"""
_FIND: Final[LiteralString] = _FACTS + "ORDER BY t.id LIMIT %(limit)s OFFSET %(offset)s"
_HAS_CUSTOMERS: Final = "SELECT 1 FROM shard.customers WHERE organization_id = %s AND team_id = %s LIMIT 1"


async def find(tx: ReadTx, organization_id: OrganizationId, query: FindTeams, only: TeamId | None) -> list[Team]:
    """Return a part of the teams, or the one that sight is narrowed to."""
    parameters = {"organization": organization_id, "team": only, "limit": query.limit, "offset": query.offset}
    return [_team(row) for row in await tx.all(_FIND, parameters)]


async def get(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> Team:
    """Return one team; raises NotFound."""
    row = await tx.one(_FACTS, {"organization": organization_id, "team": team_id})
    if row is None:
        raise NotFound("There is no such team.")
    return _team(row)


async def has_customers(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> bool:
    """Say whether the team is a customer's."""
    return await tx.one(_HAS_CUSTOMERS, (organization_id, team_id)) is not None


def _team(row: DictRow) -> Team:
    return Team(
        id=row["id"],
        organization_id=row["organization_id"],
        name=row["name"],
        active_scenarios=row["active_scenarios"],
        operations_limit=row["operations_limit"],
        transfer_limit=row["transfer_limit"],
    )
