"""What can be asked of data structures."""

from typing import Any, NewType

from make_bridge.kernel.ids import TeamId
from make_bridge.kernel.messages import Command, Query, message

DataStructureId = NewType("DataStructureId", int)
JsonObject = dict[str, Any]


@message
class DataStructure:
    """A data structure; ``spec`` is a list of field specs as Make writes them."""

    id: DataStructureId
    team_id: TeamId
    name: str
    spec: list[JsonObject]
    strict: bool


@message
class CreateDataStructure(Command[DataStructure]):
    """Describe records; with ``strict`` they hold nothing but the fields of ``spec``."""

    team_id: TeamId
    name: str
    spec: list[JsonObject]
    strict: bool = False


@message
class UpdateDataStructure(Command[DataStructure]):
    """Change a description; None stays as it is. Records that are there are not looked at again."""

    data_structure_id: DataStructureId
    name: str | None = None
    spec: list[JsonObject] | None = None
    strict: bool | None = None


@message
class CloneDataStructure(Command[DataStructure]):
    """Copy a description, also into another team of the organization."""

    data_structure_id: DataStructureId
    name: str | None = None
    team_id: TeamId | None = None


@message
class DeleteDataStructure(Command[None]):
    """Remove a description that no data store uses."""

    data_structure_id: DataStructureId


@message
class ListDataStructures(Query[list[DataStructure]]):
    """A team's data structures."""

    team_id: TeamId


@message
class GetDataStructure(Query[DataStructure]):
    """One data structure."""

    data_structure_id: DataStructureId
