"""Data stores: list, make, change, delete."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.data_stores.messages import (
    CreateDataStore,
    DataStore,
    DataStoreId,
    DeleteDataStore,
    GetDataStore,
    ListDataStores,
    UpdateDataStore,
)
from make_bridge.domain.data_structures.messages import DataStructureId
from make_bridge.faces.api_v2.data_bodies import DataStoreChangesBody, NewDataStoreBody
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
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.kernel.ids import TeamId

DataStorePath = Annotated[DataStoreId, row_id("data store")]
_MEGABYTE: Final = 1024 * 1024
_SORTABLE: Final = frozenset({"id", "name", "records", "size", "maxSize", "teamId"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStoreRoutes:
    """The routes of ``/data-stores``; records have a module of their own."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        read = access("datastores:read", self.api.bodies.api)
        write = access("datastores:write", self.api.bodies.api)
        one = "/data-stores/{data_store_id}"
        return [
            Operation(
                method="GET", path="/data-stores", endpoint=self.list_data_stores, access=read, query=(THE_TEAM,)
            ),
            Operation(
                method="POST",
                path="/data-stores",
                endpoint=self.create_data_store,
                access=write,
                body=NewDataStoreBody,
            ),
            Operation(method="GET", path=one, endpoint=self.get_data_store, access=read),
            Operation(
                method="PATCH", path=one, endpoint=self.update_data_store, access=write, body=DataStoreChangesBody
            ),
            Operation(method="DELETE", path=one, endpoint=self.delete_data_store, access=write, query=(CONFIRMED,)),
        ]

    async def list_data_stores(self, call: CurrentCall, page: CurrentPage) -> Response:
        """List the data stores of a team."""
        found = await self.api.queries.ask(call.context, ListDataStores(team_id=required_team(call)))
        rows: list[Mapping[str, Any]] = [data_store(store) for store in found]
        shown = part_of(rows, page, sort_by="name", sortable=_SORTABLE)
        return respond({"dataStores": shown, "pg": page.describe(limit=MAX_LIMIT, sort_by="name")})

    async def create_data_store(self, call: CurrentCall, page: CurrentPage) -> Response:
        """Make a data store."""
        body = parse_object(call.body, NewDataStoreBody, max_depth=self.api.json_depth)
        command = CreateDataStore(
            team_id=TeamId(body.team_id),
            name=body.name,
            structure_id=None if body.datastructure_id is None else DataStructureId(body.datastructure_id),
            max_bytes=body.max_size_mb * _MEGABYTE,
        )
        made = await self.api.commands.execute(call.context, command)
        return respond({"dataStore": narrowed(data_store(made), page)})

    async def get_data_store(self, data_store_id: DataStorePath, call: CurrentCall, page: CurrentPage) -> Response:
        """Show one data store."""
        found = await self.api.queries.ask(call.context, GetDataStore(data_store_id=data_store_id))
        return respond({"dataStore": narrowed(data_store(found), page)})

    async def update_data_store(self, data_store_id: DataStorePath, call: CurrentCall, page: CurrentPage) -> Response:
        """Change a data store's name, structure or size; what is absent stays."""
        body = parse_object(call.body, DataStoreChangesBody, max_depth=self.api.json_depth)
        command = UpdateDataStore(
            data_store_id=data_store_id,
            name=body.name,
            structure_id=None if body.datastructure_id is None else DataStructureId(body.datastructure_id),
            without_structure="datastructure_id" in body.model_fields_set and body.datastructure_id is None,
            max_bytes=None if body.max_size_mb is None else body.max_size_mb * _MEGABYTE,
        )
        changed = await self.api.commands.execute(call.context, command)
        return respond({"dataStore": narrowed(data_store(changed), page)})

    async def delete_data_store(self, data_store_id: DataStorePath, request: Request, call: CurrentCall) -> Response:
        """Delete a data store with its records."""
        require_confirmation(request)
        await self.api.commands.execute(call.context, DeleteDataStore(data_store_id=data_store_id))
        return respond({"dataStore": data_store_id})


def data_store(store: DataStore) -> dict[str, Any]:
    """Return a data store in the API's shape: sizes are texts there."""
    return {
        "id": store.id,
        "name": store.name,
        "records": store.records,
        "size": str(store.bytes),
        "maxSize": str(store.max_bytes),
        "teamId": store.team_id,
        "datastructureId": store.structure_id,
    }
