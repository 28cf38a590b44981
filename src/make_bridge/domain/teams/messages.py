"""What can be asked of teams."""

from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.kernel.messages import Command, Query, message


@message
class Team:
    """A team; ``operations_limit`` is what its customers together may use in a month, None is no limit."""

    id: TeamId
    organization_id: OrganizationId
    name: str
    active_scenarios: int
    operations_limit: int | None


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
    """Make a team that is no customer's."""

    name: str


@message
class DeleteTeam(Command[None]):
    """Remove a team with its unused hooks, credentials and data stores; its scenarios have to be gone."""

    team_id: TeamId
