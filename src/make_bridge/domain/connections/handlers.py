"""What changes connections and keys: create, edit and delete. A secret is sealed before it is written."""

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import msgspec

from make_bridge.domain.connections.messages import (
    Component,
    CreateComponent,
    DeleteComponent,
    EditComponent,
    VerifyConnection,
)
from make_bridge.domain.connections.model import checked_name, checked_type, checked_values, named
from make_bridge.domain.connections.opening import purpose_of
from make_bridge.domain.connections.store import ComponentStore, SealedComponent
from make_bridge.domain.connections.types import type_of
from make_bridge.domain.customers import store as customer_store
from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.organizations.keys import ApiTokens, DataKeys
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import Conflict, InvalidInput, NotFound
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.transactions import ReadTx

_USABLE = "active"
_OWN_API = "make"


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
    tokens: ApiTokens | None = None
    """Knows the API tokens of this server, for connections to its own API; ``own_origin`` is where that is."""
    own_origin: str = ""
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

    async def edit(self, work: UnitOfWork, command: EditComponent) -> Component:
        """Change a connection or key; raises InvalidInput, NotFound, Conflict where a provider gave the values.

        What is sealed is opened here to be put together with what was sent, and leaves only sealed again.
        """
        organization_id = work.context.organization_id
        found = await self.components.lock(work.tx, organization_id, command.component_id)
        component, sealed = found.component, found.sealed
        require_sight(work.context, component.team_id)
        if command.name is not None:
            component = replace(component, name=checked_name(command.name))
        if command.values is not None:
            component_type = type_of(component.kind, component.type)
            if component_type is None or component.state != _USABLE:
                raise Conflict("The provider gave these credentials: have the person agree again.", code="consented")
            purpose = purpose_of(component.kind, component.id)
            held = msgspec.json.decode(await self.sealing.open(organization_id, purpose, sealed), type=dict[str, Any])
            values = checked_values(component_type, held | named(component_type, command.values))
            sealed = await self.sealing.seal(organization_id, purpose, msgspec.json.encode(values))
        changed = SealedComponent(component=component, sealed=sealed)
        await self.components.edit(work.tx, organization_id, changed)
        work.touch(f"{component.kind}/{component.id}", name=component.name, values=command.values is not None)
        return component

    async def verify(self, tx: ReadTx, context: Context, query: VerifyConnection) -> bool:
        """Answer VerifyConnection; raises InvalidInput with what is wrong, NotFound."""
        found = await self.components.get(tx, context.organization_id, query.component_id)
        component = found.component
        require_sight(context, component.team_id)
        if component.kind != "connection":
            raise NotFound("There is no such connection.")
        if component.type != _OWN_API:
            message = f"Connections of the type '{component.type}' are verified by a scenario that uses them."
            raise InvalidInput(message, code="cannot_verify")
        purpose = purpose_of(component.kind, component.id)
        opened = await self.sealing.open(context.organization_id, purpose, found.sealed)
        values = msgspec.json.decode(opened, type=dict[str, str])
        if values["url"].rstrip("/") != self.own_origin:
            message = f"Only the address of this server can be verified here: {self.own_origin}."
            raise InvalidInput(message, code="cannot_verify")
        if self.tokens is None or await self.tokens.find(values["apiKey"]) is None:
            raise InvalidInput("Access denied: Invalid token header.", code="SC401")
        return True

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
            command=EditComponent, handler=handlers.edit, result=Component, permission=write, action="component.edit"
        ),
        CommandRegistration(
            command=DeleteComponent, handler=handlers.delete, result=None, permission=write, action="component.delete"
        ),
    ]


def queries(handlers: ComponentHandlers) -> list[QueryRegistration[Any, Any]]:
    """Return what is asked of opened values; nothing of them is in an answer."""
    return [QueryRegistration(query=VerifyConnection, view=handlers.verify, permission="connections:read")]
