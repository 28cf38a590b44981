"""What can be read of usage. A team's is for who may see that team, the whole organization's for who is bound to none.

States are computed here from the same sums the watch reads, so a page never shows an older state than its numbers.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from make_bridge.domain.customers import store as customer_store
from make_bridge.domain.customers.messages import GetCustomer
from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.customers.views import get_customer
from make_bridge.domain.usage import store
from make_bridge.domain.usage.messages import (
    GetCustomerMonth,
    GetMonth,
    GetTeamMonth,
    Limits,
    Month,
    SumUsage,
    TeamMonth,
    UsedDay,
)
from make_bridge.domain.usage.model import State, checked_range, worst
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import PermissionDenied
from make_bridge.kernel.ids import TeamId
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx

_MOST_SCENARIOS: Final = 10_000
_USUAL: Final = timedelta(days=29)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageViews:
    """The views; ``near_percent`` is from which share on a limit is near."""

    near_percent: float

    async def sum_usage(self, tx: ReadTx, context: Context, query: SumUsage) -> list[UsedDay]:
        """Answer SumUsage; NotFound for a team that is not the organization's, InvalidInput for an odd range."""
        await _require_sight(tx, context, query.team_id)
        last = query.last or await store.today(tx)
        first, last = checked_range(query.first or last - _USUAL, last)
        return await store.days(tx, context.organization_id, query.team_id, first, last)

    async def get_month(self, tx: ReadTx, context: Context, query: GetMonth) -> Month:
        """Answer GetMonth."""
        await _require_sight(tx, context, query.team_id)
        return await self._month(tx, context, query.team_id)

    async def get_team_month(self, tx: ReadTx, context: Context, query: GetTeamMonth) -> TeamMonth:
        """Answer GetTeamMonth."""
        await _require_sight(tx, context, query.team_id)
        today = await store.today(tx)
        used = await store.scenarios(tx, context.organization_id, query.team_id, today, limit=_MOST_SCENARIOS)
        return TeamMonth(first_day=today.replace(day=1), scenarios=tuple(used))

    async def get_customer_month(self, tx: ReadTx, context: Context, query: GetCustomerMonth) -> Month:
        """Answer GetCustomerMonth; a customer that the caller may not see does not exist for it."""
        customer = await get_customer(tx, context, GetCustomer(customer_id=query.customer_id))
        return await self._month(tx, context, customer.team_id)

    async def _month(self, tx: ReadTx, context: Context, team_id: TeamId | None) -> Month:
        organization_id = context.organization_id
        row = await store.month(tx, organization_id, team_id)
        if team_id is None:
            limits = await store.limits_of(tx, organization_id)
        else:
            limits = await store.limits_of_team(tx, organization_id, team_id)
        state = State.NORMAL if limits == Limits() else worst(store.measures_of(row, limits), self.near_percent)[0]
        waiting = await store.waiting(tx, organization_id, team_id)
        return Month(**row, limits=limits, state=state.name.lower(), waiting=waiting)

    def queries(self) -> list[QueryRegistration[Any, Any]]:
        """Return the slice's queries for the composition root."""
        read = "usage:read"
        return [
            QueryRegistration(query=SumUsage, view=self.sum_usage, permission=read, may_lag=True),
            QueryRegistration(query=GetTeamMonth, view=self.get_team_month, permission=read, may_lag=True),
            QueryRegistration(query=GetMonth, view=self.get_month, permission=read, may_lag=True),
            QueryRegistration(
                query=GetCustomerMonth, view=self.get_customer_month, permission="customers:read", may_lag=True
            ),
        ]


async def _require_sight(tx: ReadTx, context: Context, team_id: TeamId | None) -> None:
    if team_id is not None:
        require_sight(context, team_id)
        await customer_store.require_team(tx, context.organization_id, team_id)
    elif context.team_id is not None:
        raise PermissionDenied("This is told of the whole organization, not of one team: leave teamId out.")
