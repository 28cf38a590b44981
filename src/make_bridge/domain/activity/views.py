"""What can be read of events. They speak of the whole organization, so who is bound to one team sees none."""

from typing import Any

from make_bridge.domain.activity import store
from make_bridge.domain.activity.messages import (
    CountEvents,
    EventCount,
    ListEvents,
    ListParkedEvents,
    ParkedEvent,
    ToldEvent,
)
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import PermissionDenied
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.event_store import envelope_of
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx, Row


async def list_events(tx: ReadTx, context: Context, query: ListEvents) -> list[ToldEvent]:
    """Answer ListEvents."""
    require_whole_organization(context)
    found = await store.list_events(tx, context.organization_id, query.after, query.types, query.limit)
    return [ToldEvent(position=envelope.position, event=envelope.render()) for envelope in found]


async def count_events(tx: ReadTx, context: Context, _query: CountEvents) -> list[EventCount]:
    """Answer CountEvents."""
    require_whole_organization(context)
    rows = await store.counts(tx, context.organization_id)
    return [EventCount(date=row["day"], type=row["type"], events=row["events"]) for row in rows]


async def list_parked_events(tx: ReadTx, context: Context, query: ListParkedEvents) -> list[ParkedEvent]:
    """Answer ListParkedEvents."""
    require_whole_organization(context)
    rows = await store.list_parked(tx, context.organization_id, query.limit, query.offset)
    return [parked_event_of(row) for row in rows]


def parked_event_of(row: Row) -> ParkedEvent:
    """Return a stored parked event."""
    return ParkedEvent(
        id=row["parked_id"].hex,
        organization_id=OrganizationId(row["organization_id"]),
        consumer=row["consumer"],
        event=envelope_of(row).render(),
        error=row["error"],
        replays=row["replays"],
        replay_at=row["replay_at"],
        parked_at=row["parked_at"],
    )


def require_whole_organization(context: Context) -> None:
    """Raise PermissionDenied for who is bound to one team."""
    if context.team_id is not None:
        raise PermissionDenied("Events are told of the whole organization, not of one team: leave teamId out.")


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    read = "events:read"
    return [
        QueryRegistration(query=ListEvents, view=list_events, permission=read, may_lag=True),
        QueryRegistration(query=ListParkedEvents, view=list_parked_events, permission=read),
        QueryRegistration(query=CountEvents, view=count_events, permission=read, may_lag=True),
    ]
