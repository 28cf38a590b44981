"""Folders of scenarios: list, make, rename, move, delete.

A list shows the folders at the top, or those in one, each with the ones directly in it; ``childrenDepth=all`` shows
everything below. Positions are none here: folders stand in the order of their names.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.folders.messages import (
    CreateFolder,
    DeleteFolder,
    Folder,
    FolderId,
    ListFolders,
    UpdateFolder,
)
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import JsonObject, Operation, access, required_team, respond, row_id
from make_bridge.faces.api_v2.paging import MAX_LIMIT, CurrentPage, Page, narrowed, part_of
from make_bridge.faces.api_v2.parameters import IN_FOLDER, THE_TEAM, one_of
from make_bridge.faces.api_v2.scenario_bodies import FolderChangesBody, NewFolderBody
from make_bridge.faces.api_v2.scenarios import folder_of
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import TeamId

FolderPath = Annotated[FolderId, row_id("folder")]
_ALL: Final = "all"
_ONE_LEVEL: Final = 1
_ENDLESS: Final = 10_000
_DEPTH: Final = one_of("childrenDepth", "Show all below each folder, not only what is directly in it.", _ALL)
_SORTABLE: Final = frozenset({"id", "name", "path", "position", "scenariosTotal", "scenariosSubtreeTotal"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderRoutes:
    """The routes of ``/scenarios-folders``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        read, write = access("scenarios:read", self.api.bodies.api), access("scenarios:write", self.api.bodies.api)
        every, one, change = "/scenarios-folders", "/scenarios-folders/{folder_id}", FolderChangesBody
        return [
            Operation(
                method="GET", path=every, endpoint=self.list_folders, access=read, query=(THE_TEAM, IN_FOLDER, _DEPTH)
            ),
            Operation(method="POST", path=every, endpoint=self.create_folder, access=write, body=NewFolderBody),
            Operation(method="PATCH", path=one, endpoint=self.update_folder, access=write, body=change),
            Operation(method="DELETE", path=one, endpoint=self.delete_folder, access=write),
        ]

    async def list_folders(self, request: Request, call: CurrentCall, page: CurrentPage) -> Response:
        """List a team's folders at the top, or those in one of them."""
        levels = _levels(request)
        query = ListFolders(team_id=required_team(call), parent_id=folder_of(request, "parentId"))
        found = await self.api.queries.ask(call.context, query)
        shown = part_of([_folder(each, page, levels) for each in found], page, sort_by="name", sortable=_SORTABLE)
        return respond({"scenariosFolders": shown, "pg": page.describe(limit=MAX_LIMIT, sort_by="name")})

    async def create_folder(self, call: CurrentCall, page: CurrentPage) -> Response:
        """Make a folder."""
        body = parse_object(call.body, NewFolderBody, max_depth=self.api.json_depth)
        parent_id = None if body.parent_id is None else FolderId(body.parent_id)
        command = CreateFolder(team_id=TeamId(body.team_id), name=body.name, parent_id=parent_id)
        made = await self.api.commands.execute(call.context, command)
        return respond({"scenarioFolder": narrowed(_folder(made, page), page)})

    async def update_folder(self, folder_id: FolderPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Rename a folder, or move it with all that is in it; what is absent stays."""
        body = parse_object(call.body, FolderChangesBody, max_depth=self.api.json_depth)
        command = UpdateFolder(
            folder_id=folder_id,
            name=body.name,
            parent_id=None if body.parent_id is None else FolderId(body.parent_id),
            to_top="parent_id" in body.model_fields_set and body.parent_id is None,
        )
        changed = await self.api.commands.execute(call.context, command)
        return respond({"scenarioFolder": narrowed(_folder(changed, page), page)})

    async def delete_folder(self, folder_id: FolderPath, call: CurrentCall) -> Response:
        """Delete a folder; what it holds moves to where it stood, so no scenario is deleted."""
        await self.api.commands.execute(call.context, DeleteFolder(folder_id=folder_id))
        return respond({"scenarioFolder": folder_id})


def _levels(request: Request) -> int:
    asked = request.query_params.get("childrenDepth")
    if asked is None:
        return _ONE_LEVEL
    if asked != _ALL:
        raise InvalidInput("childrenDepth is all, or is left out.", code="invalid_page")
    return _ENDLESS


def _folder(folder: Folder, page: Page, levels: int = _ONE_LEVEL) -> JsonObject:
    """Return a folder in Make's shape; what is below it has the same columns."""
    shown: JsonObject = {
        "id": folder.id,
        "name": folder.name,
        "path": folder.path,
        "teamId": folder.team_id,
        "parentId": folder.parent_id,
        "position": None,
        "scenariosTotal": folder.scenarios,
        "scenariosSubtreeTotal": folder.scenarios_below,
        "hasChildren": bool(folder.children),
    }
    if levels:
        shown["children"] = [narrowed(_folder(child, page, levels - 1), page) for child in folder.children]
    return shown
