"""What changes folders. Each change holds the team's tree: number, depth and cycles are judged over all of it."""

from dataclasses import dataclass
from typing import Any

from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.folders import store
from make_bridge.domain.folders.messages import CreateFolder, DeleteFolder, Folder, FolderId, UpdateFolder
from make_bridge.domain.folders.model import FolderLimits, Tree, checked_name
from make_bridge.kernel.ids import TeamId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork

_AUDITED = frozenset({"name", "parent_id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderHandlers:
    """The handlers."""

    limits: FolderLimits

    async def create(self, work: UnitOfWork, command: CreateFolder) -> Folder:
        """Make one; raises InvalidInput, Conflict at a limit, and NotFound for a team or folder out of sight."""
        organization_id = work.context.organization_id
        tree = await self._lock(work, command.team_id)
        tree.require_room(self.limits)
        tree.require_place(command.parent_id, self.limits)
        name = checked_name(command.name)
        folder_id = await store.insert(work.tx, organization_id, command.team_id, command.parent_id, name)
        made = (await self._tree(work, command.team_id)).folder(folder_id)
        work.touch(f"scenario-folder/{folder_id}", team=command.team_id)
        work.change(after=made)
        return made

    async def update(self, work: UnitOfWork, command: UpdateFolder) -> Folder:
        """Rename or move one; raises InvalidInput, Conflict where it would stand too deep, and NotFound."""
        team_id, tree = await self._lock_tree_of(work, command.folder_id)
        before = tree.folder(command.folder_id)
        parent_id = None if command.to_top else command.parent_id or before.parent_id
        if parent_id != before.parent_id:
            tree.require_place(parent_id, self.limits, moved=before.id)
        name = before.name if command.name is None else checked_name(command.name)
        await store.update(work.tx, work.context.organization_id, before.id, name, parent_id)
        changed = (await self._tree(work, team_id)).folder(before.id)
        work.touch(f"scenario-folder/{before.id}", team=team_id)
        work.change(before=before, after=changed)
        return changed

    async def delete(self, work: UnitOfWork, command: DeleteFolder) -> None:
        """Remove one; what it holds moves to where it stood."""
        team_id, tree = await self._lock_tree_of(work, command.folder_id)
        known = tree.row(command.folder_id)
        await store.delete(work.tx, work.context.organization_id, known)
        work.touch(f"scenario-folder/{known.id}", team=team_id, name=known.name, scenarios=known.scenarios)

    async def _lock_tree_of(self, work: UnitOfWork, folder_id: FolderId) -> tuple[TeamId, Tree]:
        team_id = await store.team_of(work.tx, work.context.organization_id, folder_id)
        return team_id, await self._lock(work, team_id)

    async def _lock(self, work: UnitOfWork, team_id: TeamId) -> Tree:
        require_sight(work.context, team_id)
        await store.lock_team(work.tx, work.context.organization_id, team_id)
        return await self._tree(work, team_id)

    async def _tree(self, work: UnitOfWork, team_id: TeamId) -> Tree:
        return Tree(await store.all_of(work.tx, work.context.organization_id, team_id))


def commands(limits: FolderLimits) -> list[CommandRegistration[Any, Any]]:
    """Return the slice's commands for the composition root."""
    handlers, write = FolderHandlers(limits=limits), "scenarios:write"
    return [
        CommandRegistration(
            command=CreateFolder,
            handler=handlers.create,
            result=Folder,
            permission=write,
            action="scenario-folder.create",
            audited=_AUDITED,
        ),
        CommandRegistration(
            command=UpdateFolder,
            handler=handlers.update,
            result=Folder,
            permission=write,
            action="scenario-folder.update",
            audited=_AUDITED,
        ),
        CommandRegistration(
            command=DeleteFolder,
            handler=handlers.delete,
            result=None,
            permission=write,
            action="scenario-folder.delete",
        ),
    ]
