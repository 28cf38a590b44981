"""What a webhook was called with: its log, what waits in its queue, and how a scenario is triggered.

A call is an execution of the hook's scenario, so its log goes as far back as executions are kept, and no further than
the scenario it has now. Calls that were refused started nothing and are in no list.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.executions.hook_call_messages import (
    CountWaitingCalls,
    HookCall,
    ListHookCalls,
    ListWaitingCalls,
)
from make_bridge.domain.scenarios.hook_messages import DescribeHook, HookFacts
from make_bridge.domain.scenarios.messages import GetScenario
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import JsonObject, Operation, access, respond, row_id
from make_bridge.faces.api_v2.paging import CurrentPage, Page, narrowed
from make_bridge.faces.api_v2.parameters import Parameter
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.faces.portal.wire import instant
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import HookId, ScenarioId

HookPath = Annotated[HookId, row_id("webhook")]
ScenarioPath = Annotated[ScenarioId, row_id("scenario")]
_USUAL: Final = 100
_MOST: Final = 1000
_LAST_MOMENT: Final = 253_402_300_799_999
_MOMENT: Final = {"type": "integer", "minimum": 0, "maximum": _LAST_MOMENT}
_SINCE: Final = Parameter(name="from", description="Not earlier, in milliseconds since 1970.", schema=_MOMENT)
_UNTIL: Final = Parameter(name="to", description="Earlier, in milliseconds since 1970.", schema=_MOMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCallRoutes:
    """The routes below a webhook that tell of its calls, and that of a scenario's trigger."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        read = access("scenarios:read", self.api.bodies.api)
        hook, trigger = "/hooks/{hook_id}", "/scenarios/{scenario_id}/triggers"
        return [
            Operation(
                method="GET",
                path=f"{hook}/logs",
                endpoint=self.list_hook_logs,
                access=read,
                query=(_SINCE, _UNTIL),
            ),
            Operation(method="GET", path=f"{hook}/incomings", endpoint=self.list_incomings, access=read),
            Operation(method="GET", path=trigger, endpoint=self.get_trigger, access=read),
        ]

    async def list_hook_logs(
        self, hook_id: HookPath, request: Request, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """List the calls that a webhook took, newest first."""
        facts = await self._find(call, hook_id)
        limit = _limit(page)
        rows: list[HookCall] = []
        if facts.scenario_id is not None:
            query = ListHookCalls(
                scenario_id=facts.scenario_id,
                since=_moment(request, "from"),
                until=_moment(request, "to"),
                offset=page.offset,
                limit=limit,
            )
            rows = await self.api.queries.ask(call.context, query)
        shown = [narrowed(_log(row, facts), page) for row in rows]
        told = page.describe(limit=limit, sort_by="loggedAt", direction="desc")
        return respond({"hookLogs": shown, "pg": told})

    async def list_incomings(self, hook_id: HookPath, call: CurrentCall, page: CurrentPage) -> Response:
        """List the calls of a webhook whose runs have not begun, the first that came first."""
        facts = await self._find(call, hook_id)
        limit = _limit(page)
        rows: list[HookCall] = []
        if facts.scenario_id is not None:
            query = ListWaitingCalls(scenario_id=facts.scenario_id, offset=page.offset, limit=limit)
            rows = await self.api.queries.ask(call.context, query)
        shown = [narrowed(_incoming(row), page) for row in rows]
        return respond({"incomings": shown, "pg": page.describe(limit=limit, sort_by="created")})

    async def get_trigger(self, scenario_id: ScenarioPath, call: CurrentCall) -> Response:
        """Show the webhook that starts a scenario, and how many calls wait for it."""
        query = GetScenario(scenario_id=scenario_id, team_id=call.context.team_id)
        scenario = await self.api.queries.ask(call.context, query)
        if scenario.hook_id is None:
            message = "No webhook starts this scenario: it runs by its schedule, or when it is told to."
            raise NotFound(message, code="no_trigger")
        facts = await self._find(call, scenario.hook_id)
        waiting = await self.api.queries.ask(call.context, CountWaitingCalls(scenario_id=scenario_id))
        shown = {
            "id": facts.id,
            "name": facts.name,
            "udid": facts.token or None,
            "scope": [],
            "queueCount": waiting,
            "queueLimit": None,
            "typeName": facts.type_name,
            "type": "mail" if facts.type_name == "gateway-mailhook" else "web",
            "url": f"{self.api.public_url}/hook/{facts.token}" if facts.token else None,
            "flags": {},
        }
        return respond(shown)

    async def _find(self, call: Call, hook_id: HookId) -> HookFacts:
        return await self.api.queries.ask(call.context, DescribeHook(hook_id=hook_id))


def _log(taken: HookCall, facts: HookFacts) -> JsonObject:
    return {
        "id": taken.id,
        "statusId": taken.status,
        "parser": facts.type_name,
        "replayable": taken.is_replayable,
        "sizes": {"before": taken.size, "after": taken.size},
        "udids": [facts.token] if facts.token else [],
        "loggedAt": instant(taken.taken_at),
    }


def _incoming(waiting: HookCall) -> JsonObject:
    return {"id": waiting.id, "scope": "hook", "size": waiting.size, "created": instant(waiting.taken_at)}


def _limit(page: Page) -> int:
    return _USUAL if page.limit is None else min(page.limit, _MOST)


def _moment(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(_LAST_MOMENT))
    if not is_number or int(text) > _LAST_MOMENT:
        raise InvalidInput(f"{name} is a moment in milliseconds since 1970.", code="invalid_range")
    return datetime.fromtimestamp(int(text) / 1000, UTC)
