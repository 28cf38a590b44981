"""What can be read of connections and keys: everything but their secrets."""

from dataclasses import dataclass, field
from typing import Any

from make_bridge.domain.connections.messages import Component, ListComponents
from make_bridge.domain.connections.store import ComponentStore
from make_bridge.domain.customers.model import require_sight
from make_bridge.kernel.context import Context
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentViews:
    """The views."""

    components: ComponentStore = field(default_factory=ComponentStore)

    async def list_components(self, tx: ReadTx, context: Context, query: ListComponents) -> list[Component]:
        """Answer ListComponents; raises NotFound for a team that is out of the caller's sight."""
        require_sight(context, query.team_id)
        return await self.components.list(
            tx, context.organization_id, query.team_id, kind=query.kind, type_name=query.type
        )


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    return [
        QueryRegistration(query=ListComponents, view=ComponentViews().list_components, permission="connections:read")
    ]
