"""What can be read of endpoints and messages. They speak of the whole organization, so one team's caller sees none."""

from typing import Any, Final

from make_bridge.domain.deliveries import store
from make_bridge.domain.deliveries.messages import (
    Endpoint,
    GetEndpoint,
    GetMessage,
    ListEndpoints,
    ListMessages,
    Message,
    MessageWithLog,
)
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import PermissionDenied
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx

MOST: Final = 1000


def require_whole_organization(context: Context) -> None:
    """Raise PermissionDenied for who is bound to one team."""
    if context.team_id is not None:
        raise PermissionDenied("Webhook endpoints belong to the whole organization, not to one team: leave teamId out.")


async def get_endpoint(tx: ReadTx, context: Context, query: GetEndpoint) -> Endpoint:
    """Answer GetEndpoint; raises NotFound."""
    require_whole_organization(context)
    return (await store.get(tx, context.organization_id, query.endpoint_id)).endpoint


async def list_endpoints(tx: ReadTx, context: Context, _query: ListEndpoints) -> list[Endpoint]:
    """Answer ListEndpoints."""
    require_whole_organization(context)
    return await store.list_all(tx, context.organization_id)


async def list_messages(tx: ReadTx, context: Context, query: ListMessages) -> list[Message]:
    """Answer ListMessages; raises NotFound for an endpoint that is not there."""
    require_whole_organization(context)
    await store.get(tx, context.organization_id, query.endpoint_id)
    page = (min(query.limit, MOST), query.offset)
    return await store.list_messages(tx, context.organization_id, query.endpoint_id, query.state, page)


async def get_message(tx: ReadTx, context: Context, query: GetMessage) -> MessageWithLog:
    """Answer GetMessage; raises NotFound."""
    require_whole_organization(context)
    message, body, log = await store.get_message(tx, context.organization_id, query.endpoint_id, query.message_id)
    return MessageWithLog(message=message, body=body.decode(), log=tuple(log))


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    read = "webhooks:read"
    return [
        QueryRegistration(query=GetEndpoint, view=get_endpoint, permission=read),
        QueryRegistration(query=ListEndpoints, view=list_endpoints, permission=read, may_lag=True),
        QueryRegistration(query=ListMessages, view=list_messages, permission=read, may_lag=True),
        QueryRegistration(query=GetMessage, view=get_message, permission=read),
    ]
