"""What can be asked of teams."""

from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.kernel.messages import Command, Query, message


@message
class Team:
    """A team, with what it may use in a month (operations, bytes); None is no limit.

    Without a limit of its own its customers' together is shown.
    """

    id: TeamId
    organization_id: OrganizationId
    name: str
    active_scenarios: int
    operations_limit: int | None
    transfer_limit: int | None


@message
class FindTeams(Query[list[Team]]):
    """The teams of the organization by their ids; who acts for one team sees that one."""

    offset: int = 0
    limit: int = 10_000


@message
class GetTeam(Query[Team]):
    """One team."""

    team_id: TeamId


@message
class CreateTeam(Command[Team]):
    """Make a team that is no customer's, with what it may use in a month (operations, bytes)."""

    name: str
    operations_limit: int | None = None
    transfer_limit: int | None = None


@message
class DeleteTeam(Command[None]):
    """Remove a team with its unused hooks, credentials and data stores; its scenarios have to be gone."""

    team_id: TeamId
