"""What this slice's secrets are sealed for: each opens in its own place only."""

from make_bridge.domain.connections.opening import purpose_of
from make_bridge.domain.oauth.messages import ApplicationId
from make_bridge.domain.oauth.requests import Client
from make_bridge.domain.oauth.store import StoredApplication
from make_bridge.domain.organizations.keys import Purpose
from make_bridge.kernel.ids import ComponentId, OrganizationId
from make_bridge.platform.security.sealing import Sealing


def client_secret(application_id: ApplicationId) -> Purpose:
    """Return the purpose of an application's secret."""
    return ("oauth_application", application_id, "client_secret")


def token(connection_id: ComponentId, which: str) -> Purpose:
    """Return the purpose of a token: ``access``, ``refresh``, or ``revoked`` for one on its way back."""
    return ("oauth_grant", connection_id, which)


def verifier(connection_id: ComponentId) -> Purpose:
    """Return the purpose of the verifier of an attempt."""
    return ("oauth_attempt", connection_id, "verifier")


def nothing(connection_id: ComponentId) -> Purpose:
    """Return the purpose of what a connection itself holds: its tokens stand apart."""
    return purpose_of("connection", connection_id)


async def client_of(sealing: Sealing, organization_id: OrganizationId, stored: StoredApplication) -> Client:
    """Return an application with its opened secret, for one call."""
    application, sealed = stored.application, stored.secret_sealed
    if sealed is None:
        return Client(facts=application.facts)
    opened = await sealing.open(organization_id, client_secret(application.id), sealed)
    return Client(facts=application.facts, secret=opened.decode())
