"""The rules of folders: names, how deep they stand in each other, and the tree of a team's rows. Pure.

A team's folders are bounded in number, so their tree is made of all of them at once: cycles, depth and paths are seen
there, and no statement has to walk.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from make_bridge.domain.folders.messages import Folder, FolderId
from make_bridge.kernel.errors import Conflict, InvalidInput, NotFound
from make_bridge.kernel.ids import TeamId

MAX_NAME: Final = 120
_UNKNOWN: Final = "There is no such folder in this team."


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderLimits:
    """How many folders a team may have, and how many may stand in each other; from the settings."""

    folders: int = 1000
    depth: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderRow:
    """A folder as it is stored, with the number of scenarios that stand in it."""

    id: FolderId
    team_id: TeamId
    parent_id: FolderId | None
    name: str
    scenarios: int = 0


def checked_name(text: str) -> str:
    """Return a folder's name, or raise InvalidInput."""
    name = unicodedata.normalize("NFC", text).strip()
    plain = not any(unicodedata.category(character) in {"Cc", "Cs"} for character in name)
    if not name or len(name) > MAX_NAME or not plain:
        message = f"The name of a folder has 1 to {MAX_NAME} characters and no control characters."
        raise InvalidInput(message, fields={"name": message})
    return name


class Tree:
    """The folders of one team."""

    def __init__(self, rows: Iterable[FolderRow]) -> None:
        """Take all of a team's rows, in any order."""
        self._rows: Mapping[FolderId, FolderRow] = {row.id: row for row in rows}
        self._below: dict[FolderId | None, list[FolderRow]] = {}
        for row in self._rows.values():
            self._below.setdefault(row.parent_id, []).append(row)
        for siblings in self._below.values():
            siblings.sort(key=lambda row: (row.name.casefold(), row.id))

    def row(self, folder_id: FolderId) -> FolderRow:
        """Return one; raises NotFound."""
        if folder_id not in self._rows:
            raise NotFound(_UNKNOWN)
        return self._rows[folder_id]

    def folder(self, folder_id: FolderId) -> Folder:
        """Return one with all below it; raises NotFound."""
        row = self.row(folder_id)
        above = self._above(row.parent_id)
        return self._folder(row, "".join(f"{each.name}/" for each in reversed(above)))

    def within(self, parent_id: FolderId | None) -> list[Folder]:
        """Return the folders in one of them, or at the top, each with all below it; raises NotFound."""
        prefix = "" if parent_id is None else f"{self.folder(parent_id).path}/"
        return [self._folder(row, prefix) for row in self._below.get(parent_id, ())]

    def require_room(self, limits: FolderLimits) -> None:
        """Raise Conflict when the team may have no more folders."""
        if len(self._rows) >= limits.folders:
            message = f"A team has at most {limits.folders} folders: delete one that nobody needs."
            raise Conflict(message, code="folders_limit")

    def require_place(self, parent_id: FolderId | None, limits: FolderLimits, moved: FolderId | None = None) -> None:
        """Raise unless a new folder, or ``moved`` with all below it, may stand there."""
        if parent_id is None:
            return
        self.row(parent_id)
        above = self._above(parent_id)
        if any(each.id == moved for each in above):
            message = "A folder cannot be moved into itself, or into a folder below it."
            raise InvalidInput(message, fields={"parentId": message})
        if len(above) + (1 if moved is None else self._height(moved)) > limits.depth:
            raise Conflict(f"At most {limits.depth} folders stand in each other.", code="folder_depth")

    def _above(self, folder_id: FolderId | None) -> list[FolderRow]:
        """Return a folder and those it stands in, from the inside out."""
        found: list[FolderRow] = []
        while folder_id is not None and len(found) < len(self._rows):
            found.append(self._rows[folder_id])
            folder_id = found[-1].parent_id
        return found

    def _height(self, folder_id: FolderId) -> int:
        """Return how many folders stand in each other from this one down."""
        return 1 + max((self._height(row.id) for row in self._below.get(folder_id, ())), default=0)

    def _folder(self, row: FolderRow, prefix: str) -> Folder:
        path = prefix + row.name
        children = tuple(self._folder(below, f"{path}/") for below in self._below.get(row.id, ()))
        return Folder(
            id=row.id,
            team_id=row.team_id,
            parent_id=row.parent_id,
            name=row.name,
            path=path,
            scenarios=row.scenarios,
            scenarios_below=row.scenarios + sum(child.scenarios_below for child in children),
            children=children,
        )
