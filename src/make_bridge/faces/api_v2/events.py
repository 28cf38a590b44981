"""Events: read again what happened, and how often what happened. An extension of our own."""

import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.activity.messages import CountEvents, ListEvents
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import Operation, access, respond
from make_bridge.faces.api_v2.parameters import AFTER_NUMBER, EVENT_TYPES, LIMIT
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.kernel.errors import InvalidInput

_NUMBER: Final = re.compile(r"[0-9]{1,15}")
_MOST: Final = 1000
_MOST_TYPES: Final = 50
_USUAL: Final = 100
_LONGEST_TYPE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRoutes:
    """The routes of ``/events``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        read = access("events:read", self.api.bodies.api)
        return [
            Operation(
                method="GET",
                path="/events",
                endpoint=self.list_events,
                access=read,
                query=(AFTER_NUMBER, EVENT_TYPES, LIMIT),
            ),
            Operation(method="GET", path="/events/counts", endpoint=self.count_events, access=read),
        ]

    async def list_events(self, request: Request, call: CurrentCall) -> Response:
        """List the organization's events as CloudEvents, oldest first; ``next`` is the ``after`` of the next page."""
        after = _number(request, "after", 0)
        types = tuple(request.query_params.getlist("type"))
        if len(types) > _MOST_TYPES:
            raise InvalidInput(f"Name at most {_MOST_TYPES} types.", code="invalid_page")
        if any(len(name) > _LONGEST_TYPE or "\0" in name for name in types):
            raise InvalidInput("type is the name of a type of events.", code="invalid_page")
        limit = min(_number(request, "limit", _USUAL), _MOST)
        query = ListEvents(after=after, types=types or None, limit=limit)
        found = await self.api.queries.ask(call.context, query)
        following = found[-1].position if found else after
        return respond({"events": [told.event for told in found], "next": following})

    async def count_events(self, call: CurrentCall) -> Response:
        """Count the organization's events of the last thirty days by day and type."""
        found = await self.api.queries.ask(call.context, CountEvents())
        counts = [{"date": count.date.isoformat(), "type": count.type, "events": count.events} for count in found]
        return respond({"counts": counts})


def _number(request: Request, name: str, usual: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return usual
    if not _NUMBER.fullmatch(text):
        raise InvalidInput(f"{name} is a whole number from 0.", code="invalid_page")
    return int(text)
