"""What can be asked of requests for credentials: by whoever makes them, and by whoever has their link."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, NewType

from make_bridge.domain.oauth.messages import ApplicationId, ConsentTicket
from make_bridge.kernel.ids import ComponentId, TeamId
from make_bridge.kernel.messages import Command, Event, Query, message

CredentialRequestId = NewType("CredentialRequestId", str)
RequestedId = NewType("RequestedId", str)
JsonObject = dict[str, Any]
Wanting = Literal["account", "keychain"]
"""What is wanted: a connection or a key, in Make's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One credential that is asked for; ``hard`` and ``soft`` are filled in beforehand, and may be secret."""

    component: Wanting
    type: str
    description: str = ""
    scope: tuple[str, ...] = ()
    name_override: str = ""
    app_name: str = ""
    app_modules: tuple[str, ...] = ()
    app_version: str = ""
    hard: Mapping[str, object] = field(default_factory=dict, repr=False)
    soft: Mapping[str, object] = field(default_factory=dict, repr=False)


@message
class AppSelection:
    """Modules and endpoints of an app, whose credentials are asked for; ``*`` is all. Version 0 is the latest."""

    app: str
    version: int = 0
    modules: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    description: str = ""
    name_override: str = ""


@message
class RequestedCredential:
    """One credential of a request, and what became of it; ``component_id`` once it was handed over."""

    id: RequestedId
    request_id: CredentialRequestId
    component: Wanting
    type: str
    description: str
    scope: tuple[str, ...]
    name_override: str
    app_name: str
    app_modules: tuple[str, ...]
    app_version: str
    extends: bool
    state: str
    decline_reason: str
    component_id: ComponentId | None
    granted: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


@message
class CredentialRequest:
    """A request with its credentials; ``user_id`` is who made it, where that was a person or a token."""

    id: CredentialRequestId
    team_id: TeamId
    name: str
    description: str
    user_id: int | None
    make_provider_id: str
    external_provider_id: str
    status: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    credentials: tuple[RequestedCredential, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeRequest:
    """A new request with its link, which is shown this once: ``link`` stands in the address, ``secret`` behind #."""

    request: CredentialRequest
    link: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCredentialRequest(Command[MadeRequest]):
    """Ask somebody for credentials: named ones, and those that modules of apps need."""

    team_id: TeamId
    name: str = ""
    description: str = ""
    make_provider_id: str = ""
    external_provider_id: str = ""
    wanted: tuple[Wanted, ...] = field(default=(), repr=False)
    apps: tuple[AppSelection, ...] = ()


@message
class ExtendConnection(Command[MadeRequest]):
    """Ask somebody to agree to more scopes of a connection there is."""

    connection_id: ComponentId
    scopes: tuple[str, ...]


@message
class DeleteCredentialRequest(Command[None]):
    """Remove a request with the connections and keys that were handed over by it; its link ends."""

    request_id: CredentialRequestId


@message
class DeclineRequested(Command[RequestedCredential]):
    """Have a credential not handed over any more."""

    credential_id: RequestedId
    reason: str = ""


@message
class ResetRequested(Command[RequestedCredential]):
    """Delete what was handed over, or take a refusal back: the credential can be handed over again."""

    credential_id: RequestedId


@message
class ListCredentialRequests(Query[list[CredentialRequest]]):
    """A team's requests, the oldest first."""

    team_id: TeamId


@message
class GetCredentialRequest(Query[CredentialRequest]):
    """One request."""

    request_id: CredentialRequestId


@message
class GetRequested(Query[JsonObject]):
    """What the page behind the link shows."""

    request_id: CredentialRequestId


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver(Command[None]):
    """Hand a credential over by the values of its form."""

    request_id: CredentialRequestId
    credential_id: RequestedId
    values: Mapping[str, object] = field(repr=False)


@message
class BeginHandOver(Command[ConsentTicket]):
    """Hand a credential over by agreeing at a provider."""

    request_id: CredentialRequestId
    credential_id: RequestedId
    application_id: ApplicationId | None


@message
class RefuseRequested(Command[None]):
    """Say that a credential is not handed over, by the link."""

    request_id: CredentialRequestId
    credential_id: RequestedId
    reason: str = ""


@message
class CredentialHandedOver(Event):
    """Somebody has filled in a credential that was asked for; consents are told as ``connection.authorized``."""

    wire_name: ClassVar[str] = "credential.handed_over.v1"
    request_id: str
    credential_id: str
    connection_id: int


@message
class CredentialDeclined(Event):
    """A credential that was asked for is not handed over."""

    wire_name: ClassVar[str] = "credential.declined.v1"
    request_id: str
    credential_id: str
