"""Usage by day and by month of the organization and its teams, and the organization's limits.

The days have the shape that Make's scenarios have theirs in, for the levels above them too; limits are an extension of
our own. The organization in a path is the token's own or does not exist.
"""

from dataclasses import dataclass
from datetime import UTC, date
from typing import Annotated, Any

from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.usage.messages import GetMonth, GetTeamMonth, Limits, Month, SetLimits, SumUsage, UsedDay
from make_bridge.faces.api_v2.bodies import LimitsBody
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import (
    Operation,
    access,
    require_own_organization,
    required_team,
    respond,
    row_id,
)
from make_bridge.faces.api_v2.parameters import FIRST_DAY, LAST_DAY, OF_ORGANIZATION, THE_TEAM
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.faces.portal.wire import CENTICREDITS
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import OrganizationId, TeamId

OrganizationPath = Annotated[OrganizationId, row_id("organization")]
TeamPath = Annotated[TeamId, row_id("team")]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRoutes:
    """The routes below ``/organizations/{id}`` and ``/teams/{id}`` that tell of usage."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        read = access("usage:read", self.api.bodies.api)
        write = access("organizations:write", self.api.bodies.api)
        days = (FIRST_DAY, LAST_DAY)
        organization, team = "/organizations/{organization_id}", "/teams/{team_id}"
        return [
            Operation(
                method="GET",
                path=f"{organization}/usage",
                endpoint=self.get_organization_usage,
                access=read,
                query=days,
            ),
            Operation(method="GET", path=f"{organization}/limits", endpoint=self.get_organization_limits, access=read),
            Operation(
                method="PUT",
                path=f"{organization}/limits",
                endpoint=self.set_organization_limits,
                access=write,
                body=LimitsBody,
            ),
            Operation(method="GET", path=f"{team}/usage", endpoint=self.get_team_usage, access=read, query=days),
            Operation(
                method="GET",
                path="/scenarios/consumptions",
                endpoint=self.list_consumptions,
                access=read,
                query=(THE_TEAM, OF_ORGANIZATION),
            ),
            Operation(method="GET", path=f"{team}/limits", endpoint=self.get_team_limits, access=read),
        ]

    async def get_organization_usage(
        self, organization_id: OrganizationPath, request: Request, call: CurrentCall
    ) -> Response:
        """Sum up the organization's usage by day: the last thirty days, or those from `from` to `to`."""
        _require_own(call, organization_id)
        return await self._days(call, request, None)

    async def get_team_usage(self, team_id: TeamPath, request: Request, call: CurrentCall) -> Response:
        """Sum up a team's usage by day: the last thirty days, or those from `from` to `to`."""
        return await self._days(call, request, team_id)

    async def get_organization_limits(self, organization_id: OrganizationPath, call: CurrentCall) -> Response:
        """Show what the organization may use in a month, what it has used, and how many runs wait."""
        _require_own(call, organization_id)
        return respond(_month(await self.api.queries.ask(call.context, GetMonth())))

    async def get_team_limits(self, team_id: TeamPath, call: CurrentCall) -> Response:
        """Show what a team may use in a month (its customers' limit), what it has used, and how many runs wait."""
        return respond(_month(await self.api.queries.ask(call.context, GetMonth(team_id=team_id))))

    async def list_consumptions(self, request: Request, call: CurrentCall) -> Response:
        """Show what each scenario of a team has used this month; those that used nothing are left out."""
        asked = request.query_params.getlist("organizationId")
        if asked:
            require_own_organization(asked, call)
        month = await self.api.queries.ask(call.context, GetTeamMonth(team_id=required_team(call)))
        used = [
            {
                "scenarioId": each.scenario_id,
                "operations": each.operations,
                "transfer": each.data_transfer,
                "centicredits": each.operations * CENTICREDITS,
            }
            for each in month.scenarios
        ]
        return respond({"scenarioConsumptions": used, "lastReset": f"{month.first_day.isoformat()}T00:00:00.000Z"})

    async def set_organization_limits(self, organization_id: OrganizationPath, call: CurrentCall) -> Response:
        """Say what the organization may use in a month; a limit that is absent or null is no limit."""
        _require_own(call, organization_id)
        body = parse_object(call.body, LimitsBody, max_depth=self.api.json_depth)
        limits = Limits(operations=body.operations, executions=body.executions, data_transfer=body.data_transfer)
        await self.api.commands.execute(call.context, SetLimits(limits=limits))
        return respond(_month(await self.api.queries.ask(call.context, GetMonth())))

    async def _days(self, call: Call, request: Request, team_id: TeamId | None) -> Response:
        query = SumUsage(team_id=team_id, first=_day(request, "from"), last=_day(request, "to"))
        days = await self.api.queries.ask(call.context, query)
        return respond({"data": [_used(day) for day in days]})


def _require_own(call: Call, organization_id: OrganizationId) -> None:
    if organization_id != call.context.organization_id:
        raise NotFound("There is no such organization.")


def _day(request: Request, name: str) -> date | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{name} is a day, such as 2026-11-22.", code="invalid_range") from None


def _used(day: UsedDay) -> dict[str, Any]:
    return {
        "date": day.date.isoformat(),
        "operations": day.operations,
        "dataTransfer": day.data_transfer,
        "centicredits": day.operations * CENTICREDITS,
        "executions": day.executions,
    }


def _month(month: Month) -> dict[str, Any]:
    limits = month.limits
    return {
        "limits": {
            "operations": limits.operations,
            "executions": limits.executions,
            "dataTransfer": limits.data_transfer,
        },
        "usage": {
            "operations": month.operations,
            "executions": month.executions,
            "dataTransfer": month.data_transfer,
        },
        "lastReset": month.first_day.isoformat(),
        "nextReset": month.until.astimezone(UTC).date().isoformat(),
        "state": month.state,
        "isPaused": month.state == "reached",
        "waiting": month.waiting,
    }
