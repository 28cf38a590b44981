"""The engine's way to connections and keys: opened for one call, only for the run's own team.

What a stored key means on the wire (a header, a query parameter, a user and a password) is decided
by its type's description; the module that calls out never sees more than it needs.
"""

from dataclasses import dataclass
from typing import Final

from make_bridge.domain.connections.opening import ComponentOpener, OpenedComponent
from make_bridge.engine.ports import Components, Credential, CredentialUnavailable, Placement
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ComponentId, OrganizationId, TeamId

_BASIC: Final = "basicauth"


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamComponents:
    """``Components`` for the runs of one team."""

    opener: ComponentOpener
    organization_id: OrganizationId
    team_id: TeamId

    async def credential(self, component_id: int, *, url: str) -> Credential:  # noqa: ARG002 - host binding comes with OAuth
        """Open a connection or key for a call to ``url``; raises CredentialUnavailable."""
        try:
            opened = await self.opener.open(self.organization_id, self.team_id, ComponentId(component_id))
        except NotFound as error:
            message = f"The connection or key {component_id} does not exist in this team."
            raise CredentialUnavailable(message) from error
        return _credential(opened)


def _credential(opened: OpenedComponent) -> Credential:
    values = opened.values
    if opened.type == _BASIC:
        return Credential(kind="basic", user=str(values.get("user", "")), secret=str(values.get("password", "")))
    placement: Placement = "query" if values.get("placement") == "query" else "header"
    name = str(values.get("parameter") or values.get("name") or "Authorization")
    return Credential(kind="api_key", secret=str(values.get("key", "")), name=name, placement=placement)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedByTeam:
    """Makes the port for each run."""

    opener: ComponentOpener

    def of(self, organization_id: OrganizationId, team_id: TeamId) -> Components:
        """Return the port of one team."""
        return TeamComponents(opener=self.opener, organization_id=organization_id, team_id=team_id)
