"""Parked events (``/parked-events``): what a consumer could not take, and trying it again. An extension of our own."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator
from starlette.responses import Response

from make_bridge.domain.activity.messages import ListParkedEvents, ParkedEvent, ReplayParkedEvent
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import Operation, access, respond
from make_bridge.faces.api_v2.paging import CurrentPage, narrowed
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.kernel.errors import InvalidInput, NotFound

_ID: Final = re.compile(r"[0-9a-f]{32}")
_USUAL: Final = 100
_MOST: Final = 1000


def _read_id(text: object) -> str:
    if isinstance(text, str) and _ID.fullmatch(plain := text.replace("-", "").lower()):
        return plain
    raise NotFound("There is no such parked event: its id is 32 hexadecimal characters.")


ParkedPath = Annotated[str, BeforeValidator(_read_id)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedEventRoutes:
    """The routes of ``/parked-events``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        size = self.api.bodies.api
        read, replay = access("events:read", size), access("events:replay", size)
        parked = "/parked-events"
        return [
            Operation(method="GET", path=parked, endpoint=self.list_parked_events, access=read),
            Operation(
                method="POST", path=f"{parked}/{{parked_id}}/replay", endpoint=self.replay_parked_event, access=replay
            ),
        ]

    async def list_parked_events(self, call: CurrentCall, page: CurrentPage) -> Response:
        """List the organization's events that a consumer could not take, newest first."""
        if page.sort_by is not None or page.direction == "asc":
            raise InvalidInput("Parked events are listed newest first, in no other order.", code="invalid_page")
        limit = _USUAL if page.limit is None else min(page.limit, _MOST)
        # A limit of nothing asks for one more than is shown.
        query = ListParkedEvents(limit=max(limit, 1), offset=page.offset)
        found = (await self.api.queries.ask(call.context, query))[:limit]
        pg = {"limit": limit, "offset": page.offset}
        return respond({"parkedEvents": [narrowed(_row(parked), page) for parked in found], "pg": pg})

    async def replay_parked_event(self, parked_id: ParkedPath, call: CurrentCall) -> Response:
        """Have one tried again by its consumer, within seconds; it is gone from the list once it was taken."""
        asked = await self.api.commands.execute(call.context, ReplayParkedEvent(parked_id=parked_id))
        return respond({"parkedEvent": {"id": asked, "waits": True}})


def _row(parked: ParkedEvent) -> dict[str, Any]:
    return {
        "id": parked.id,
        "consumer": parked.consumer,
        "event": parked.event,
        # The kind alone: the rest is what the server said to itself.
        "error": parked.error.partition(":")[0],
        "replays": parked.replays,
        "waits": parked.replay_at is not None,
        "parkedAt": wire.instant(parked.parked_at),
    }
