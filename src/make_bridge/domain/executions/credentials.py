"""The engine's way to connections and keys: opened for one call, only for the run's own team, and never unaudited.

What a stored key means on the wire (a header, a query parameter, a user and a password) is decided
by its type's description; the module that calls out never sees more than it needs.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

from make_bridge.domain.connections.model import JsonObject
from make_bridge.domain.connections.opening import ComponentOpener, OpenedComponent
from make_bridge.domain.executions.credential_uses import CredentialUses, UsesOfRun
from make_bridge.domain.oauth.keeping import Token, TokenKeeper, TokenLost, TokenNotForHost, TokenUnavailable
from make_bridge.domain.oauth.model import CONNECTION_TYPE
from make_bridge.engine.ports import Components, Credential, CredentialUnavailable, Placement
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ComponentId, ExecutionId, OrganizationId, TeamId

_TYPED_TOKEN: Final = "accessToken"  # noqa: S105 - a field's name
_MAIL_SETTINGS: Final = ("host", "port", "security", "from")
_CERTIFICATE_SETTINGS: Final = ("certificate", "ca")


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamComponents:
    """``Components`` for the runs of one team."""

    opener: ComponentOpener
    tokens: TokenKeeper
    organization_id: OrganizationId
    team_id: TeamId
    uses: UsesOfRun

    async def credential(self, component_id: int, *, url: str) -> Credential:
        """Open a connection or key for a call to ``url``; raises CredentialUnavailable."""
        connection_id = ComponentId(component_id)
        try:
            opened = await self.opener.open(self.organization_id, self.team_id, connection_id)
            await self.uses.note(opened.kind, opened.type, connection_id)
            if opened.type == CONNECTION_TYPE and _TYPED_TOKEN not in opened.values:
                return self._bearer(connection_id, await self._token(connection_id, url))
        except NotFound as error:
            message = f"The connection or key {component_id} does not exist in this team."
            raise CredentialUnavailable(message) from error
        return _credential(opened)

    async def _token(self, connection_id: ComponentId, url: str) -> Token:
        """Return the token of a connection to a provider."""
        try:
            return await self.tokens.token(self.organization_id, connection_id, url=url)
        except (TokenLost, TokenNotForHost, TokenUnavailable) as error:
            raise CredentialUnavailable(error.message, passes=isinstance(error, TokenUnavailable)) from error

    def _bearer(self, connection_id: ComponentId, token: Token) -> Credential:
        return Credential(kind="bearer", secret=token.access, renew=partial(self._another, connection_id, token))

    async def _another(self, connection_id: ComponentId, refused: Token) -> Credential | None:
        try:
            token = await self.tokens.after_refusal(self.organization_id, connection_id, refused)
        except (TokenLost, TokenUnavailable, NotFound) as error:
            raise CredentialUnavailable(error.message, passes=isinstance(error, TokenUnavailable)) from error
        return None if token is None else Credential(kind="bearer", secret=token.access)


def _credential(opened: OpenedComponent) -> Credential:
    values = opened.values
    match opened.type:
        case "basicauth":
            return Credential(kind="basic", user=_text(values, "user"), secret=_text(values, "password"))
        case "oauth2":
            return Credential(kind="bearer", secret=_text(values, _TYPED_TOKEN))
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
    tokens: TokenKeeper
    uses: CredentialUses

    def of(self, organization_id: OrganizationId, team_id: TeamId, execution_id: ExecutionId) -> Components:
        """Return the port of one run, for its own team."""
        return TeamComponents(
            opener=self.opener,
            tokens=self.tokens,
            organization_id=organization_id,
            team_id=team_id,
            uses=self.uses.of(organization_id, execution_id),
        )
