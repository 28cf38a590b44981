"""Replaying: a scenario is started anew with what an earlier execution was started with, as the scenario is now.

That is kept as long as executions are, and of confidential scenarios not at all. A scenario whose first module looks
for something new looks anew: what it found before is no part of what started it.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from starlette.responses import Response

from make_bridge.domain.executions.messages import GetExecution, ReplayExecution
from make_bridge.domain.scenarios.messages import GetScenario
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.executions import read_execution_id
from make_bridge.faces.api_v2.operations import Operation, access, respond, row_id
from make_bridge.faces.api_v2.scenario_bodies import ReplayBody
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import ScenarioId

ScenarioPath = Annotated[ScenarioId, row_id("scenario")]
_ACCEPTED: Final = 202


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRoutes:
    """The route of replays."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        run = access("scenarios:run", self.api.bodies.api)
        path = "/scenarios/{scenario_id}/replay"
        return [Operation(method="POST", path=path, endpoint=self.replay_execution, access=run, body=ReplayBody)]

    async def replay_execution(self, scenario_id: ScenarioPath, call: CurrentCall) -> Response:
        """Start a scenario anew with what an earlier execution was started with."""
        body = parse_object(call.body, ReplayBody, max_depth=self.api.json_depth)
        query = GetScenario(scenario_id=scenario_id, team_id=call.context.team_id)
        scenario = await self.api.queries.ask(call.context, query)
        old = read_execution_id(body.execution_ids[0])
        await self.api.queries.ask(call.context, GetExecution(scenario_id=scenario_id, execution_id=old))
        if not scenario.is_active:
            raise InvalidInput("Scenario is not activated. Start it first.", code="not_activated")
        command = ReplayExecution(scenario_id=scenario_id, execution_id=old)
        execution_id = await self.api.commands.execute(call.context, command)
        return respond({"executionId": execution_id}, status=_ACCEPTED)
