"""Connections: list, make, rename, give other values, verify, delete. Their values are written and never read.

Make's names are swapped: what is called ``accountName`` when a connection is made is its ``name`` afterwards, and what
was its ``accountType`` is its ``accountName``. Those a person agrees to at a provider are made by
``/oauth-connections`` and shown here too.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.connections.messages import (
    Component,
    CreateComponent,
    DeleteComponent,
    EditComponent,
    GetComponent,
    ListComponents,
    VerifyConnection,
)
from make_bridge.domain.connections.types import type_of
from make_bridge.domain.oauth.messages import HasScopes
from make_bridge.faces.api_v2.connection_bodies import NameBody, NewConnectionBody, ScopesBody, ValuesBody
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import (
    JsonObject,
    Operation,
    access,
    require_confirmation,
    required_team,
    respond,
    row_id,
)
from make_bridge.faces.api_v2.paging import CurrentPage, narrowed
from make_bridge.faces.api_v2.parameters import CONFIRMED, THE_TEAM, Parameter
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.kernel.ids import ComponentId

ConnectionPath = Annotated[ComponentId, row_id("connection")]
_KIND: Final = "connection"
_TYPES: Final = Parameter(
    name="type[]", description="Those of these types.", schema={"type": "array", "items": {"type": "string"}}
)
_OAUTH: Final = "oauth2"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRoutes:
    """The routes of ``/connections``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        size = self.api.bodies.api
        read, write = access("connections:read", size), access("connections:write", size)
        every, one = "/connections", "/connections/{connection_id}"
        new, values, verify = NewConnectionBody, ValuesBody, self.verify_connection
        listed, in_team, schema = (THE_TEAM, _TYPES), (THE_TEAM,), self.get_editable_schema
        return [
            Operation(method="GET", path=every, endpoint=self.list_connections, access=read, query=listed),
            Operation(
                method="POST", path=every, endpoint=self.create_connection, access=write, body=new, query=in_team
            ),
            Operation(method="GET", path=one, endpoint=self.get_connection, access=read),
            Operation(method="PATCH", path=one, endpoint=self.rename_connection, access=write, body=NameBody),
            Operation(method="DELETE", path=one, endpoint=self.delete_connection, access=write, query=(CONFIRMED,)),
            Operation(
                method="POST", path=f"{one}/set-data", endpoint=self.set_connection_data, access=write, body=values
            ),
            Operation(method="POST", path=f"{one}/test", endpoint=verify, access=read),
            Operation(method="POST", path=f"{one}/scoped", endpoint=self.check_scopes, access=read, body=ScopesBody),
            Operation(method="GET", path=f"{one}/editable-data-schema", endpoint=schema, access=read),
        ]

    async def list_connections(self, request: Request, call: CurrentCall, page: CurrentPage) -> Response:
        """List the connections of a team."""
        types = frozenset(request.query_params.getlist("type[]"))
        found = await self.api.queries.ask(call.context, ListComponents(team_id=required_team(call), kind=_KIND))
        chosen = [_shape(each, call) for each in found if not types or each.type in types]
        return respond({"connections": [narrowed(each, page) for each in chosen]})

    async def create_connection(self, call: CurrentCall, page: CurrentPage) -> Response:
        """Make a connection of values."""
        body = parse_object(call.body, NewConnectionBody, max_depth=self.api.json_depth)
        command = CreateComponent(
            team_id=required_team(call),
            kind=_KIND,
            type=body.account_type,
            name=body.account_name,
            values=body.values(),
        )
        made = await self.api.commands.execute(call.context, command)
        return respond({"connection": narrowed(_shape(made, call), page)})

    async def get_connection(self, connection_id: ConnectionPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Show one connection."""
        found = await self._find(call, connection_id)
        return respond({"connection": narrowed(_shape(found, call) | {"scopes": []}, page)})

    async def rename_connection(self, connection_id: ConnectionPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Give a connection another name."""
        body = parse_object(call.body, NameBody, max_depth=self.api.json_depth)
        await self._find(call, connection_id)
        changed = await self.api.commands.execute(
            call.context, EditComponent(component_id=connection_id, name=body.name)
        )
        return respond({"connection": narrowed(_shape(changed, call), page), "newName": changed.name})

    async def set_connection_data(self, connection_id: ConnectionPath, call: CurrentCall) -> Response:
        """Give a connection other values; those that are not named stay."""
        body = parse_object(call.body, ValuesBody, max_depth=self.api.json_depth)
        await self._find(call, connection_id)
        await self.api.commands.execute(call.context, EditComponent(component_id=connection_id, values=body.values()))
        return respond({"changed": True})

    async def verify_connection(self, connection_id: ConnectionPath, call: CurrentCall) -> Response:
        """Say whether a connection's values are good; of those to this server's own API."""
        verified = await self.api.queries.ask(call.context, VerifyConnection(component_id=connection_id))
        return respond({"verified": verified})

    async def check_scopes(self, connection_id: ConnectionPath, call: CurrentCall) -> Response:
        """Say whether a connection has all of these scopes; one that knows no scopes lacks none."""
        body = parse_object(call.body, ScopesBody, max_depth=self.api.json_depth)
        query = HasScopes(connection_id=connection_id, scopes=tuple(body.scope))
        return respond({"connection": {"scoped": await self.api.queries.ask(call.context, query)}})

    async def get_editable_schema(self, connection_id: ConnectionPath, call: CurrentCall) -> Response:
        """Name the values that can be set."""
        found = await self._find(call, connection_id)
        made = type_of(found.kind, found.type)
        return respond({"editableParameters": [] if made is None else [field.name for field in made.fields]})

    async def delete_connection(self, connection_id: ConnectionPath, request: Request, call: CurrentCall) -> Response:
        """Delete a connection; scenarios that use it say so when they run."""
        require_confirmation(request)
        await self._find(call, connection_id)
        await self.api.commands.execute(call.context, DeleteComponent(component_id=connection_id))
        return respond({"connection": connection_id})

    async def _find(self, call: Call, connection_id: ComponentId) -> Component:
        return await self.api.queries.ask(call.context, GetComponent(component_id=connection_id, kind=_KIND))


def _shape(component: Component, call: Call) -> JsonObject:
    made = type_of(component.kind, component.type)
    return {
        "id": component.id,
        "name": component.name,
        "accountName": component.type,
        "accountLabel": component.type if made is None else made.label,
        "accountType": "oauth" if component.type == _OAUTH else "basic",
        "packageName": None,
        "expire": None,
        "metadata": None,
        "teamId": component.team_id,
        "upgradeable": False,
        "editable": made is not None,
        "uid": None,
        "connectedSystemId": None,
        "organizationId": call.context.organization_id,
        "state": component.state,
    }
