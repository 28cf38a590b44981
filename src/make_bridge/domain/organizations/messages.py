"""What can be asked of organizations.

``CreateOrganization`` runs before a tenant exists, so it is not a bus command: the operator's
command line calls ``OrganizationService`` directly. The rest travels over the buses.
"""

from datetime import datetime

from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.kernel.messages import Command, message


@message
class NewOrganization:
    """What the operator says about a new integrator."""

    name: str
    origins: tuple[str, ...] = ()
    timezone: str = "UTC"
    is_demo: bool = False


@message
class OrganizationCreated:
    """What an integrator needs to begin; ``secret`` and ``api_token`` are shown this once."""

    organization_id: OrganizationId
    team_id: TeamId
    key_id: str
    secret: str
    api_token: str

    def __repr__(self) -> str:
        """Show no secret."""
        return f"OrganizationCreated({self.organization_id})"


@message
class PortalKey:
    """A signing key as the verifier needs it: opened secret, pinned algorithm, scope, end of life."""

    kid: str
    organization_id: OrganizationId
    algorithm: str
    secret: bytes
    permissions: frozenset[str]
    not_after: datetime | None

    def __repr__(self) -> str:
        """Show no secret."""
        return f"PortalKey({self.kid})"


@message
class Organization:
    """An organization as pages and policies need it."""

    id: OrganizationId
    name: str
    timezone: str
    root_team_id: TeamId
    origins: tuple[str, ...]
    is_demo: bool


@message
class EditOrganization(Command[Organization]):
    """Rename an organization or move it to another time zone; what is None stays."""

    name: str | None = None
    timezone: str | None = None
