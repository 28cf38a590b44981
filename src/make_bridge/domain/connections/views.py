"""What can be read of connections and keys: everything but their secrets."""

from dataclasses import dataclass, field
from typing import Any

from make_bridge.domain.connections.messages import Component, GetComponent, ListComponents
from make_bridge.domain.connections.store import ComponentStore
from make_bridge.domain.customers.model import require_sight
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import NotFound
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

    async def get_component(self, tx: ReadTx, context: Context, query: GetComponent) -> Component:
        """Answer GetComponent; raises NotFound, also for a key where a connection is asked for."""
        component = (await self.components.get(tx, context.organization_id, query.component_id)).component
        require_sight(context, component.team_id)
        if component.kind != query.kind:
            raise NotFound(f"There is no such {query.kind}.")
        return component


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    views, read = ComponentViews(), "connections:read"
    return [
        QueryRegistration(query=ListComponents, view=views.list_components, permission=read),
        QueryRegistration(query=GetComponent, view=views.get_component, permission=read),
    ]
