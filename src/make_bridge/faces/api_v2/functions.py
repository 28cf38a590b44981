"""Custom functions: list, make, show, change, delete, try the code, what it was before."""

from dataclasses import dataclass
from typing import Annotated, Final

from starlette.responses import Response

from make_bridge.domain.functions.checking import CodeInvalid
from make_bridge.domain.functions.messages import (
    Author,
    CreateFunction,
    CustomFunction,
    DeleteFunction,
    FunctionId,
    GetFunction,
    GetFunctionHistory,
    ListFunctions,
    UpdateFunction,
)
from make_bridge.domain.users.messages import WhoAmI
from make_bridge.engine.dates import iso_text
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import (
    JsonObject,
    Operation,
    access,
    required_team,
    respond,
    row_id,
)
from make_bridge.faces.api_v2.paging import MAX_LIMIT, CurrentPage, narrowed, part_of
from make_bridge.faces.api_v2.parameters import THE_TEAM
from make_bridge.faces.api_v2.scenario_bodies import CodeBody, FunctionChangesBody, NewFunctionBody
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Call, CurrentCall

FunctionPath = Annotated[FunctionId, row_id("function")]
_UNLISTED: Final = frozenset({"code", "scenarios"})
_SORTABLE: Final = frozenset({"id", "name", "createdAt", "updatedAt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRoutes:
    """The routes of ``/functions``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        size = self.api.bodies.api
        read, write = access("functions:read", size), access("functions:write", size)
        every, one = "/functions", "/functions/{function_id}"
        create, update, team = NewFunctionBody, FunctionChangesBody, (THE_TEAM,)
        return [
            Operation(method="GET", path=every, endpoint=self.list_functions, access=read, query=team),
            Operation(
                method="POST", path=every, endpoint=self.create_function, access=write, body=create, query=team
            ),
            Operation(
                method="POST", path=f"{every}/eval", endpoint=self.check_function, access=write, body=CodeBody,
                query=team,
            ),
            Operation(method="GET", path=one, endpoint=self.get_function, access=read),
            Operation(method="PATCH", path=one, endpoint=self.update_function, access=write, body=update),
            Operation(method="DELETE", path=one, endpoint=self.delete_function, access=write),
            Operation(method="GET", path=f"{one}/history", endpoint=self.get_function_history, access=read),
        ]  # fmt: skip

    async def list_functions(self, call: CurrentCall, page: CurrentPage) -> Response:
        """List the functions of a team, without their code."""
        found = await self.api.queries.ask(call.context, ListFunctions(team_id=required_team(call)))
        rows = [{key: value for key, value in _shape(each).items() if key not in _UNLISTED} for each in found]
        shown = part_of(rows, page, sort_by="name", sortable=_SORTABLE)
        return respond({"functions": shown, "pg": page.describe(limit=MAX_LIMIT, sort_by="name")})

    async def create_function(self, call: CurrentCall, page: CurrentPage) -> Response:
        """Make a function: its code is one function declaration of its name."""
        team_id = required_team(call)
        body = parse_object(call.body, NewFunctionBody, max_depth=self.api.json_depth)
        code = await self.api.code_checks.check(call.context.organization_id, body.code)
        command = CreateFunction(
            team_id=team_id, name=body.name, description=body.description, code=code, author=await self._author(call)
        )
        made = await self.api.commands.execute(call.context, command)
        return respond({"function": narrowed(_shape(made), page)})

    async def check_function(self, call: CurrentCall) -> Response:
        """Say whether code could be a function's, and what is wrong with it; nothing is run and nothing stored."""
        required_team(call)
        body = parse_object(call.body, CodeBody, max_depth=self.api.json_depth)
        try:
            await self.api.code_checks.check(call.context.organization_id, body.code)
        except CodeInvalid as error:
            return respond({"success": False, "error": error.message})
        return respond({"success": True, "error": None})

    async def get_function(self, function_id: FunctionPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Show one function, with its code and the scenarios that call it."""
        found = await self.api.queries.ask(call.context, GetFunction(function_id=function_id))
        return respond({"function": narrowed(_shape(found), page)})

    async def update_function(self, function_id: FunctionPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Change a function; what is absent stays. Its name stays in any case."""
        body = parse_object(call.body, FunctionChangesBody, max_depth=self.api.json_depth)
        await self.api.queries.ask(call.context, GetFunction(function_id=function_id))
        checks, organization_id = self.api.code_checks, call.context.organization_id
        command = UpdateFunction(
            function_id=function_id,
            description=body.description,
            code=None if body.code is None else await checks.check(organization_id, body.code),
            author=await self._author(call),
        )
        changed = await self.api.commands.execute(call.context, command)
        return respond({"function": narrowed(_shape(changed), page)})

    async def delete_function(self, function_id: FunctionPath, call: CurrentCall) -> Response:
        """Delete a function; scenarios that call it fail there."""
        await self.api.commands.execute(call.context, DeleteFunction(function_id=function_id))
        return respond({"function": function_id})

    async def get_function_history(self, function_id: FunctionPath, call: CurrentCall) -> Response:
        """Show what a function's code was before each of its changes."""
        found = await self.api.queries.ask(call.context, GetFunctionHistory(function_id=function_id))
        changes = [
            {
                "id": each.id,
                "previousCode": each.previous_code,
                "updatedAt": iso_text(each.updated_at),
                "updatedBy": each.updated_by,
            }
            for each in found
        ]
        return respond({"functionHistory": changes})

    async def _author(self, call: Call) -> Author:
        oneself = await self.api.queries.ask(call.context, WhoAmI())
        return Author(id=oneself.id, name=oneself.name, email=oneself.email or "")


def _shape(function: CustomFunction) -> JsonObject:
    author = function.author
    return {
        "id": function.id,
        "name": function.name,
        "args": function.args,
        "description": function.description,
        "code": function.code,
        "teamId": function.team_id,
        "createdAt": iso_text(function.created_at),
        "updatedAt": iso_text(function.updated_at),
        "createdByUser": {"id": author.id, "name": author.name, "email": author.email},
        "scenarios": [{"id": use.id, "name": use.name} for use in function.scenarios],
    }
