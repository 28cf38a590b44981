"""What can be asked of usage and its limits, and what is told when one comes near."""

from dataclasses import field
from datetime import date, datetime
from typing import ClassVar

from make_bridge.domain.customers.messages import Customer
from make_bridge.kernel.ids import CustomerId, ScenarioId, TeamId
from make_bridge.kernel.messages import Command, Event, Query, message


@message
class Limits:
    """What an organization may use in a calendar month (UTC); None is no limit."""

    operations: int | None = None
    executions: int | None = None
    data_transfer: int | None = None


@message
class UsedDay:
    """What was used on one day (UTC)."""

    date: date
    executions: int
    operations: int
    data_transfer: int


@message
class Month:
    """This month so far: limits, what was used, how it stands (normal, near, reached) and how many runs wait."""

    first_day: date
    until: datetime
    limits: Limits
    executions: int
    operations: int
    data_transfer: int
    state: str
    waiting: int


@message
class SumUsage(Query[list[UsedDay]]):
    """Usage by day of a team, or of the organization; without days the last thirty, every day present."""

    team_id: TeamId | None = None
    first: date | None = None
    last: date | None = None


@message
class GetMonth(Query[Month]):
    """How a team, or the organization, stands this month. The limits of a team are its customers'."""

    team_id: TeamId | None = None


@message
class ScenarioMonth:
    """What one scenario has used this month."""

    scenario_id: ScenarioId
    operations: int
    data_transfer: int


@message
class TeamMonth:
    """What each scenario of a team has used since the month's first day; those that used nothing are left out."""

    first_day: date
    scenarios: tuple[ScenarioMonth, ...]


@message
class GetTeamMonth(Query[TeamMonth]):
    """What the scenarios of a team have used this month, deleted ones too."""

    team_id: TeamId


@message
class GetCustomerMonth(Query[Month]):
    """How a customer stands this month."""

    customer_id: CustomerId


@message
class SetLimits(Command[Limits]):
    """Say what the organization may use in a month; what is left out has no limit."""

    limits: Limits = field(default_factory=Limits)


@message
class SetCustomerLimit(Command[Customer]):
    """Say how many operations a customer may use in a month; None is no limit."""

    customer_id: CustomerId
    operations_limit: int | None


@message
class UsageLimitsChanged(Event):
    """Somebody has set a limit; without a team it is the organization's. Runs that waited for it may start."""

    wire_name: ClassVar[str] = "usage.limits_changed.v1"
    team_id: int | None = None


@message
class UsageLimitNear(Event):
    """Most of what may be used this month is used; without a team it is the organization's limit. Told once a month."""

    wire_name: ClassVar[str] = "usage.limit_near.v1"
    team_id: int | None
    measure: str
    used: int
    limit: int
    month: str


@message
class UsageLimitReached(Event):
    """A limit of this month is reached: webhooks wait, schedules pause, runs by hand are refused. Told once a month."""

    wire_name: ClassVar[str] = "usage.limit_reached.v1"
    team_id: int | None
    measure: str
    used: int
    limit: int
    month: str
