"""Custom variables of an organization and of its teams: list, make, change, delete, and what became of each.

Scenarios read them as ``{{var.organization.name}}`` and ``{{var.team.name}}``. Both kinds answer alike, under names of
their own; those of the system are listed beside them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from starlette.responses import Response

from make_bridge.domain.variables.messages import (
    ChangeVariable,
    CreateVariable,
    DeleteVariable,
    Held,
    ListVariableChanges,
    ListVariables,
    Variable,
    VariableChange,
)
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import JsonObject, Operation, access, respond, row_id
from make_bridge.faces.api_v2.paging import MAX_LIMIT, CurrentPage, Page, narrowed, part_of
from make_bridge.faces.api_v2.scenario_bodies import NewVariableBody, VariableChangesBody
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.faces.portal.wire import instant
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId, TeamId

OrganizationPath = Annotated[OrganizationId, row_id("organization")]
TeamPath = Annotated[TeamId, row_id("team")]
Noun = Literal["organizationVariable", "teamVariable"]
_SORTABLE: Final = frozenset({"name", "typeId"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableRoutes:
    """The routes of ``/organizations/{id}/variables`` and ``/teams/{id}/variables``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        read, write = access("variables:read", self.api.bodies.api), access("variables:write", self.api.bodies.api)
        ours, theirs = "/organizations/{organization_id}/variables", "/teams/{team_id}/variables"
        our, their = f"{ours}/{{variable_name}}", f"{theirs}/{{variable_name}}"
        new, changes = NewVariableBody, VariableChangesBody
        return [
            Operation(method="GET", path=ours, endpoint=self.list_organization_variables, access=read),
            Operation(method="POST", path=ours, endpoint=self.create_organization_variable, access=write, body=new),
            Operation(method="PATCH", path=our, endpoint=self.change_organization_variable, access=write, body=changes),
            Operation(method="DELETE", path=our, endpoint=self.delete_organization_variable, access=write),
            Operation(method="GET", path=f"{our}/history", endpoint=self.get_organization_history, access=read),
            Operation(method="GET", path=theirs, endpoint=self.list_team_variables, access=read),
            Operation(method="POST", path=theirs, endpoint=self.create_team_variable, access=write, body=new),
            Operation(method="PATCH", path=their, endpoint=self.change_team_variable, access=write, body=changes),
            Operation(method="DELETE", path=their, endpoint=self.delete_team_variable, access=write),
            Operation(method="GET", path=f"{their}/history", endpoint=self.get_team_history, access=read),
        ]

    async def list_organization_variables(
        self, organization_id: OrganizationPath, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """List the variables of an organization."""
        _require_own(call, organization_id)
        return await self._list(call, None, page)

    async def create_organization_variable(
        self, organization_id: OrganizationPath, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """Make a variable of an organization."""
        _require_own(call, organization_id)
        return await self._create(call, None, page)

    async def change_organization_variable(
        self, organization_id: OrganizationPath, variable_name: str, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """Change a variable of an organization; the next run reads it so."""
        _require_own(call, organization_id)
        return await self._change(call, None, variable_name, page)

    async def delete_organization_variable(
        self, organization_id: OrganizationPath, variable_name: str, call: CurrentCall
    ) -> Response:
        """Delete a variable of an organization; what reads it finds nothing from then on."""
        _require_own(call, organization_id)
        return await self._delete(call, None, variable_name)

    async def get_organization_history(
        self, organization_id: OrganizationPath, variable_name: str, call: CurrentCall
    ) -> Response:
        """Show who changed a variable of an organization, newest first."""
        _require_own(call, organization_id)
        return await self._history(call, None, variable_name)

    async def list_team_variables(self, team_id: TeamPath, call: CurrentCall, page: CurrentPage) -> Response:
        """List the variables of a team."""
        return await self._list(call, team_id, page)

    async def create_team_variable(self, team_id: TeamPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Make a variable of a team."""
        return await self._create(call, team_id, page)

    async def change_team_variable(
        self, team_id: TeamPath, variable_name: str, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """Change a variable of a team; the next run reads it so."""
        return await self._change(call, team_id, variable_name, page)

    async def delete_team_variable(self, team_id: TeamPath, variable_name: str, call: CurrentCall) -> Response:
        """Delete a variable of a team; what reads it finds nothing from then on."""
        return await self._delete(call, team_id, variable_name)

    async def get_team_history(self, team_id: TeamPath, variable_name: str, call: CurrentCall) -> Response:
        """Show who changed a variable of a team, newest first."""
        return await self._history(call, team_id, variable_name)

    async def _list(self, call: Call, team_id: TeamId | None, page: Page) -> Response:
        found = await self.api.queries.ask(call.context, ListVariables(team_id=team_id))
        shown = part_of([_variable(each) for each in found], page, sort_by="name", sortable=_SORTABLE)
        return respond({f"{_noun(team_id)}s": shown, "pg": page.describe(limit=MAX_LIMIT, sort_by="name")})

    async def _create(self, call: Call, team_id: TeamId | None, page: Page) -> Response:
        body = parse_object(call.body, NewVariableBody, max_depth=self.api.json_depth)
        command = CreateVariable(team_id=team_id, name=body.name, type_id=body.type_id, value=body.value)
        made = await self.api.commands.execute(call.context, command)
        return respond({_noun(team_id): narrowed(_variable(made), page)})

    async def _change(self, call: Call, team_id: TeamId | None, name: str, page: Page) -> Response:
        body = parse_object(call.body, VariableChangesBody, max_depth=self.api.json_depth)
        command = ChangeVariable(team_id=team_id, name=name, type_id=body.type_id, value=body.value)
        changed = await self.api.commands.execute(call.context, command)
        return respond({_noun(team_id): narrowed(_variable(changed), page)})

    async def _delete(self, call: Call, team_id: TeamId | None, name: str) -> Response:
        await self.api.commands.execute(call.context, DeleteVariable(team_id=team_id, name=name))
        return respond({_noun(team_id): name})

    async def _history(self, call: Call, team_id: TeamId | None, name: str) -> Response:
        found = await self.api.queries.ask(call.context, ListVariableChanges(team_id=team_id, name=name))
        return respond({f"{_noun(team_id)}History": _changes(found)})


def _noun(team_id: TeamId | None) -> Noun:
    return "organizationVariable" if team_id is None else "teamVariable"


def _require_own(call: Call, organization_id: OrganizationId) -> None:
    if organization_id != call.context.organization_id:
        raise NotFound("There is no such organization.")


def _variable(variable: Variable) -> JsonObject:
    return {
        "name": variable.name,
        "typeId": variable.type_id,
        "value": variable.value,
        "isSystem": variable.is_system,
    }


def _changes(found: Sequence[VariableChange]) -> list[JsonObject]:
    return [
        {
            "id": change.id,
            "action": change.action,
            "changed": instant(change.changed_at),
            "diffObject": {"before": _held(change.before), "after": _held(change.after)},
            "author": {"kind": change.actor_kind, "id": change.actor},
        }
        for change in found
    ]


def _held(held: Held | None) -> JsonObject | None:
    return None if held is None else {"typeId": held.type_id, "value": held.value}
