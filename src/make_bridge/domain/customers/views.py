"""What can be read of customers. A customer's own token sees that customer and nobody else, whatever it asks."""

from typing import Any, Final

from make_bridge.domain.customers import store
from make_bridge.domain.customers.messages import Customer, GetCustomer, ListCustomers
from make_bridge.domain.customers.model import only_external_id
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import NotFound
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx

_MOST: Final = 1000


async def list_customers(tx: ReadTx, context: Context, query: ListCustomers) -> list[Customer]:
    """Answer ListCustomers."""
    external_id = only_external_id(context, query.external_id)
    if external_id is not None:
        found = await store.find(tx, context.organization_id, external_id)
        return [] if found is None else [found]
    limit = min(max(query.limit, 1), _MOST)
    return await store.list_page(tx, context.organization_id, after=query.after, limit=limit)


async def get_customer(tx: ReadTx, context: Context, query: GetCustomer) -> Customer:
    """Answer GetCustomer; a customer that the caller may not see does not exist for it."""
    customer = await store.get(tx, context.organization_id, query.customer_id)
    if only_external_id(context, customer.external_id) != customer.external_id:
        raise NotFound("There is no such customer.")
    return customer


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    return [
        QueryRegistration(query=ListCustomers, view=list_customers, permission="customers:read", may_lag=True),
        QueryRegistration(query=GetCustomer, view=get_customer, permission="customers:read"),
    ]
