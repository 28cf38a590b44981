"""The customers of an organization: who they are, and their coming and going.

A customer's own token sees that customer only. Everything that changes customers needs an administrator, because an
integrator's proxy passes on whatever its users' browsers send.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from make_bridge.domain.customers.messages import CreateCustomer, DeleteCustomer, GetCustomer, ListCustomers
from make_bridge.domain.customers.messages import Customer as CustomerFacts
from make_bridge.domain.usage.messages import GetCustomerMonth, SetCustomerLimit
from make_bridge.faces.edge.authentication import Credentials
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Access, Call, CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.faces.portal.bodies import CustomerLimitBody, NewCustomerBody
from make_bridge.faces.portal.dependencies import PortalDependencies
from make_bridge.faces.portal.operations import CustomerPath, Operation
from make_bridge.kernel.context import ActorKind
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import MAX_ID, TeamId

_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRoutes:
    """The routes below ``/customers``."""

    portal: PortalDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        size, tokens = self.portal.config.bodies.api, frozenset(Credentials)
        read = Access(permission="customers:read", max_body=size, accepts=tokens)
        write = Access(permission="customers:write", max_body=size, accepts=tokens, administrators_only=True)
        one = "/customers/{customer_id}"
        return [
            Operation(method="GET", path="/customers", endpoint=self.list_customers, access=read),
            Operation(
                method="POST",
                path="/customers",
                endpoint=self.create_customer,
                access=write,
                body=NewCustomerBody,
                is_body_required=True,
            ),
            Operation(method="GET", path=one, endpoint=self.get_customer, access=read),
            Operation(
                method="PATCH",
                path=one,
                endpoint=self.change_customer,
                access=write,
                body=CustomerLimitBody,
                is_body_required=True,
            ),
            Operation(method="GET", path=f"{one}/usage", endpoint=self.get_customer_usage, access=read),
            Operation(method="DELETE", path=one, endpoint=self.delete_customer, access=write),
        ]

    async def list_customers(
        self,
        call: CurrentCall,
        after: Annotated[int, Query(ge=0, le=MAX_ID, description="Continue after this id.")] = 0,
        limit: Annotated[int, Query(ge=1, le=_PAGE, description="At most so many.")] = _PAGE,
    ) -> wire.CustomerList:
        """List the customers by id; a customer's own token lists that customer."""
        query = ListCustomers(external_id=_own_sub(call), after=after, limit=limit)
        found = await self.portal.queries.ask(call.context, query)
        return wire.CustomerList(customers=[wire.customer(customer) for customer in found])

    async def get_customer(self, customer_id: CustomerPath, call: CurrentCall) -> wire.Customer:
        """Show one customer."""
        return wire.customer(await self._find(call, customer_id))

    async def create_customer(self, call: CurrentCall) -> wire.Customer:
        """Make a customer with a team of its own, or put it into an existing team."""
        body = parse_object(call.body, NewCustomerBody, max_depth=self.portal.config.json_depth)
        if call.context.team_id is not None and body.team_id not in {None, call.context.team_id}:
            raise InvalidInput("teamId in the body is another team than the one in the query.")
        command = CreateCustomer(
            name=body.name,
            external_id=body.external_id,
            team_id=call.context.team_id if body.team_id is None else TeamId(body.team_id),
            operations_limit=body.operations_limit,
        )
        return wire.customer(await self.portal.commands.execute(call.context, command))

    async def change_customer(self, customer_id: CustomerPath, call: CurrentCall) -> wire.Customer:
        """Set what a customer may use in a month; runs that waited for it start within seconds."""
        body = parse_object(call.body, CustomerLimitBody, max_depth=self.portal.config.json_depth)
        await self._find(call, customer_id)
        command = SetCustomerLimit(customer_id=customer_id, operations_limit=body.operations_limit)
        return wire.customer(await self.portal.commands.execute(call.context, command))

    async def get_customer_usage(self, customer_id: CustomerPath, call: CurrentCall) -> wire.CustomerUsage:
        """Show what a customer has used this month, and how that stands to its limit."""
        await self._find(call, customer_id)
        month = await self.portal.queries.ask(call.context, GetCustomerMonth(customer_id=customer_id))
        return wire.customer_usage(month)

    async def delete_customer(self, customer_id: CustomerPath, call: CurrentCall) -> wire.Done:
        """Remove a customer that has no scenarios left."""
        await self._find(call, customer_id)
        await self.portal.commands.execute(call.context, DeleteCustomer(customer_id=customer_id))
        return wire.Done(message="The customer was removed.")

    async def _find(self, call: Call, customer_id: CustomerPath) -> CustomerFacts:
        customer = await self.portal.queries.ask(call.context, GetCustomer(customer_id=customer_id))
        is_stranger = _own_sub(call) not in {None, customer.external_id}
        if is_stranger or call.context.team_id not in {None, customer.team_id}:
            raise NotFound("There is no such customer.")
        return customer


def _own_sub(call: Call) -> str | None:
    actor = call.context.actor
    return actor.reference if actor.kind is ActorKind.CUSTOMER else None
