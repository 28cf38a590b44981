"""Data structures: list, make, change, copy, delete."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.data_structures.messages import (
    CloneDataStructure,
    CreateDataStructure,
    DataStructure,
    DataStructureId,
    DeleteDataStructure,
    GetDataStructure,
    ListDataStructures,
    UpdateDataStructure,
)
from make_bridge.faces.api_v2.data_bodies import CloneStructureBody, DataStructureChangesBody, NewDataStructureBody
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import (
    Operation,
    access,
    require_confirmation,
    required_team,
    respond,
    row_id,
)
from make_bridge.faces.api_v2.paging import MAX_LIMIT, CurrentPage, narrowed, part_of
from make_bridge.faces.api_v2.parameters import CONFIRMED, THE_TEAM
from make_bridge.faces.edge.body import parse_object, parse_optional
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.kernel.ids import TeamId

DataStructurePath = Annotated[DataStructureId, row_id("data structure")]
_LISTED: Final = frozenset({"id", "name", "teamId"})
_SORTABLE: Final = frozenset({"id", "name", "teamId"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStructureRoutes:
    """The routes of ``/data-structures``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        read = access("datastructures:read", self.api.bodies.api)
        write = access("datastructures:write", self.api.bodies.api)
        everything, one = "/data-structures", "/data-structures/{data_structure_id}"
        create, update, clone = NewDataStructureBody, DataStructureChangesBody, CloneStructureBody
        return [
            Operation(
                method="GET", path=everything, endpoint=self.list_data_structures, access=read, query=(THE_TEAM,)
            ),
            Operation(method="POST", path=everything, endpoint=self.create_data_structure, access=write, body=create),
            Operation(method="GET", path=one, endpoint=self.get_data_structure, access=read),
            Operation(method="PATCH", path=one, endpoint=self.update_data_structure, access=write, body=update),
            Operation(method="DELETE", path=one, endpoint=self.delete_data_structure, access=write, query=(CONFIRMED,)),
            Operation(
                method="POST",
                path=f"{one}/clone",
                endpoint=self.clone_data_structure,
                access=write,
                body=clone,
                is_body_required=False,
            ),
        ]

    async def list_data_structures(self, call: CurrentCall, page: CurrentPage) -> Response:
        """List the data structures of a team; the descriptions only when they are asked for."""
        found = await self.api.queries.ask(call.context, ListDataStructures(team_id=required_team(call)))
        wanted = page if page.columns or page.all_columns else page.with_columns(_LISTED)
        shown = part_of([data_structure(structure) for structure in found], wanted, sort_by="name", sortable=_SORTABLE)
        return respond({"dataStructures": shown, "pg": page.describe(limit=MAX_LIMIT, sort_by="name")})

    async def create_data_structure(self, call: CurrentCall, page: CurrentPage) -> Response:
        """Make a data structure."""
        body = parse_object(call.body, NewDataStructureBody, max_depth=self.api.json_depth)
        command = CreateDataStructure(team_id=TeamId(body.team_id), name=body.name, spec=body.spec, strict=body.strict)
        made = await self.api.commands.execute(call.context, command)
        return respond({"dataStructure": narrowed(data_structure(made), page)})

    async def get_data_structure(
        self, data_structure_id: DataStructurePath, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """Show one data structure."""
        found = await self.api.queries.ask(call.context, GetDataStructure(data_structure_id=data_structure_id))
        return respond({"dataStructure": narrowed(data_structure(found), page)})

    async def update_data_structure(
        self, data_structure_id: DataStructurePath, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """Change a data structure; what is absent stays."""
        body = parse_object(call.body, DataStructureChangesBody, max_depth=self.api.json_depth)
        command = UpdateDataStructure(
            data_structure_id=data_structure_id, name=body.name, spec=body.spec, strict=body.strict
        )
        changed = await self.api.commands.execute(call.context, command)
        return respond({"dataStructure": narrowed(data_structure(changed), page)})

    async def delete_data_structure(
        self, data_structure_id: DataStructurePath, request: Request, call: CurrentCall
    ) -> Response:
        """Delete a data structure that no data store uses."""
        require_confirmation(request)
        await self.api.commands.execute(call.context, DeleteDataStructure(data_structure_id=data_structure_id))
        return respond({"dataStructure": data_structure_id})

    async def clone_data_structure(
        self, data_structure_id: DataStructurePath, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """Copy a data structure, also into another team."""
        body = parse_optional(call.body, CloneStructureBody, max_depth=self.api.json_depth) or CloneStructureBody()
        command = CloneDataStructure(
            data_structure_id=data_structure_id,
            name=body.name,
            team_id=None if body.target_team_id is None else TeamId(body.target_team_id),
        )
        made = await self.api.commands.execute(call.context, command)
        return respond({"dataStructure": narrowed(data_structure(made), page)})


def data_structure(structure: DataStructure) -> dict[str, Any]:
    """Return a data structure in the API's shape."""
    return {
        "id": structure.id,
        "name": structure.name,
        "teamId": structure.team_id,
        "spec": structure.spec,
        "strict": structure.strict,
    }
