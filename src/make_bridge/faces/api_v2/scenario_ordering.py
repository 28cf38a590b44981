"""By what a scenario's runs are ordered (``/scenarios/{id}/ordering``).

Ours, Make has no such resource: its scenarios run either all at once or all one after the other.
"""

from dataclasses import dataclass
from typing import Annotated

from starlette.responses import Response

from make_bridge.domain.scenarios.messages import GetOrdering, GetScenario, Ordering, SetOrdering
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import JsonObject, Operation, access, respond, row_id
from make_bridge.faces.api_v2.scenario_bodies import OrderingBody
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.kernel.ids import ScenarioId

ScenarioPath = Annotated[ScenarioId, row_id("scenario")]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderingRoutes:
    """The routes of one scenario's ordering."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        read, write = access("scenarios:read", self.api.bodies.api), access("scenarios:write", self.api.bodies.api)
        path = "/scenarios/{scenario_id}/ordering"
        return [
            Operation(method="GET", path=path, endpoint=self.get_ordering, access=read),
            Operation(method="PUT", path=path, endpoint=self.set_ordering, access=write, body=OrderingBody),
        ]

    async def get_ordering(self, scenario_id: ScenarioPath, call: CurrentCall) -> Response:
        """Show by what a scenario's runs are ordered."""
        query = GetOrdering(scenario_id=scenario_id, team_id=call.context.team_id)
        return respond({"ordering": _ordering(await self.api.queries.ask(call.context, query))})

    async def set_ordering(self, scenario_id: ScenarioPath, call: CurrentCall) -> Response:
        """Order a scenario's runs by the text of an expression over the trigger's bundle."""
        body = parse_object(call.body, OrderingBody, max_depth=self.api.json_depth)
        await self.api.queries.ask(call.context, GetScenario(scenario_id=scenario_id, team_id=call.context.team_id))
        command = SetOrdering(scenario_id=scenario_id, expression=body.ordering_key)
        return respond({"ordering": _ordering(await self.api.commands.execute(call.context, command))})


def _ordering(ordering: Ordering) -> JsonObject:
    return {
        "scenarioId": ordering.scenario_id,
        "orderingKey": ordering.expression,
        "sequential": ordering.is_sequential,
    }
