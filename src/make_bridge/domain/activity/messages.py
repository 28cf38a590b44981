"""What can be asked of events."""

from datetime import date
from typing import Any

from make_bridge.kernel.messages import Query, message

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
