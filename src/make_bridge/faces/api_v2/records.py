"""The records of data stores. Data goes in and comes out bare: PATCH and PUT take a record's values themselves.

In JSON a date is ISO text and a buffer base64; what comes in is read by the store's data structure, where it has one.
"""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.data_stores.messages import AddRecord, ChangeRecord, DeleteRecords, ListRecords, Record
from make_bridge.domain.data_stores.messages import ReplaceRecord as Replace
from make_bridge.engine.dates import iso_text
from make_bridge.faces.api_v2.data_bodies import NewRecordBody, RecordBody, RecordKeysBody
from make_bridge.faces.api_v2.data_stores import DataStorePath
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import JsonObject, Operation, access, require_confirmation, respond
from make_bridge.faces.api_v2.paging import CurrentPage
from make_bridge.faces.api_v2.parameters import CONFIRMED
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.kernel import json
from make_bridge.kernel.errors import InvalidInput, NotFound

MAX_PAGE: Final = 10_000
_PAGE: Final = 1000
_LONGEST_KEY: Final = 1024


def _read_key(text: object) -> str:
    if isinstance(text, str) and 0 < len(text) <= _LONGEST_KEY:
        return text
    raise NotFound("There is no such record.")


RecordPath = Annotated[str, BeforeValidator(_read_key)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRoutes:
    """The routes of ``/data-stores/{id}/data``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table. The largest body is a blueprint's: a record may be larger than other things."""
        size = self.api.bodies.blueprint
        read, write = access("datastores:read", size), access("datastores:write", size)
        # The official client does not encode keys in the path, so one may hold slashes.
        all_of, one = "/data-stores/{data_store_id}/data", "/data-stores/{data_store_id}/data/{key:path}"
        return [
            Operation(method="GET", path=all_of, endpoint=self.list_records, access=read),
            Operation(method="POST", path=all_of, endpoint=self.create_record, access=write, body=NewRecordBody),
            Operation(
                method="DELETE",
                path=all_of,
                endpoint=self.delete_records,
                access=write,
                body=RecordKeysBody,
                query=(CONFIRMED,),
            ),
            Operation(method="PUT", path=one, endpoint=self.replace_record, access=write, body=RecordBody),
            Operation(method="PATCH", path=one, endpoint=self.change_record, access=write, body=RecordBody),
        ]

    async def list_records(self, data_store_id: DataStorePath, call: CurrentCall, page: CurrentPage) -> Response:
        """List records by key, with what describes them."""
        limit = _PAGE if page.limit is None else min(page.limit, MAX_PAGE)
        query = ListRecords(data_store_id=data_store_id, offset=page.offset, limit=limit)
        found = await self.api.queries.ask(call.context, query)
        return respond(
            {
                "records": [record(item) for item in found.records],
                "spec": found.spec,
                "strict": found.strict,
                "count": found.count,
                "pg": {"limit": limit, "offset": page.offset},
            }
        )

    async def create_record(self, data_store_id: DataStorePath, call: CurrentCall) -> Response:
        """Add a record."""
        body = parse_object(call.body, NewRecordBody, max_depth=self.api.json_depth)
        command = AddRecord(data_store_id=data_store_id, key=body.key or None, data=body.data)
        return respond(record(await self.api.commands.execute(call.context, command)))

    async def replace_record(self, data_store_id: DataStorePath, key: RecordPath, call: CurrentCall) -> Response:
        """Put a record in the place of another, or where there was none."""
        command = Replace(data_store_id=data_store_id, key=key, data=self._data(call))
        return respond(record(await self.api.commands.execute(call.context, command)))

    async def change_record(self, data_store_id: DataStorePath, key: RecordPath, call: CurrentCall) -> Response:
        """Change some values of a record."""
        command = ChangeRecord(data_store_id=data_store_id, key=key, data=self._data(call))
        return respond(record(await self.api.commands.execute(call.context, command)))

    async def delete_records(self, data_store_id: DataStorePath, request: Request, call: CurrentCall) -> Response:
        """Delete records by key, or all of them."""
        require_confirmation(request)
        body = parse_object(call.body, RecordKeysBody, max_depth=self.api.json_depth)
        if body.keys is None and not body.all:
            raise InvalidInput("Name the records to delete in keys, or set all to true.", code="invalid_body")
        command = DeleteRecords(
            data_store_id=data_store_id,
            keys=None if body.all else body.keys,
            except_keys=body.except_keys,
        )
        return respond({"keys": await self.api.commands.execute(call.context, command)})

    def _data(self, call: Call) -> JsonObject:
        value = json.loads(call.body, max_bytes=len(call.body), max_depth=self.api.json_depth)
        if not isinstance(value, dict):
            raise InvalidInput(
                "The body of this request must be a JSON object: the record's values.", code="invalid_body"
            )
        return value


def record(item: Record) -> dict[str, Any]:
    """Return a record in the API's shape."""
    return {"key": item.key, "data": _plain(item.data)}


def _plain(data: dict[str, Any]) -> Any:  # noqa: ANN401 - any value of the language in, JSON out
    """Write dates and buffers as texts, in a list of what is left: records may nest deeply."""
    holder: list[Any] = [data]
    waiting: list[Any] = [holder]
    while waiting:
        container = waiting.pop()
        pairs = list(enumerate(container)) if isinstance(container, list) else list(container.items())
        for place, value in pairs:
            if isinstance(value, dict | list):
                container[place] = copy = value.copy()
                waiting.append(copy)
            elif isinstance(value, datetime):
                container[place] = iso_text(value)
            elif isinstance(value, bytes):
                container[place] = b64encode(value).decode()
    return holder[0]
