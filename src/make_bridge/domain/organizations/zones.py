"""The time zone of an organization: in which its schedules are meant and its scenarios write dates.

Asked by activation, the scheduler and every run; remembered as long as the organization's other facts are.
"""

from dataclasses import dataclass
from typing import Protocol
from zoneinfo import ZoneInfo

from make_bridge.domain.organizations.messages import Organization
from make_bridge.kernel.ids import OrganizationId


class Organizations(Protocol):
    """Tells the facts of organizations."""

    async def get(self, organization_id: OrganizationId) -> Organization:
        """Return an organization; raises NotFound."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """See the module."""

    organizations: Organizations

    async def of(self, organization_id: OrganizationId) -> ZoneInfo:
        """Return the zone of an organization; raises NotFound."""
        return ZoneInfo((await self.organizations.get(organization_id)).timezone)
