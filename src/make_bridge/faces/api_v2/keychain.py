"""Keys, as modules use them (not those that sign portal tokens): list, make, change, delete, and which types there are.

Parameters are written and never read.
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
)
from make_bridge.domain.connections.types import create_fields, types_of
from make_bridge.faces.api_v2.connection_bodies import KeyChangesBody, NewKeyBody
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
from make_bridge.faces.api_v2.parameters import CONFIRMED, THE_TEAM, text
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.kernel.ids import ComponentId, TeamId

StoredKeyPath = Annotated[ComponentId, row_id("key")]
_KIND: Final = "key"
_TYPE_NAME: Final = text("typeName", "Those of one type.", longest=64)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeychainRoutes:
    """The routes of ``/keys``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table; the types stand before the keys, whose ids they would be taken for."""
        size = self.api.bodies.api
        read, write = access("connections:read", size), access("connections:write", size)
        every, one = "/keys", "/keys/{stored_key_id}"
        listed = (THE_TEAM, _TYPE_NAME)
        return [
            Operation(method="GET", path=every, endpoint=self.list_keys, access=read, query=listed),
            Operation(method="POST", path=every, endpoint=self.create_key, access=write, body=NewKeyBody),
            Operation(method="GET", path=f"{every}/types", endpoint=self.list_key_types, access=read),
            Operation(method="GET", path=one, endpoint=self.get_key, access=read),
            Operation(method="PATCH", path=one, endpoint=self.update_key, access=write, body=KeyChangesBody),
            Operation(method="DELETE", path=one, endpoint=self.delete_key, access=write, query=(CONFIRMED,)),
        ]

    async def list_keys(self, request: Request, call: CurrentCall, page: CurrentPage) -> Response:
        """List the keys of a team."""
        query = ListComponents(
            team_id=required_team(call), kind=_KIND, type=request.query_params.get("typeName") or None
        )
        found = await self.api.queries.ask(call.context, query)
        return respond({"keys": [narrowed(_shape(each), page) for each in found]})

    async def create_key(self, call: CurrentCall, page: CurrentPage) -> Response:
        """Make a key."""
        body = parse_object(call.body, NewKeyBody, max_depth=self.api.json_depth)
        command = CreateComponent(
            team_id=TeamId(body.team_id), kind=_KIND, type=body.type_name, name=body.name, values=body.parameters
        )
        made = await self.api.commands.execute(call.context, command)
        return respond({"key": narrowed(_shape(made), page)})

    async def list_key_types(self, call: CurrentCall) -> Response:
        """Show which types of keys there are, and what each asks for."""
        del call
        types = [
            {
                "name": each.name,
                "label": each.label,
                "parameters": create_fields(each.name),
                "componentType": _KIND,
                "author": "Make Bridge",
                "version": 1,
                "theme": None,
                "icon": None,
            }
            for each in types_of(_KIND)
        ]
        return respond({"keysTypes": types})

    async def get_key(self, stored_key_id: StoredKeyPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Show one key."""
        return respond({"key": narrowed(_shape(await self._find(call, stored_key_id)), page)})

    async def update_key(self, stored_key_id: StoredKeyPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Give a key another name or other parameters; what is absent stays."""
        body = parse_object(call.body, KeyChangesBody, max_depth=self.api.json_depth)
        await self._find(call, stored_key_id)
        command = EditComponent(component_id=stored_key_id, name=body.name, values=body.parameters)
        changed = await self.api.commands.execute(call.context, command)
        return respond({"key": narrowed(_shape(changed), page)})

    async def delete_key(self, stored_key_id: StoredKeyPath, request: Request, call: CurrentCall) -> Response:
        """Delete a key; scenarios that use it say so when they run."""
        require_confirmation(request)
        await self._find(call, stored_key_id)
        await self.api.commands.execute(call.context, DeleteComponent(component_id=stored_key_id))
        return respond({"key": stored_key_id})

    async def _find(self, call: Call, stored_key_id: ComponentId) -> Component:
        return await self.api.queries.ask(call.context, GetComponent(component_id=stored_key_id, kind=_KIND))


def _shape(component: Component) -> JsonObject:
    return {
        "id": component.id,
        "name": component.name,
        "typeName": component.type,
        "teamId": component.team_id,
        "packageName": None,
    }
