"""What changes connections and keys: create and delete. A secret is sealed before it is written."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from make_bridge.domain.connections.messages import Component, CreateComponent, DeleteComponent
from make_bridge.domain.connections.model import checked_name, checked_type, checked_values
from make_bridge.domain.connections.opening import purpose_of
from make_bridge.domain.connections.store import ComponentStore, SealedComponent
from make_bridge.domain.customers import store as customer_store
from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.organizations.keys import DataKeys
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork


class Farewell(Protocol):
    """Is told before a connection or key is removed, in the same transaction: others have to hear of it."""

    async def leaving(self, work: UnitOfWork, component: Component) -> None:
        """Enqueue what has to follow."""
        ...


class NoFarewell:
    """Nobody else has to hear of it."""

    async def leaving(self, work: UnitOfWork, component: Component) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentHandlers:
    """The handlers; flows use ``create`` from within a step."""

    sealing: DataKeys
    farewell: Farewell = field(default_factory=NoFarewell)
    components: ComponentStore = field(default_factory=ComponentStore)

    async def create(self, work: UnitOfWork, command: CreateComponent) -> Component:
        """Store credentials; raises InvalidInput with a sentence per field, NotFound for another's team."""
        organization_id = work.context.organization_id
        component_type = checked_type(command.kind, command.type)
        name = checked_name(command.name)
        values = checked_values(component_type, command.values)
        require_sight(work.context, command.team_id)
        await customer_store.require_team(work.tx, organization_id, command.team_id)
        component_id = await self.components.new_id(work.tx)
        purpose = purpose_of(command.kind, component_id)
        sealed = await self.sealing.seal(organization_id, purpose, msgspec.json.encode(values))
        component = Component(id=component_id, team_id=command.team_id, kind=command.kind, type=command.type, name=name)
        await self.components.insert(work.tx, organization_id, SealedComponent(component=component, sealed=sealed))
        work.touch(f"{command.kind}/{component_id}", type=command.type, team=command.team_id)
        return component

    async def delete(self, work: UnitOfWork, command: DeleteComponent) -> None:
        """Remove a connection or key; raises NotFound, also for one of another team."""
        organization_id = work.context.organization_id
        component = (await self.components.get(work.tx, organization_id, command.component_id)).component
        require_sight(work.context, component.team_id)
        await self.farewell.leaving(work, component)
        await self.components.delete(work.tx, organization_id, component.id)
        work.touch(f"{component.kind}/{component.id}", type=component.type, team=component.team_id)


def commands(handlers: ComponentHandlers) -> list[CommandRegistration[Any, Any]]:
    """Return the slice's commands for the composition root."""
    write = "connections:write"
    return [
        CommandRegistration(
            command=CreateComponent,
            handler=handlers.create,
            result=Component,
            permission=write,
            action="component.create",
        ),
        CommandRegistration(
            command=DeleteComponent, handler=handlers.delete, result=None, permission=write, action="component.delete"
        ),
    ]
