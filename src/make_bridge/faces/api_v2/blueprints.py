"""The blueprint a scenario runs, its versions, and copies of it."""

from dataclasses import dataclass
from typing import Annotated

from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.folders.messages import FolderId
from make_bridge.domain.scenarios.messages import (
    CreateScenario,
    DescribeScenario,
    GetBlueprint,
    ListVersions,
    ScenarioFacts,
)
from make_bridge.domain.scenarios.model import interface_of
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import JsonObject, Operation, access, require_organization, respond, row_id
from make_bridge.faces.api_v2.paging import CurrentPage, narrowed
from make_bridge.faces.api_v2.parameters import THE_ORGANIZATION, VERSION
from make_bridge.faces.api_v2.revisions import tagged
from make_bridge.faces.api_v2.scenario_bodies import CloneScenarioBody
from make_bridge.faces.api_v2.scenarios import scenario
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.faces.portal.wire import instant
from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import ScenarioId, TeamId

ScenarioPath = Annotated[ScenarioId, row_id("scenario")]
_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class BlueprintRoutes:
    """The routes of a scenario's blueprints."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        read = access("scenarios:read", self.api.bodies.api)
        one = "/scenarios/{scenario_id}"
        return [
            Operation(
                method="GET", path=f"{one}/blueprint", endpoint=self.get_blueprint, access=read, query=(VERSION,)
            ),
            Operation(method="GET", path=f"{one}/blueprints", endpoint=self.list_versions, access=read),
            Operation(
                method="POST",
                path=f"{one}/clone",
                endpoint=self.clone_scenario,
                access=access("scenarios:write", self.api.bodies.api),
                body=CloneScenarioBody,
                query=(THE_ORGANIZATION,),
            ),
        ]

    async def get_blueprint(self, scenario_id: ScenarioPath, request: Request, call: CurrentCall) -> Response:
        """Show the blueprint a scenario runs now, or the version that ``blueprintId`` names."""
        facts = await self._find(call, scenario_id)
        query = GetBlueprint(scenario_id=scenario_id, version=_version(request))
        blueprint = await self.api.queries.ask(call.context, query)
        declared = interface_of(blueprint)
        answer = {
            "blueprint": blueprint,
            "scheduling": facts.scenario.scheduling,
            "idSequence": next_module_id(blueprint),
            "created": instant(facts.scenario.created_at),
            "last_edit": instant(facts.edited_at),
            "metadata": {"input_spec": declared["input"] or [], "output_spec": declared["output"] or []},
        }
        return tagged(respond({"code": "OK", "response": answer}), facts.revision)

    async def list_versions(self, scenario_id: ScenarioPath, call: CurrentCall) -> Response:
        """List the versions of a scenario's blueprint, newest first."""
        await self._find(call, scenario_id)
        found = await self.api.queries.ask(call.context, ListVersions(scenario_id=scenario_id))
        shown: list[JsonObject] = [
            {"version": each.version, "created": instant(each.created_at), "scenarioId": scenario_id, "draft": False}
            for each in found
        ]
        return respond({"scenariosBlueprints": shown})

    async def clone_scenario(
        self, scenario_id: ScenarioPath, request: Request, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """Copy a scenario, also into another team, where it needs connections of that team."""
        require_organization(request, call)
        body = parse_object(call.body, CloneScenarioBody, max_depth=self.api.json_depth)
        facts = await self._find(call, scenario_id)
        command = CreateScenario(
            team_id=TeamId(body.team_id),
            blueprint=await self.api.queries.ask(call.context, GetBlueprint(scenario_id=scenario_id)),
            name=body.name,
            scheduling=facts.scenario.scheduling,
            folder_id=_folder_of_copy(body, facts),
        )
        made = await self.api.commands.execute(call.context, command)
        return respond({"scenario": narrowed(scenario(await self._find(call, made.id)), page)})

    async def _find(self, call: Call, scenario_id: ScenarioId) -> ScenarioFacts:
        return await self.api.queries.ask(
            call.context, DescribeScenario(scenario_id=scenario_id, team_id=call.context.team_id)
        )


def _folder_of_copy(body: CloneScenarioBody, facts: ScenarioFacts) -> FolderId | None:
    if "folder_id" in body.model_fields_set:
        return None if body.folder_id is None else FolderId(body.folder_id)
    return facts.folder_id if body.team_id == facts.scenario.team_id else None


def _version(request: Request) -> int | None:
    text = request.query_params.get("blueprintId")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise InvalidInput("blueprintId is the number of a version.", code="invalid_page")
    return int(text)


def next_module_id(blueprint: JsonObject) -> int:
    """Return a number that no module has yet, on any route and in any error handler."""
    largest, left = 0, [blueprint.get("flow")]
    while left:
        nodes = left.pop()
        for node in nodes if isinstance(nodes, list) else ():
            if not isinstance(node, dict):
                continue
            if isinstance(node.get("id"), int):
                largest = max(largest, node["id"])
            routes = node.get("routes")
            left += [node.get("onerror"), *(_flows(routes) if isinstance(routes, list) else ())]
    return largest + 1


def _flows(routes: list[object]) -> list[object]:
    return [route.get("flow") for route in routes if isinstance(route, dict)]
