"""Teams: list, make, show, delete. A customer's team is shown here too, but comes and goes with the customer."""

from dataclasses import dataclass
from typing import Annotated, Final

from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.teams.messages import CreateTeam, DeleteTeam, FindTeams, GetTeam, Team
from make_bridge.faces.api_v2.bodies import NewTeamBody
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import (
    JsonObject,
    Operation,
    access,
    require_confirmation,
    require_organization,
    respond,
    row_id,
)
from make_bridge.faces.api_v2.paging import MAX_LIMIT, CurrentPage, narrowed, part_of
from make_bridge.faces.api_v2.parameters import CONFIRMED, THE_ORGANIZATION
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.kernel.ids import TeamId

TeamPath = Annotated[TeamId, row_id("team")]
_SORTABLE: Final = frozenset({"id", "name", "organizationId", "activeScenarios", "operationsLimit", "type"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamRoutes:
    """The routes of ``/teams``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        read, write = access("teams:read", self.api.bodies.api), access("teams:write", self.api.bodies.api)
        one = "/teams/{team_id}"
        return [
            Operation(method="GET", path="/teams", endpoint=self.list_teams, access=read, query=(THE_ORGANIZATION,)),
            Operation(method="POST", path="/teams", endpoint=self.create_team, access=write, body=NewTeamBody),
            Operation(method="GET", path=one, endpoint=self.get_team, access=read),
            Operation(method="DELETE", path=one, endpoint=self.delete_team, access=write, query=(CONFIRMED,)),
        ]

    async def list_teams(self, request: Request, call: CurrentCall, page: CurrentPage) -> Response:
        """List the teams of an organization."""
        require_organization(request, call)
        found = await self.api.queries.ask(call.context, FindTeams())
        shown = part_of([_team(team) for team in found], page, sort_by="name", sortable=_SORTABLE)
        return respond({"teams": shown, "pg": page.describe(limit=MAX_LIMIT, sort_by="name")})

    async def create_team(self, call: CurrentCall, page: CurrentPage) -> Response:
        """Make a team that is no customer's."""
        body = parse_object(call.body, NewTeamBody, max_depth=self.api.json_depth)
        body.require_organization(call.context.organization_id)
        made = await self.api.commands.execute(
            call.context,
            CreateTeam(name=body.name, operations_limit=body.operations_limit, transfer_limit=body.transfer_limit),
        )
        return respond({"team": narrowed(_team(made), page)})

    async def get_team(self, team_id: TeamPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Show one team."""
        found = await self.api.queries.ask(call.context, GetTeam(team_id=team_id))
        return respond({"team": narrowed(_team(found), page)})

    async def delete_team(self, team_id: TeamPath, request: Request, call: CurrentCall) -> Response:
        """Delete a team whose scenarios are gone."""
        require_confirmation(request)
        await self.api.commands.execute(call.context, DeleteTeam(team_id=team_id))
        return respond({"team": team_id})


def _team(team: Team) -> JsonObject:
    return {
        "id": team.id,
        "name": team.name,
        "organizationId": team.organization_id,
        "activeScenarios": team.active_scenarios,
        "operationsLimit": team.operations_limit,
        # Make's clients expect this one as a text.
        "transferLimit": None if team.transfer_limit is None else str(team.transfer_limit),
        "type": "standard",
    }
