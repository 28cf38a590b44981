"""Scenarios: list, make, change, switch, run, delete, and what they take and give.

The shapes and the sentences are Make's own, which its clients read ("Scenario is already running" is one they expect).
What Make has and this product has not (devices, locks, drafts) is shown as being absent.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal, cast

from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.executions.messages import GetExecution, GetUsage, RunScenario
from make_bridge.domain.folders.messages import FolderId
from make_bridge.domain.scenarios.hook_messages import DescribeHook
from make_bridge.domain.scenarios.messages import (
    ActivateScenario,
    CreateScenario,
    DeactivateScenario,
    DeleteScenario,
    DescribeScenario,
    EditScenario,
    FindScenarios,
    GetInterface,
    ScenarioFacts,
    SetInterface,
)
from make_bridge.domain.scenarios.model import named_hook, with_interface
from make_bridge.domain.templates.messages import GetPublicTemplate
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import (
    JsonObject,
    Operation,
    access,
    require_own_organization,
    respond,
    row_id,
)
from make_bridge.faces.api_v2.paging import MAX_LIMIT, CurrentPage, Page, narrowed
from make_bridge.faces.api_v2.parameters import CHOSEN, IF_MATCH, IS_ACTIVE, OF_FOLDER, OF_ORGANIZATION
from make_bridge.faces.api_v2.revisions import expected_revision, tagged
from make_bridge.faces.api_v2.scenario_bodies import (
    DeclaredBody,
    NewInterfaceBody,
    NewScenarioBody,
    RunScenarioBody,
    ScenarioChangesBody,
)
from make_bridge.faces.edge.body import parse_object, parse_optional
from make_bridge.faces.edge.gates import Call, CurrentCall
from make_bridge.faces.portal.wire import CENTICREDITS, instant
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import MAX_ID, HookId, ScenarioId, TeamId, TemplateId

ScenarioPath = Annotated[ScenarioId, row_id("scenario")]
_MOST_IDS: Final = 1000
_ID: Final = re.compile(r"[0-9]{1,16}")
_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}
_RUNNING: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioRoutes:
    """The routes of ``/scenarios``; blueprints and executions have modules of their own."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        bodies = self.api.bodies
        read, run = access("scenarios:read", bodies.api), access("scenarios:run", bodies.api)
        write, save = access("scenarios:write", bodies.api), access("scenarios:write", bodies.blueprint)
        one = "/scenarios/{scenario_id}"
        create, change, declare = NewScenarioBody, ScenarioChangesBody, NewInterfaceBody
        return [
            Operation(
                method="GET",
                path="/scenarios",
                endpoint=self.list_scenarios,
                access=read,
                query=(OF_ORGANIZATION, CHOSEN, IS_ACTIVE, OF_FOLDER),
            ),
            Operation(method="POST", path="/scenarios", endpoint=self.create_scenario, access=save, body=create),
            Operation(method="GET", path=one, endpoint=self.get_scenario, access=read),
            Operation(
                method="PATCH", path=one, endpoint=self.update_scenario, access=save, body=change, query=(IF_MATCH,)
            ),
            Operation(method="DELETE", path=one, endpoint=self.delete_scenario, access=write),
            Operation(method="POST", path=f"{one}/start", endpoint=self.start_scenario, access=write),
            Operation(method="POST", path=f"{one}/stop", endpoint=self.stop_scenario, access=write),
            Operation(
                method="POST",
                path=f"{one}/run",
                endpoint=self.run_scenario,
                access=run,
                body=RunScenarioBody,
                is_body_required=False,
            ),
            Operation(method="GET", path=f"{one}/interface", endpoint=self.get_interface, access=read),
            Operation(
                method="PATCH",
                path=f"{one}/interface",
                endpoint=self.set_interface,
                access=write,
                body=declare,
                query=(IF_MATCH,),
            ),
            Operation(method="GET", path=f"{one}/usage", endpoint=self.get_scenario_usage, access=read),
        ]

    async def list_scenarios(self, request: Request, call: CurrentCall, page: CurrentPage) -> Response:
        """List the scenarios of a team, or of the whole organization."""
        query = _read_list(request, call, page)
        shown = [narrowed(scenario(facts), page) for facts in await self.api.queries.ask(call.context, query)]
        return respond({"scenarios": shown, "pg": page.describe(limit=MAX_LIMIT, sort_by="id")})

    async def create_scenario(self, call: CurrentCall, page: CurrentPage) -> Response:
        """Make a scenario from a blueprint; it is switched off."""
        body = parse_object(call.body, NewScenarioBody, max_depth=self.api.json_depth)
        body = await self._on_template(call, body)
        team_id, blueprint = TeamId(body.team_id), body.blueprint or {}
        command = CreateScenario(
            team_id=team_id,
            hook_id=await self._named_hook(call, team_id, blueprint),
            blueprint=_declaring(blueprint, body.metadata),
            scheduling=body.scheduling,
            name=body.name,
            folder_id=None if body.folder_id is None else FolderId(body.folder_id),
        )
        made = await self.api.commands.execute(call.context, command)
        return await self._show(call, made.id, page)

    async def get_scenario(self, scenario_id: ScenarioPath, call: CurrentCall, page: CurrentPage) -> Response:
        """Show one scenario."""
        return await self._show(call, scenario_id, page)

    async def update_scenario(
        self, scenario_id: ScenarioPath, request: Request, call: CurrentCall, page: CurrentPage
    ) -> Response:
        """Change a scenario, all or nothing; what is absent stays."""
        body = parse_object(call.body, ScenarioChangesBody, max_depth=self.api.json_depth)
        await self._find(call, scenario_id)
        command = EditScenario(
            scenario_id=scenario_id,
            name=body.name,
            description=body.description,
            scheduling=body.scheduling,
            blueprint=None if body.blueprint is None else _declaring(body.blueprint, body.metadata),
            folder_id=None if body.folder_id is None else FolderId(body.folder_id),
            out_of_folder="folder_id" in body.model_fields_set and body.folder_id is None,
            expected=expected_revision(request),
        )
        await self.api.commands.execute(call.context, command)
        return await self._show(call, scenario_id, page)

    async def delete_scenario(self, scenario_id: ScenarioPath, call: CurrentCall) -> Response:
        """Delete a scenario with its webhook and its blueprints."""
        await self._find(call, scenario_id)
        await self.api.commands.execute(call.context, DeleteScenario(scenario_id=scenario_id))
        return respond({"scenario": scenario_id})

    async def start_scenario(self, scenario_id: ScenarioPath, call: CurrentCall) -> Response:
        """Switch a scenario on."""
        if (await self._find(call, scenario_id)).scenario.is_active:
            raise InvalidInput("Scenario is already running.", code="already_running")
        await self.api.commands.execute(call.context, ActivateScenario(scenario_id=scenario_id))
        return respond({"scenario": {"id": scenario_id, "isActive": True, "islinked": True}})

    async def stop_scenario(self, scenario_id: ScenarioPath, call: CurrentCall) -> Response:
        """Switch a scenario off."""
        if not (await self._find(call, scenario_id)).scenario.is_active:
            raise InvalidInput("Scenario is not running.", code="not_running")
        await self.api.commands.execute(call.context, DeactivateScenario(scenario_id=scenario_id))
        return respond({"scenario": {"id": scenario_id, "isActive": False, "islinked": False}})

    async def run_scenario(self, scenario_id: ScenarioPath, call: CurrentCall) -> Response:
        """Run a scenario that is switched on; with ``responsive`` wait for its outcome, for a while."""
        body = parse_optional(call.body, RunScenarioBody, max_depth=self.api.json_depth) or RunScenarioBody()
        if not (await self._find(call, scenario_id)).scenario.is_active:
            raise InvalidInput("Scenario is not activated. Start it first.", code="not_activated")
        command = RunScenario(scenario_id=scenario_id, inputs=body.data or {}, callback_url=body.callback_url)
        execution_id = await self.api.commands.execute(call.context, command)
        waiter = self.api.waiter
        if not body.responsive or waiter is None:
            return respond({"executionId": execution_id})
        await waiter.outcome(call.context.organization_id, execution_id, self.api.responsive_run_seconds)
        query = GetExecution(scenario_id=scenario_id, execution_id=execution_id)
        detail = await self.api.queries.ask(call.context, query)
        answer: JsonObject = {"executionId": execution_id}
        if detail.execution.status != _RUNNING:
            answer["status"] = detail.execution.status
        if detail.outputs is not None:
            answer["outputs"] = detail.outputs
        return respond(answer)

    async def get_interface(self, scenario_id: ScenarioPath, call: CurrentCall) -> Response:
        """Show what a scenario takes and gives."""
        facts = await self._find(call, scenario_id)
        found = await self.api.queries.ask(call.context, GetInterface(scenario_id=scenario_id))
        return tagged(respond({"interface": {"input": found.input, "output": found.output}}), facts.revision)

    async def set_interface(self, scenario_id: ScenarioPath, request: Request, call: CurrentCall) -> Response:
        """Declare what a scenario takes and gives."""
        body = parse_object(call.body, NewInterfaceBody, max_depth=self.api.json_depth).interface
        await self._find(call, scenario_id)
        command = SetInterface(
            scenario_id=scenario_id, input=body.input, output=body.output, expected=expected_revision(request)
        )
        await self.api.commands.execute(call.context, command)
        return await self.get_interface(scenario_id, call)

    async def get_scenario_usage(self, scenario_id: ScenarioPath, call: CurrentCall) -> Response:
        """Show what a scenario used on each of the last thirty days."""
        await self._find(call, scenario_id)
        days = await self.api.queries.ask(call.context, GetUsage(scenario_id=scenario_id))
        data = [
            {"date": day.date.isoformat(), "operations": day.operations, "dataTransfer": day.data_transfer,
             "centicredits": day.operations * CENTICREDITS}
            for day in days
        ]  # fmt: skip
        return respond({"data": data})

    async def _on_template(self, call: Call, body: NewScenarioBody) -> NewScenarioBody:
        """Fill what a new scenario does not say with the public template it is based on."""
        if body.basedon is None:
            if body.blueprint is None:
                raise InvalidInput("Give a blueprint, or with basedon the public template it is in.")
            return body
        found = await self.api.queries.ask(call.context, GetPublicTemplate(template_id=TemplateId(body.basedon)))
        if body.blueprint is not None:
            return body
        said = {"blueprint": found.blueprint, "scheduling": body.scheduling or found.scheduling}
        return body.model_copy(update=said | {"name": body.name or found.template.name})

    async def _named_hook(self, call: Call, team_id: TeamId, blueprint: JsonObject) -> HookId | None:
        """Return the team's free webhook that a blueprint names; one that names another's is given a new one."""
        hook_id = named_hook(blueprint)
        if hook_id is None:
            return None
        try:
            found = await self.api.queries.ask(call.context, DescribeHook(hook_id=hook_id))
        except NotFound:
            return None
        return hook_id if found.team_id == team_id and found.scenario_id is None else None

    async def _find(self, call: Call, scenario_id: ScenarioId) -> ScenarioFacts:
        return await self.api.queries.ask(
            call.context, DescribeScenario(scenario_id=scenario_id, team_id=call.context.team_id)
        )

    async def _show(self, call: Call, scenario_id: ScenarioId, page: Page) -> Response:
        facts = await self._find(call, scenario_id)
        return tagged(respond({"scenario": narrowed(scenario(facts), page)}), facts.revision)


