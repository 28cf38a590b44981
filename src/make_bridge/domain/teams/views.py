"""What can be read of teams: all by who acts for the organization, one's own by who acts for a team."""

from typing import Any

from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.teams import store
from make_bridge.domain.teams.messages import FindTeams, GetTeam, Team
from make_bridge.kernel.context import Context
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx


async def find_teams(tx: ReadTx, context: Context, query: FindTeams) -> list[Team]:
    """Answer FindTeams."""
    return await store.find(tx, context.organization_id, query, context.team_id)


async def get_team(tx: ReadTx, context: Context, query: GetTeam) -> Team:
    """Answer GetTeam."""
    require_sight(context, query.team_id)
    return await store.get(tx, context.organization_id, query.team_id)


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    read = "teams:read"
    return [
        QueryRegistration(query=FindTeams, view=find_teams, permission=read),
        QueryRegistration(query=GetTeam, view=get_team, permission=read),
    ]
