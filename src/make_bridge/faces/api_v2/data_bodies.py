"""What may be sent about data stores, their records and their structures."""

from typing import Annotated

from pydantic import AliasChoices, ConfigDict, Field

from make_bridge.faces.api_v2.bodies import JsonObject, Spec
from make_bridge.faces.portal.bodies import Body, Name, RowId

Megabytes = Annotated[int, Field(ge=1, le=1_000_000)]
_MAX_SIZE = AliasChoices("maxSizeMB", "maxSizeMb")


class NewDataStoreBody(Body):
    """A new data store."""

    name: Name
    team_id: RowId
    datastructure_id: RowId | None = Field(None, validation_alias=AliasChoices("datastructureId", "dataStructureId"))
    max_size_mb: Megabytes = Field(validation_alias=_MAX_SIZE)


class DataStoreChangesBody(Body):
    """Changes to a data store; what is absent stays, a structure of ``null`` takes it away."""

    name: Name | None = None
    datastructure_id: RowId | None = Field(None, validation_alias=AliasChoices("datastructureId", "dataStructureId"))
    max_size_mb: Megabytes | None = Field(None, validation_alias=_MAX_SIZE)


class NewRecordBody(Body):
    """A new record; without a key it gets one."""

    key: Annotated[str, Field(max_length=1024)] | None = None
    data: JsonObject = Field(default_factory=dict)


class RecordBody(Body):
    """The values of a record, by their names."""

    model_config = ConfigDict(extra="allow")


class RecordKeysBody(Body):
    """Which records to delete."""

    keys: Annotated[list[str], Field(max_length=10_000)] | None = None
    all: bool = False
    except_keys: Annotated[list[str], Field(max_length=10_000)] = Field(default_factory=list)


class NewDataStructureBody(Body):
    """A new data structure."""

    name: Name
    team_id: RowId
    spec: Spec = Field(default_factory=list)
    strict: bool = False


class DataStructureChangesBody(Body):
    """Changes to a data structure; what is absent stays."""

    name: Name | None = None
    spec: Spec | None = None
    strict: bool | None = None


class CloneStructureBody(Body):
    """Where a copy of a data structure goes."""

    name: Name | None = None
    target_team_id: RowId | None = None
