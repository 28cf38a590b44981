"""What can be read of applications and connections: everything but their secrets."""

from typing import Any

from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.oauth import grants_store, store
from make_bridge.domain.oauth.messages import (
    GetOAuthApplication,
    GetOAuthConnection,
    ListOAuthApplications,
    ListOAuthConnections,
    OAuthApplication,
    OAuthConnection,
)
from make_bridge.kernel.context import Context
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx


async def get_application(tx: ReadTx, context: Context, query: GetOAuthApplication) -> OAuthApplication:
    """Answer GetOAuthApplication; raises NotFound."""
    return (await store.get(tx, context.organization_id, query.application_id)).application


async def list_applications(tx: ReadTx, context: Context, _query: ListOAuthApplications) -> list[OAuthApplication]:
    """Answer ListOAuthApplications."""
    return await store.list_all(tx, context.organization_id)


async def get_connection(tx: ReadTx, context: Context, query: GetOAuthConnection) -> OAuthConnection:
    """Answer GetOAuthConnection; raises NotFound, also for one of another team."""
    found = await grants_store.show(tx, context.organization_id, query.connection_id)
    require_sight(context, found.team_id)
    return found


async def list_connections(tx: ReadTx, context: Context, query: ListOAuthConnections) -> list[OAuthConnection]:
    """Answer ListOAuthConnections; raises NotFound for a team out of sight."""
    require_sight(context, query.team_id)
    return await grants_store.list_of_team(tx, context.organization_id, query.team_id)


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    return [
        QueryRegistration(query=GetOAuthApplication, view=get_application, permission="oauth:read"),
        QueryRegistration(query=ListOAuthApplications, view=list_applications, permission="oauth:read"),
        QueryRegistration(query=GetOAuthConnection, view=get_connection, permission="connections:read"),
        QueryRegistration(query=ListOAuthConnections, view=list_connections, permission="connections:read"),
    ]
