"""What can be read of events. They speak of the whole organization, so who is bound to one team sees none."""

from typing import Any

from make_bridge.domain.activity import store
from make_bridge.domain.activity.messages import CountEvents, EventCount, ListEvents, ToldEvent
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import PermissionDenied
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx


async def list_events(tx: ReadTx, context: Context, query: ListEvents) -> list[ToldEvent]:
    """Answer ListEvents."""
    _require_whole_organization(context)
    found = await store.list_events(tx, context.organization_id, query.after, query.types, query.limit)
    return [ToldEvent(position=envelope.position, event=envelope.render()) for envelope in found]


async def count_events(tx: ReadTx, context: Context, _query: CountEvents) -> list[EventCount]:
    """Answer CountEvents."""
    _require_whole_organization(context)
    rows = await store.counts(tx, context.organization_id)
    return [EventCount(date=row["day"], type=row["type"], events=row["events"]) for row in rows]


def _require_whole_organization(context: Context) -> None:
    if context.team_id is not None:
        raise PermissionDenied("Events are told of the whole organization, not of one team: leave teamId out.")


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    read = "events:read"
    return [
        QueryRegistration(query=ListEvents, view=list_events, permission=read),
        QueryRegistration(query=CountEvents, view=count_events, permission=read),
    ]
