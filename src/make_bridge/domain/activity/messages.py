"""What can be asked of events, and of those that a consumer could not take."""

from datetime import date, datetime
from typing import Any

from make_bridge.kernel.ids import OrganizationId
from make_bridge.kernel.messages import Command, Query, message

JsonObject = dict[str, Any]


@message
class ToldEvent:
    """One event in the JSON form of CloudEvents, with its place in the order of its shard."""

    position: int
    event: JsonObject


@message
class ListEvents(Query[list[ToldEvent]]):
    """The organization's events after a position, oldest first; ``types`` None means all."""

    after: int = 0
    types: tuple[str, ...] | None = None
    limit: int = 100


@message
class EventCount:
    """How many events of one type there were on one day (UTC)."""

    date: date
    type: str
    events: int


@message
class CountEvents(Query[list[EventCount]]):
    """The organization's events of the last thirty days, by day and type; days without any are left out."""


@message
class ParkedEvent:
    """An event that ``consumer`` could not take, put aside; ``replay_at`` says since when it is to be tried again."""

    id: str
    organization_id: OrganizationId
    consumer: str
    event: JsonObject
    error: str
    replays: int
    replay_at: datetime | None
    parked_at: datetime


@message
class ListParkedEvents(Query[list[ParkedEvent]]):
    """The organization's parked events, the newest first."""

    limit: int = 100
    offset: int = 0


@message
class ReplayParkedEvent(Command[str]):
    """Have a parked event tried again by its consumer, within seconds; returns its id."""

    parked_id: str