def scenario(facts: ScenarioFacts) -> JsonObject:
    """Return a scenario in Make's shape."""
    found = facts.scenario
    return {
        "id": found.id,
        "name": found.name,
        "description": facts.description or None,
        "teamId": found.team_id,
        "folderId": facts.folder_id,
        "hookId": found.hook_id,
        "deviceId": None,
        "deviceScope": None,
        "concept": False,
        "usedPackages": list(found.used_packages),
        "scheduling": found.scheduling,
        "isActive": found.is_active,
        "islinked": found.is_active,
        "isinvalid": found.is_invalid,
        "isPaused": found.is_paused,
        "islocked": False,
        "dlqCount": facts.incomplete,
        "scenarioVersion": found.blueprint_version,
        "created": instant(found.created_at),
        "lastEdit": instant(facts.edited_at),
        "nextExec": None if found.next_run_at is None else instant(found.next_run_at),
    }


def _declaring(blueprint: JsonObject, metadata: DeclaredBody | None) -> JsonObject:
    """Put inputs and outputs back, which the client took out; a blueprint that has its own keeps them."""
    declared = None if metadata is None else metadata.declared()
    if declared is None or "interface" in blueprint or "io" in blueprint:
        return blueprint
    return with_interface(blueprint, declared)


def _read_list(request: Request, call: Call, page: Page) -> FindScenarios:
    asked = request.query_params.getlist("organizationId")
    if call.context.team_id is None:
        if not asked:
            raise InvalidInput("Missing required parameter teamId or organizationId.", code="team_required")
        require_own_organization(asked, call)
    elif asked:
        require_own_organization(asked, call)
        raise InvalidInput("teamId and organizationId cannot be used together.", code="invalid_page")
    sort_by = page.sort_by or "id"
    if sort_by not in {"id", "name"}:
        raise InvalidInput("Scenarios are sorted by id or name.", code="invalid_page")
    return FindScenarios(
        team_id=call.context.team_id,
        ids=_ids(request),
        is_active=_truth(request.query_params.get("isActive")),
        folder_id=folder_of(request, "folderId"),
        sort_by=cast("Literal['id', 'name']", sort_by),
        is_descending=page.direction == "desc",
        offset=page.offset,
        limit=MAX_LIMIT if page.limit is None else min(page.limit, MAX_LIMIT),
    )


def _ids(request: Request) -> tuple[int, ...] | None:
    asked = request.query_params.getlist("id[]")
    if not asked:
        return None
    if len(asked) > _MOST_IDS or not all(_ID.fullmatch(text) for text in asked):
        raise InvalidInput(f"id[] names at most {_MOST_IDS} scenarios, by whole numbers.", code="invalid_page")
    return tuple(min(int(text), MAX_ID) for text in asked)


def folder_of(request: Request, name: str) -> FolderId | None:
    """Return the folder that a parameter of the query names."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not _ID.fullmatch(text):
        raise InvalidInput(f"{name} is the number of a folder.", code="invalid_page")
    return FolderId(min(int(text), MAX_ID))


def _truth(text: str | None) -> bool | None:
    if text is None:
        return None
    if text not in _TRUTH:
        raise InvalidInput("isActive is true or false.", code="invalid_page")
    return _TRUTH[text]
