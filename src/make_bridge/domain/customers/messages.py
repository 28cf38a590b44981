"""What can be asked of customers."""

from make_bridge.kernel.ids import CustomerId, OrganizationId, TeamId
from make_bridge.kernel.messages import Command, Query, message


@message
class Customer:
    """An end user of the integrator; ``external_id`` is the ``sub`` of portal tokens."""

    id: CustomerId
    organization_id: OrganizationId
    team_id: TeamId
    name: str
    external_id: str
    operations_limit: int | None


@message
class CreateCustomer(Command[Customer]):
    """Make a customer with a team of its own, or put it into an existing team."""

    name: str
    external_id: str
    team_id: TeamId | None = None
    operations_limit: int | None = None


@message
class DeleteCustomer(Command[None]):
    """Remove a customer that has no scenarios left."""

    customer_id: CustomerId


@message
class ListCustomers(Query[list[Customer]]):
    """All customers of the organization, or the one whose ``sub`` asks; ``after`` continues a page."""

    external_id: str | None = None
    after: int = 0
    limit: int = 1000


@message
class GetCustomer(Query[Customer]):
    """One customer."""

    customer_id: CustomerId
