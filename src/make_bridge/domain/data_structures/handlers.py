"""What changes data structures."""

from dataclasses import dataclass, field
from typing import Any

from make_bridge.domain.customers import store as customer_store
from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.data_structures.messages import (
    CloneDataStructure,
    CreateDataStructure,
    DataStructure,
    DataStructureId,
    DeleteDataStructure,
    UpdateDataStructure,
)
from make_bridge.domain.data_structures.model import checked_name, checked_spec
from make_bridge.domain.data_structures.store import DataStructureStore
from make_bridge.kernel.ids import TeamId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork

_NOUN = "data structure"
_UNBORN = DataStructureId(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStructureHandlers:
    """The handlers."""

    structures: DataStructureStore = field(default_factory=DataStructureStore)

    async def create(self, work: UnitOfWork, command: CreateDataStructure) -> DataStructure:
        """Make one; raises InvalidInput, and NotFound for another's team."""
        return await self._insert(
            work,
            DataStructure(
                id=_UNBORN,
                team_id=command.team_id,
                name=checked_name(command.name, _NOUN),
                spec=checked_spec(command.spec),
                strict=command.strict,
            ),
        )

    async def clone(self, work: UnitOfWork, command: CloneDataStructure) -> DataStructure:
        """Copy one; raises NotFound for a structure or a team out of sight."""
        source = await self._lock(work, command.data_structure_id)
        return await self._insert(
            work,
            DataStructure(
                id=_UNBORN,
                team_id=command.team_id or source.team_id,
                name=checked_name(command.name or source.name, _NOUN),
                spec=source.spec,
                strict=source.strict,
            ),
        )

    async def update(self, work: UnitOfWork, command: UpdateDataStructure) -> DataStructure:
        """Change one."""
        known = await self._lock(work, command.data_structure_id)
        changed = DataStructure(
            id=known.id,
            team_id=known.team_id,
            name=known.name if command.name is None else checked_name(command.name, _NOUN),
            spec=known.spec if command.spec is None else checked_spec(command.spec),
            strict=known.strict if command.strict is None else command.strict,
        )
        work.touch(f"data-structure/{known.id}", team=known.team_id)
        return await self.structures.update(work.tx, work.context.organization_id, changed)

    async def delete(self, work: UnitOfWork, command: DeleteDataStructure) -> None:
        """Remove one; raises Conflict while a data store uses it."""
        known = await self._lock(work, command.data_structure_id)
        await self.structures.delete(work.tx, work.context.organization_id, known.id)
        work.touch(f"data-structure/{known.id}", team=known.team_id)

    async def _lock(self, work: UnitOfWork, structure_id: DataStructureId) -> DataStructure:
        known = await self.structures.lock(work.tx, work.context.organization_id, structure_id)
        require_sight(work.context, known.team_id)
        return known

    async def _insert(self, work: UnitOfWork, new: DataStructure) -> DataStructure:
        await require_team(work, new.team_id)
        made = await self.structures.insert(work.tx, work.context.organization_id, new)
        work.touch(f"data-structure/{made.id}", team=made.team_id)
        return made


async def require_team(work: UnitOfWork, team_id: TeamId) -> None:
    """Raise NotFound unless the caller may make something in this team."""
    require_sight(work.context, team_id)
    await customer_store.require_team(work.tx, work.context.organization_id, team_id)


def commands() -> list[CommandRegistration[Any, Any]]:
    """Return the slice's commands for the composition root."""
    handlers, write = DataStructureHandlers(), "datastructures:write"
    return [
        CommandRegistration(
            command=CreateDataStructure,
            handler=handlers.create,
            result=DataStructure,
            permission=write,
            action="data-structure.create",
        ),
        CommandRegistration(
            command=CloneDataStructure,
            handler=handlers.clone,
            result=DataStructure,
            permission=write,
            action="data-structure.clone",
        ),
        CommandRegistration(
            command=UpdateDataStructure,
            handler=handlers.update,
            result=DataStructure,
            permission=write,
            action="data-structure.update",
        ),
        CommandRegistration(
            command=DeleteDataStructure,
            handler=handlers.delete,
            result=None,
            permission=write,
            action="data-structure.delete",
        ),
    ]
