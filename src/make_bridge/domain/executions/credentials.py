"""The engine's way to connections and keys: opened for one call, only for the run's own team, and never unaudited.

What a stored key means on the wire (a header, a query parameter, a user and a password) is decided
by its type's description; the module that calls out never sees more than it needs.
"""

from dataclasses import dataclass
from typing import Final

from make_bridge.domain.connections.model import JsonObject
from make_bridge.domain.connections.opening import ComponentOpener, OpenedComponent
from make_bridge.domain.executions.credential_uses import CredentialUses, UsesOfRun
from make_bridge.engine.ports import Components, Credential, CredentialUnavailable, Placement
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ComponentId, ExecutionId, OrganizationId, TeamId

_MAIL_SETTINGS: Final = ("host", "port", "security", "from")
_CERTIFICATE_SETTINGS: Final = ("certificate", "ca")


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamComponents:
    """``Components`` for the runs of one team."""

    opener: ComponentOpener
    organization_id: OrganizationId
    team_id: TeamId
    uses: UsesOfRun

    async def credential(self, component_id: int, *, url: str) -> Credential:  # noqa: ARG002 - host binding comes with OAuth
        """Open a connection or key for a call to ``url``; raises CredentialUnavailable."""
        try:
            opened = await self.opener.open(self.organization_id, self.team_id, ComponentId(component_id))
        except NotFound as error:
            message = f"The connection or key {component_id} does not exist in this team."
            raise CredentialUnavailable(message) from error
        await self.uses.note(opened.kind, opened.type, ComponentId(component_id))
        return _credential(opened)


def _credential(opened: OpenedComponent) -> Credential:
    values = opened.values
    match opened.type:
        case "basicauth":
            return Credential(kind="basic", user=_text(values, "user"), secret=_text(values, "password"))
        case "oauth2":
            return Credential(kind="bearer", secret=_text(values, "accessToken"))
        case "clientcertauth":
            settings = {name: _text(values, name) for name in _CERTIFICATE_SETTINGS}
            return Credential(kind="certificate", secret=_text(values, "key"), settings=settings)
        case "smtp":
            settings = {name: _text(values, name) for name in _MAIL_SETTINGS}
            return Credential(
                kind="mail", user=_text(values, "user"), secret=_text(values, "password"), settings=settings
            )
    placement: Placement = "query" if values.get("placement") == "query" else "header"
    name = _text(values, "parameter") or _text(values, "name") or "Authorization"
    return Credential(kind="api_key", secret=_text(values, "key"), name=name, placement=placement)


def _text(values: JsonObject, name: str) -> str:
    value = values.get(name)
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedByTeam:
    """Makes the port for each run."""

    opener: ComponentOpener
    uses: CredentialUses

    def of(self, organization_id: OrganizationId, team_id: TeamId, execution_id: ExecutionId) -> Components:
        """Return the port of one run, for its own team."""
        return TeamComponents(
            opener=self.opener,
            organization_id=organization_id,
            team_id=team_id,
            uses=self.uses.of(organization_id, execution_id),
        )
