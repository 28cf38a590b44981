"""What can be asked of folders."""

from typing import NewType

from make_bridge.kernel.ids import TeamId
from make_bridge.kernel.messages import Command, Query, message

FolderId = NewType("FolderId", int)


@message
class Folder:
    """A folder with all that is below it; ``path`` is its own name behind those of the folders it stands in."""

    id: FolderId
    team_id: TeamId
    parent_id: FolderId | None
    name: str
    path: str
    scenarios: int
    scenarios_below: int
    """Its own and those of every folder below."""
    children: "tuple[Folder, ...]" = ()


@message
class CreateFolder(Command[Folder]):
    """Make a folder, at the top or in another of the same team."""

    team_id: TeamId
    name: str
    parent_id: FolderId | None = None


@message
class UpdateFolder(Command[Folder]):
    """Rename or move a folder with all that is in it; None stays, ``to_top`` takes it out of the one it stands in."""

    folder_id: FolderId
    name: str | None = None
    parent_id: FolderId | None = None
    to_top: bool = False


@message
class DeleteFolder(Command[None]):
    """Remove a folder; what it holds moves to where it stood, and no scenario is deleted."""

    folder_id: FolderId


@message
class ListFolders(Query[list[Folder]]):
    """A team's folders at the top, or those in one of them; each with all below it, by name."""

    team_id: TeamId
    parent_id: FolderId | None = None
