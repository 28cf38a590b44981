"""Renaming an organization, and giving it another time zone: its schedules and dates go by that from then on."""

from dataclasses import dataclass
from typing import Any

from make_bridge.domain.organizations import store
from make_bridge.domain.organizations.keys import OrganizationReader
from make_bridge.domain.organizations.messages import EditOrganization, Organization
from make_bridge.domain.organizations.model import checked_name, checked_timezone
from make_bridge.kernel.errors import NotFound
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationEditing:
    """The handler; ``organizations`` forgets what was changed here, other nodes learn of it within five seconds."""

    organizations: OrganizationReader

    async def edit(self, work: UnitOfWork, command: EditOrganization) -> Organization:
        """Change what is given; raises InvalidInput."""
        organization_id = work.context.organization_id
        before = await store.get(work.tx, organization_id)
        if before is None:
            raise NotFound("There is no such organization.")
        name = before.name if command.name is None else checked_name(command.name)
        timezone = before.timezone if command.timezone is None else checked_timezone(command.timezone)
        await store.edit(work.tx, organization_id, name, timezone)
        after = await store.get(work.tx, organization_id) or before
        work.afterwards(lambda: self.organizations.forget(organization_id))
        work.touch(f"organization/{organization_id}", name=name, timezone=timezone)
        work.change(before=before, after=after)
        return after

    def commands(self) -> list[CommandRegistration[Any, Any]]:
        """Return the slice's commands for the composition root."""
        return [
            CommandRegistration(
                command=EditOrganization,
                handler=self.edit,
                result=Organization,
                permission="organizations:write",
                action="organization.edit",
                audited=frozenset({"name", "timezone"}),
                home="directory",
            )
        ]
