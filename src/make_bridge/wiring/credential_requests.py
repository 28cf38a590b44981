"""The wiring of requests for credentials: both sides' handlers and views, and the calls of the page behind a link."""

from dataclasses import dataclass
from typing import Any

from make_bridge.domain.connections.handlers import ComponentHandlers
from make_bridge.domain.credential_requests import handlers, views
from make_bridge.domain.credential_requests.handing_over import HandingOver
from make_bridge.domain.credential_requests.handlers import CredentialRequestHandlers
from make_bridge.domain.credential_requests.views import CredentialRequestViews
from make_bridge.domain.oauth.handlers import OAuthHandlers
from make_bridge.domain.organizations.keys import DataKeys, OrganizationReader
from make_bridge.faces.edge.limiters import Limiters
from make_bridge.faces.wizard.gate import CREDENTIAL_REQUESTS, FlowGate, FlowLimits
from make_bridge.faces.wizard.hand_over_calls import HandOverCalls
from make_bridge.platform.bus.commands import CommandBus, CommandRegistration
from make_bridge.platform.bus.queries import QueryBus, QueryRegistration
from make_bridge.platform.database.shards import Shards
from make_bridge.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRequestParts:
    """What the buses are given."""

    commands: list[CommandRegistration[Any, Any]]
    queries: list[QueryRegistration[Any, Any]]


def wire_credential_requests(
    data_keys: DataKeys,
    organizations: OrganizationReader,
    components: ComponentHandlers,
    oauth: OAuthHandlers,
    settings: Settings,
) -> CredentialRequestParts:
    """Put both sides together."""
    requests = CredentialRequestHandlers(
        sealing=data_keys, components=components, limits=settings.credential_request_limits()
    )
    shown = CredentialRequestViews(organizations=organizations, sealing=data_keys)
    return CredentialRequestParts(
        commands=[*handlers.commands(requests), *HandingOver(requests=requests, oauth=oauth).commands()],
        queries=views.queries(shown),
    )


def hand_over_face(
    shards: Shards, commands: CommandBus, queries: QueryBus, limiters: Limiters, settings: Settings
) -> tuple[HandOverCalls, FlowGate]:
    """Return the calls of the page with the gate before them: the wizard's, for links of another kind."""
    calls = HandOverCalls(commands=commands, queries=queries, public_url=settings.origin, max_depth=settings.json_depth)
    limits = FlowLimits(attempts=limiters.attempts, calls=limiters.flow)
    return calls, FlowGate(shards, limits, max_body=settings.api_body_bytes, kind=CREDENTIAL_REQUESTS)
