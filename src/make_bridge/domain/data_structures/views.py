"""What can be read of data structures."""

from dataclasses import dataclass, field
from typing import Any

from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.data_structures.messages import DataStructure, GetDataStructure, ListDataStructures
from make_bridge.domain.data_structures.store import DataStructureStore
from make_bridge.kernel.context import Context
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStructureViews:
    """The views."""

    structures: DataStructureStore = field(default_factory=DataStructureStore)

    async def list_structures(self, tx: ReadTx, context: Context, query: ListDataStructures) -> list[DataStructure]:
        """Answer ListDataStructures; raises NotFound for a team out of sight."""
        require_sight(context, query.team_id)
        return await self.structures.list(tx, context.organization_id, query.team_id)

    async def get_structure(self, tx: ReadTx, context: Context, query: GetDataStructure) -> DataStructure:
        """Answer GetDataStructure; raises NotFound."""
        found = await self.structures.get(tx, context.organization_id, query.data_structure_id)
        require_sight(context, found.team_id)
        return found


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    views, read = DataStructureViews(), "datastructures:read"
    return [
        QueryRegistration(query=ListDataStructures, view=views.list_structures, permission=read, may_lag=True),
        QueryRegistration(query=GetDataStructure, view=views.get_structure, permission=read),
    ]
