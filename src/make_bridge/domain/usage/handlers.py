"""What changes limits. Both are the integrator's own affair, so customers' tokens cannot do either."""

from dataclasses import dataclass
from typing import Any

from make_bridge.domain.customers import store as customer_store
from make_bridge.domain.customers.directory import CustomerDirectory
from make_bridge.domain.customers.messages import Customer
from make_bridge.domain.customers.model import checked_operations_limit
from make_bridge.domain.usage import store
from make_bridge.domain.usage.messages import Limits, SetCustomerLimit, SetLimits, UsageLimitsChanged
from make_bridge.domain.usage.model import checked_limit
from make_bridge.kernel.errors import PermissionDenied
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageHandlers:
    """The handlers; ``directory`` forgets the customer that was changed."""

    directory: CustomerDirectory

    async def set_limits(self, work: UnitOfWork, command: SetLimits) -> Limits:
        """Set the organization's limits; raises InvalidInput, PermissionDenied for who is bound to one team."""
        if work.context.team_id is not None:
            raise PermissionDenied("These limits are the whole organization's: leave teamId out.")
        given = command.limits
        limits = Limits(
            operations=checked_limit("operations", given.operations),
            executions=checked_limit("executions", given.executions),
            data_transfer=checked_limit("data transfer", given.data_transfer),
        )
        organization_id = work.context.organization_id
        await store.set_limits(work.tx, organization_id, limits)
        subject = f"organization/{organization_id}"
        work.touch(
            subject, operations=limits.operations, executions=limits.executions, data_transfer=limits.data_transfer
        )
        work.change(after=limits)
        work.emit(UsageLimitsChanged(), subject=subject)
        return limits

    async def set_customer_limit(self, work: UnitOfWork, command: SetCustomerLimit) -> Customer:
        """Set a customer's limit; raises NotFound, InvalidInput."""
        limit = checked_operations_limit(command.operations_limit)
        customer = await customer_store.set_operations_limit(
            work.tx, work.context.organization_id, command.customer_id, limit
        )
        work.afterwards(lambda: self.directory.forget(customer))
        work.touch(f"customer/{customer.id}", operations_limit=limit)
        work.change(after=customer)
        work.emit(UsageLimitsChanged(team_id=customer.team_id), subject=f"team/{customer.team_id}")
        return customer


def commands(directory: CustomerDirectory) -> list[CommandRegistration[Any, Any]]:
    """Return the slice's commands for the composition root."""
    handlers = UsageHandlers(directory=directory)
    return [
        CommandRegistration(
            command=SetLimits,
            handler=handlers.set_limits,
            result=Limits,
            permission="organizations:write",
            action="organization.set_limits",
            audited=frozenset({"operations", "executions", "data_transfer"}),
        ),
        CommandRegistration(
            command=SetCustomerLimit,
            handler=handlers.set_customer_limit,
            result=Customer,
            permission="customers:write",
            action="customer.set_limit",
            audited=frozenset({"operations_limit"}),
        ),
    ]
