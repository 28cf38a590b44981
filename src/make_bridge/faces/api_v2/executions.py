"""Executions: what a scenario did, run by run, and what a run gave or failed of."""

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.executions.messages import Execution, GetExecution, ListExecutions
from make_bridge.domain.scenarios.messages import GetScenario, Scenario
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import JsonObject, Operation, access, respond, row_id
from make_bridge.faces.api_v2.paging import CurrentPage, narrowed
from make_bridge.faces.api_v2.parameters import AFTER_EXECUTION, MAX_BYTES
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.faces.portal.wire import CENTICREDITS, instant
from make_bridge.kernel.errors import InvalidInput, NotFound, TooLarge
from make_bridge.kernel.ids import ExecutionId, ScenarioId, is_execution_id

_USUAL: Final = 50
_MOST: Final = 1000
_MOST_BYTES: Final = 1_000_000_000
_STATUSES: Final = {0: "RUNNING", 1: "SUCCESS", 2: "WARNING", 3: "ERROR"}


def read_execution_id(text: object) -> ExecutionId:
    """Return an id of the right form; raises NotFound."""
    if isinstance(text, str) and is_execution_id(text):
        return ExecutionId(text)
    raise NotFound("There is no such execution of this scenario.")


ScenarioPath = Annotated[ScenarioId, row_id("scenario")]
ExecutionPath = Annotated[ExecutionId, BeforeValidator(read_execution_id)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRoutes:
    """The routes of a scenario's logs and executions."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        read = access("scenarios:read", self.api.bodies.api)
        logs, one = "/scenarios/{scenario_id}/logs", "/scenarios/{scenario_id}/executions/{execution_id}"
        return [
            Operation(method="GET", path=logs, endpoint=self.list_logs, access=read, query=(AFTER_EXECUTION,)),
            Operation(method="GET", path=f"{logs}/{{execution_id}}", endpoint=self.get_log, access=read),
            Operation(method="GET", path=one, endpoint=self.get_execution, access=read, query=(MAX_BYTES,)),
        ]

    async def list_logs(
        self, scenario_id: ScenarioPath, request: Request, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """List the executions of a scenario, newest first; ``pg[last]`` continues behind an execution."""
        found = await self._find(call, scenario_id)
        limit = min(page.limit or _USUAL, _MOST)
        if page.offset + limit > _MOST:
            raise InvalidInput(f"Beyond {_MOST} executions go on with pg[last].", code="invalid_page")
        last = request.query_params.get("pg[last]")
        query = ListExecutions(
            scenario_id=scenario_id,
            before=None if last is None else read_execution_id(last),
            limit=page.offset + limit,
        )
        rows = await self.api.queries.ask(call.context, query)
        shown = [narrowed(_log(row, found, call), page) for row in rows[page.offset :]]
        told = {"sortBy": "imtId", "sortDir": "desc", "limit": limit, "last": last, "showLast": False}
        return respond({"scenarioLogs": shown, "pg": told})

    async def get_log(
        self, scenario_id: ScenarioPath, execution_id: ExecutionPath, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """Show what one execution used and how it ended."""
        found = await self._find(call, scenario_id)
        query = GetExecution(scenario_id=scenario_id, execution_id=execution_id)
        detail = await self.api.queries.ask(call.context, query)
        return respond({"scenarioLog": narrowed(_log(detail.execution, found, call), page)})

    async def get_execution(
        self, scenario_id: ScenarioPath, execution_id: ExecutionPath, request: Request, call: CurrentCall
    ) -> Response:
        """Show what an execution gave, or what it failed of; at most ``maxBytes`` of outputs."""
        await self._find(call, scenario_id)
        most = _max_bytes(request)
        query = GetExecution(scenario_id=scenario_id, execution_id=execution_id)
        detail = await self.api.queries.ask(call.context, query)
        answer: JsonObject = {"status": _STATUSES[detail.execution.status]}
        if detail.outputs is not None:
            if most is not None and len(msgspec.json.encode(detail.outputs)) > most:
                raise TooLarge(f"The outputs of this execution are larger than {most} bytes.")
            answer["outputs"] = detail.outputs
        if detail.error is not None:
            answer["error"] = detail.error
        return respond(answer)

    async def _find(self, call: Call, scenario_id: ScenarioId) -> Scenario:
        query = GetScenario(scenario_id=scenario_id, team_id=call.context.team_id)
        return await self.api.queries.ask(call.context, query)


def _log(execution: Execution, of: Scenario, call: Call) -> JsonObject:
    kind = "manual" if execution.origin == "manual" else "auto"
    moment = round(execution.created_at.timestamp() * 1000)
    return {
        "id": execution.id,
        "imtId": f"{moment}_scenario.{of.id}.{kind}.{execution.id}",
        "status": execution.status,
        "duration": execution.duration_ms,
        "operations": execution.operations,
        "centicredits": execution.operations * CENTICREDITS,
        "transfer": execution.transfer,
        "organizationId": call.context.organization_id,
        "teamId": of.team_id,
        "type": kind,
        "authorId": None,
        "instant": execution.origin == "webhook",
        "timestamp": instant(execution.created_at),
    }


def _max_bytes(request: Request) -> int | None:
    text = request.query_params.get("maxBytes")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MOST_BYTES))):
        raise InvalidInput(f"maxBytes is a whole number up to {_MOST_BYTES}.", code="invalid_page")
    return int(text)
