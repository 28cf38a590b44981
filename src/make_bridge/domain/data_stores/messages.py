"""What can be asked of data stores and their records."""

from typing import Any, NewType

from make_bridge.domain.data_structures.messages import DataStructureId
from make_bridge.kernel.ids import TeamId
from make_bridge.kernel.messages import Command, Query, message

DataStoreId = NewType("DataStoreId", int)
JsonObject = dict[str, Any]


@message
class DataStore:
    """A data store with how full it is."""

    id: DataStoreId
    team_id: TeamId
    name: str
    structure_id: DataStructureId | None
    max_bytes: int
    records: int
    bytes: int


@message
class Record:
    """A record; dates and buffers in ``data`` are what they are, not yet texts."""

    key: str
    data: JsonObject


@message
class RecordPage:
    """Some of a store's records, with what describes them and how many there are in all."""

    records: list[Record]
    spec: list[JsonObject]
    strict: bool
    count: int


@message
class CreateDataStore(Command[DataStore]):
    """Make a data store of a size."""

    team_id: TeamId
    name: str
    structure_id: DataStructureId | None
    max_bytes: int


@message
class UpdateDataStore(Command[DataStore]):
    """Change a data store; None stays as it is, ``without_structure`` takes its structure away."""

    data_store_id: DataStoreId
    name: str | None = None
    structure_id: DataStructureId | None = None
    without_structure: bool = False
    max_bytes: int | None = None


@message
class DeleteDataStore(Command[None]):
    """Remove a data store with its records."""

    data_store_id: DataStoreId


@message
class AddRecord(Command[Record]):
    """Add a record; without a key it gets one."""

    data_store_id: DataStoreId
    key: str | None
    data: JsonObject


@message
class ReplaceRecord(Command[Record]):
    """Put a record in the place of another, or where there was none."""

    data_store_id: DataStoreId
    key: str
    data: JsonObject


@message
class ChangeRecord(Command[Record]):
    """Change some of a record's values."""

    data_store_id: DataStoreId
    key: str
    data: JsonObject


@message
class DeleteRecords(Command[list[str]]):
    """Delete records by key, or (``keys`` None) all but ``except_keys``; returns the keys that are gone."""

    data_store_id: DataStoreId
    keys: list[str] | None
    except_keys: list[str]


@message
class ListDataStores(Query[list[DataStore]]):
    """A team's data stores."""

    team_id: TeamId


@message
class GetDataStore(Query[DataStore]):
    """One data store."""

    data_store_id: DataStoreId


@message
class ListRecords(Query[RecordPage]):
    """A store's records by key."""

    data_store_id: DataStoreId
    offset: int
    limit: int
