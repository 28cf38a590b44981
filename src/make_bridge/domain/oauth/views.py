"""What can be read of applications and connections: everything but their secrets."""

from typing import Any

from make_bridge.domain.connections.store import ComponentStore
from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.oauth import grants_store, store
from make_bridge.domain.oauth.messages import (
    GetOAuthApplication,
    GetOAuthConnection,
    HasScopes,
    ListOAuthApplications,
    ListOAuthConnections,
    OAuthApplication,
    OAuthConnection,
)
from make_bridge.domain.oauth.model import granted_scopes
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ComponentId, OrganizationId
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


async def has_scopes(tx: ReadTx, context: Context, query: HasScopes) -> bool:
    """Answer HasScopes; raises NotFound, also for one of another team."""
    component = (await ComponentStore().get(tx, context.organization_id, query.connection_id)).component
    require_sight(context, component.team_id)
    if component.kind != "connection":
        raise NotFound("There is no such connection.")
    if await grants_store.find(tx, context.organization_id, component.id) is None:
        return True
    return component.state == "active" and set(query.scopes) <= set(
        await granted(tx, context.organization_id, component.id)
    )


async def granted(tx: ReadTx, organization_id: OrganizationId, connection_id: ComponentId) -> tuple[str, ...]:
    """Return the scopes of a connection at a provider; raises NotFound for one of another kind."""
    connection = await grants_store.show(tx, organization_id, connection_id)
    application = (await store.get(tx, organization_id, connection.application_id)).application
    return granted_scopes(connection.scope, application.facts.scopes)


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    return [
        QueryRegistration(query=GetOAuthApplication, view=get_application, permission="oauth:read"),
        QueryRegistration(query=ListOAuthApplications, view=list_applications, permission="oauth:read"),
        QueryRegistration(query=GetOAuthConnection, view=get_connection, permission="connections:read"),
        QueryRegistration(query=ListOAuthConnections, view=list_connections, permission="connections:read"),
        QueryRegistration(query=HasScopes, view=has_scopes, permission="connections:read"),
    ]
