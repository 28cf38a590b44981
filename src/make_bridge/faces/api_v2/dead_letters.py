"""Dead letters (``/dead-letters``): what was given up and why, and beginning it anew. An extension of our own."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.executions.dead_letter_messages import (
    DeadLetterRecord,
    ListDeadLetters,
    ReplayDeadLetters,
    ReplayRangeOfDeadLetters,
)
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.execution_bodies import ReplayRangeBody
from make_bridge.faces.api_v2.operations import Operation, access, respond
from make_bridge.faces.api_v2.paging import CurrentPage, narrowed
from make_bridge.faces.api_v2.parameters import OF_SCENARIO, one_of
from make_bridge.faces.edge.body import parse_optional
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import MAX_ID, ScenarioId

_ID: Final = re.compile(r"[0-9a-f]{32}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,15}")
_USUAL: Final = 100
_MOST: Final = 1000
_REPLAYED: Final = one_of("replayed", "`true`: also what was begun anew since.", "true", "false")


def _read_id(text: object) -> str:
    if isinstance(text, str) and _ID.fullmatch(plain := text.replace("-", "").lower()):
        return plain
    raise NotFound("There is no such dead letter: its id is 32 hexadecimal characters.")


LetterPath = Annotated[str, BeforeValidator(_read_id)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterRoutes:
    """The routes of ``/dead-letters``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table; the fixed path stands before that with an id."""
        size = self.api.bodies.api
        read, run = access("scenarios:read", size), access("scenarios:run", size)
        letters = "/dead-letters"
        return [
            Operation(
                method="GET", path=letters, endpoint=self.list_dead_letters, access=read,
                query=(OF_SCENARIO, _REPLAYED),
            ),
            Operation(
                method="POST", path=f"{letters}/replay", endpoint=self.replay_dead_letters, access=run,
                body=ReplayRangeBody, is_body_required=False,
            ),
            Operation(
                method="POST", path=f"{letters}/{{letter_id}}/replay", endpoint=self.replay_dead_letter, access=run
            ),
        ]  # fmt: skip

    async def list_dead_letters(self, request: Request, call: CurrentCall, page: CurrentPage) -> Response:
        """List what was given up, newest first; with ``replayed=true`` also what was begun anew since."""
        if page.sort_by is not None or page.direction == "asc":
            raise InvalidInput("Dead letters are listed newest first, in no other order.", code="invalid_page")
        limit = _USUAL if page.limit is None else min(page.limit, _MOST)
        query = ListDeadLetters(
            scenario_id=_scenario(request),
            with_replayed=request.query_params.get("replayed") == "true",
            # A limit of nothing asks for one more than is shown.
            limit=max(limit, 1),
            offset=page.offset,
        )
        found = (await self.api.queries.ask(call.context, query))[:limit]
        pg = {"limit": limit, "offset": page.offset}
        return respond({"deadLetters": [narrowed(_row(letter), page) for letter in found], "pg": pg})

    async def replay_dead_letter(self, letter_id: LetterPath, call: CurrentCall) -> Response:
        """Begin one anew: an execution as one of its own, a job as itself."""
        done = await self.api.commands.execute(call.context, ReplayDeadLetters(ids=(letter_id,)))
        return respond({"executions": list(done.executions), "jobs": list(done.jobs)})

    async def replay_dead_letters(self, call: CurrentCall) -> Response:
        """Begin anew all that was given up in a time; a job does it, and is what is answered."""
        chosen = parse_optional(call.body, ReplayRangeBody, max_depth=self.api.json_depth) or ReplayRangeBody()
        command = ReplayRangeOfDeadLetters(
            scenario_id=None if chosen.scenario_id is None else ScenarioId(chosen.scenario_id),
            since=chosen.since,
            until=chosen.until,
        )
        return respond({"job": {"id": await self.api.commands.execute(call.context, command)}})


def _scenario(request: Request) -> ScenarioId | None:
    text = request.query_params.get("scenarioId")
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or int(text) > MAX_ID:
        raise InvalidInput("scenarioId is a whole number.")
    return ScenarioId(int(text))


def _row(letter: DeadLetterRecord) -> dict[str, Any]:
    return {
        "id": letter.id,
        "kind": letter.kind,
        "teamId": letter.team_id,
        "scenarioId": letter.scenario_id,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "lastNode": letter.last_node,
        "createdAt": wire.instant(letter.created_at),
        "replayedAt": None if letter.replayed_at is None else wire.instant(letter.replayed_at),
        "replayedAs": letter.replayed_as,
    }
