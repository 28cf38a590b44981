"""Opening the secret of a connection or key: only for a call that a run makes now.

``ComponentOpener`` is handed to the execution path and to nothing else; no face has a way to it.
Nothing that was opened is kept.
"""

from dataclasses import dataclass, field

import msgspec

from make_bridge.domain.connections.model import JsonObject
from make_bridge.domain.connections.store import ComponentStore
from make_bridge.domain.organizations.keys import DataKeys, Purpose
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ComponentId, OrganizationId, TeamId
from make_bridge.platform.database.shards import Shards


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedComponent:
    """A connection or key with its values in the clear, alive for one call; its repr shows none of them."""

    kind: str
    type: str
    values: JsonObject = field(repr=False)


def purpose_of(kind: str, component_id: ComponentId) -> Purpose:
    """Return what a component's secret is sealed for: it cannot be opened in another place."""
    return (kind, component_id, "values")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentOpener:
    """Reads and opens, for one team."""

    shards: Shards
    sealing: DataKeys
    components: ComponentStore = field(default_factory=ComponentStore)

    async def open(
        self, organization_id: OrganizationId, team_id: TeamId, component_id: ComponentId
    ) -> OpenedComponent:
        """Return the opened component; raises NotFound, also for one of another team."""
        shard = await self.shards.of(organization_id)
        async with shard.read(organization_id) as tx:
            found = await self.components.get(tx, organization_id, component_id)
        component = found.component
        if component.team_id != team_id:
            raise NotFound("There is no such connection or key.")
        opened = await self.sealing.open(organization_id, purpose_of(component.kind, component.id), found.sealed)
        values = msgspec.json.decode(opened, type=JsonObject)
        return OpenedComponent(kind=component.kind, type=component.type, values=values)
