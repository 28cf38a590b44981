"""What changes customers: create and delete. A customer's team, when nobody else has it, goes with it."""

from dataclasses import dataclass
from typing import Any

from make_bridge.domain.customers import store
from make_bridge.domain.customers.directory import CustomerDirectory, make_with_team
from make_bridge.domain.customers.messages import CreateCustomer, Customer, DeleteCustomer
from make_bridge.domain.customers.model import new_customer
from make_bridge.domain.organizations.keys import OrganizationReader
from make_bridge.kernel.errors import Conflict
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerHandlers:
    """The handlers; ``organizations`` tells the root team, ``directory`` forgets who is removed."""

    directory: CustomerDirectory
    organizations: OrganizationReader

    async def create(self, work: UnitOfWork, command: CreateCustomer) -> Customer:
        """Make a customer; raises Conflict when its external id is taken, NotFound for an unknown team."""
        organization_id = work.context.organization_id
        new = new_customer(command.external_id, command.name, command.operations_limit)
        if command.team_id is None:
            customer = await make_with_team(work.tx, organization_id, new)
        else:
            await store.require_team(work.tx, organization_id, command.team_id)
            customer = await store.insert(work.tx, organization_id, new, command.team_id)
        if customer is None:
            raise Conflict(f"There is already a customer with the external id '{new.external_id}'.")
        work.touch(f"customer/{customer.id}", team=customer.team_id)
        return customer

    async def delete(self, work: UnitOfWork, command: DeleteCustomer) -> None:
        """Remove a customer; raises Conflict while it has scenarios. Those of a shared team stay with the others."""
        organization_id = work.context.organization_id
        customer = await store.get(work.tx, organization_id, command.customer_id)
        await store.lock_team(work.tx, organization_id, customer.team_id)
        shared = await store.shares_team(work.tx, customer)
        if not shared and await store.has_scenarios(work.tx, organization_id, customer.team_id):
            raise Conflict("This customer still has scenarios: delete them first.")
        await store.delete(work.tx, organization_id, customer.id)
        organization = await self.organizations.get(organization_id)
        if not shared and customer.team_id != organization.root_team_id:
            await store.delete_team(work.tx, organization_id, customer.team_id)
        work.afterwards(lambda: self.directory.forget(customer))
        work.touch(f"customer/{customer.id}", external_id=customer.external_id)


def commands(directory: CustomerDirectory, organizations: OrganizationReader) -> list[CommandRegistration[Any, Any]]:
    """Return the slice's commands for the composition root."""
    handlers = CustomerHandlers(directory=directory, organizations=organizations)
    return [
        CommandRegistration(
            command=CreateCustomer,
            handler=handlers.create,
            result=Customer,
            permission="customers:write",
            action="customer.create",
        ),
        CommandRegistration(
            command=DeleteCustomer,
            handler=handlers.delete,
            result=None,
            permission="customers:write",
            action="customer.delete",
        ),
    ]
