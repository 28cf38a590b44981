"""Making and removing teams that are no customer's. A customer's team comes and goes with the customer."""

from dataclasses import dataclass
from typing import Any

from make_bridge.domain.customers import store as customer_store
from make_bridge.domain.customers.model import checked_name, checked_operations_limit, require_sight
from make_bridge.domain.organizations.keys import OrganizationReader
from make_bridge.domain.teams import store
from make_bridge.domain.teams.messages import CreateTeam, DeleteTeam, Team
from make_bridge.kernel.errors import Conflict, InvalidInput, PermissionDenied
from make_bridge.kernel.ids import MAX_ID
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamHandlers:
    """The handlers; ``organizations`` tells the root team."""

    organizations: OrganizationReader

    async def create(self, work: UnitOfWork, command: CreateTeam) -> Team:
        """Make a team."""
        if work.context.team_id is not None:
            raise PermissionDenied("Teams are the whole organization's to make: leave teamId out.")
        organization_id = work.context.organization_id
        team_id = await customer_store.insert_team(
            work.tx,
            organization_id,
            checked_name(command.name),
            operations_limit=checked_operations_limit(command.operations_limit),
            transfer_limit=_checked_transfer(command.transfer_limit),
        )
        work.touch(f"team/{team_id}", name=command.name)
        return await store.get(work.tx, organization_id, team_id)

    async def delete(self, work: UnitOfWork, command: DeleteTeam) -> None:
        """Remove a team; raises NotFound, and Conflict while it is somebody's or has scenarios."""
        organization_id, team_id = work.context.organization_id, command.team_id
        require_sight(work.context, team_id)
        await customer_store.lock_team(work.tx, organization_id, team_id)
        team = await store.get(work.tx, organization_id, team_id)
        organization = await self.organizations.get(organization_id)
        if team_id == organization.root_team_id:
            raise Conflict("This is the organization's own team: it stays as long as the organization does.")
        if await store.has_customers(work.tx, organization_id, team_id):
            raise Conflict("This team is a customer's: delete the customer, and its team goes with it.")
        if await customer_store.has_scenarios(work.tx, organization_id, team_id):
            raise Conflict("This team still has scenarios: delete them first.")
        await customer_store.delete_team(work.tx, organization_id, team_id)
        work.touch(f"team/{team_id}", name=team.name)

    def commands(self) -> list[CommandRegistration[Any, Any]]:
        """Return the slice's commands for the composition root."""
        write = "teams:write"
        return [
            CommandRegistration(
                command=CreateTeam, handler=self.create, result=Team, permission=write, action="team.create"
            ),
            CommandRegistration(
                command=DeleteTeam, handler=self.delete, result=None, permission=write, action="team.delete"
            ),
        ]


def _checked_transfer(limit: int | None) -> int | None:
    if limit is not None and not 0 <= limit <= MAX_ID:
        raise InvalidInput("The limit of data transfer is a whole number of bytes from 0.")
    return limit
