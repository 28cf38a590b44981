"""What can be done with OAuth applications and connections, what can be asked, and what is told of them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal, NewType

from make_bridge.kernel.ids import ComponentId, TeamId
from make_bridge.kernel.messages import Command, Event, Query, message

ApplicationId = NewType("ApplicationId", int)
Authentication = Literal["basic", "post", "none"]
GrantKind = Literal["authorization_code", "client_credentials"]


@message
class ApplicationFacts:
    """An application as its owner registered it at a provider; ``hosts`` are where its tokens may be sent."""

    name: str
    client_id: str
    authentication: Authentication = "basic"
    authorize_url: str = ""
    token_url: str
    revoke_url: str = ""
    userinfo_url: str = ""
    issuer: str = ""
    sends_issuer: bool = False
    scopes: tuple[str, ...] = ()
    hosts: tuple[str, ...]


@message
class OAuthApplication:
    """An application without its secret."""

    id: ApplicationId
    facts: ApplicationFacts
    has_secret: bool
    created_at: datetime


@message
class OAuthConnection:
    """A connection whose tokens come from a provider, without them."""

    id: ComponentId
    team_id: TeamId
    name: str
    state: str
    application_id: ApplicationId
    kind: GrantKind
    scope: str
    reason: str
    expires_at: datetime | None
    granted_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentTicket:
    """Lets one browser begin a consent, once; it is shown this once."""

    connection_id: ComponentId
    ticket: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOAuthApplication(Command[OAuthApplication]):
    """Make an application known."""

    facts: ApplicationFacts
    client_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateOAuthApplication(Command[OAuthApplication]):
    """Replace what is known of an application; a secret of None leaves the one there is."""

    application_id: ApplicationId
    facts: ApplicationFacts
    client_secret: str | None = field(default=None, repr=False)


@message
class DeleteOAuthApplication(Command[None]):
    """Forget an application; refused while connections use it."""

    application_id: ApplicationId


@message
class CreateOAuthConnection(Command[OAuthConnection]):
    """Make a connection: of a person it is pending until they agree, of the application itself it can be used at once.

    A connection that acts for nobody but the application (``client_credentials``) gets its token when it is first used.
    """

    team_id: TeamId
    application_id: ApplicationId
    name: str
    kind: GrantKind = "authorization_code"


@message
class BeginConsent(Command[ConsentTicket]):
    """Let a person agree at the provider, for the first time or again; ``return_to`` is the page they come back to."""

    connection_id: ComponentId
    return_to: str = ""


@message
class DeleteOAuthConnection(Command[None]):
    """Remove a connection; its token is revoked at the provider afterwards."""

    connection_id: ComponentId


@message
class GetOAuthApplication(Query[OAuthApplication]):
    """One application."""

    application_id: ApplicationId


@message
class ListOAuthApplications(Query[list[OAuthApplication]]):
    """All applications of the organization."""


@message
class GetOAuthConnection(Query[OAuthConnection]):
    """One connection."""

    connection_id: ComponentId


@message
class ListOAuthConnections(Query[list[OAuthConnection]]):
    """A team's connections to providers."""

    team_id: TeamId


@message
class HasScopes(Query[bool]):
    """Whether a connection has all of these scopes; one that knows no scopes lacks none."""

    connection_id: ComponentId
    scopes: tuple[str, ...]


@message
class ConnectionAuthorized(Event):
    """Somebody agreed at the provider: the connection can be used."""

    wire_name: ClassVar[str] = "connection.authorized.v1"
    connection_id: int
    application_id: int
    scope: str


@message
class ConnectionNeedsConsent(Event):
    """The provider takes the connection's tokens no more: a person has to agree again."""

    wire_name: ClassVar[str] = "connection.needs_consent.v1"
    connection_id: int
    application_id: int
    reason: str
