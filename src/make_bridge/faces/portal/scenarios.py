"""The scenarios of a customer: list, switch, run, and look at what they did.

Every route looks the scenario up under the caller's context first, so that a stranger's scenario is not found, whatever
is asked of it. ``ScenarioActs`` is shared with the integrations' routes, which wrap the same acts differently.
"""

from dataclasses import dataclass

from make_bridge.domain.executions.messages import GetExecution, GetUsage, ListExecutions, RunScenario
from make_bridge.domain.scenarios.messages import (
    ActivateScenario,
    DeactivateScenario,
    GetBlueprint,
    GetInterface,
    GetScenario,
    ListBlueprints,
    ListScenarios,
    Scenario,
)
from make_bridge.faces.edge.body import parse_optional
from make_bridge.faces.edge.gates import Access, Call, CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.faces.portal.bodies import RunBody
from make_bridge.faces.portal.dependencies import PortalDependencies
from make_bridge.faces.portal.operations import ROOT, ExecutionPath, Operation, ScenarioPath
from make_bridge.kernel.errors import Conflict
from make_bridge.kernel.ids import ScenarioId

_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioActs:
    """What can be done to one scenario."""

    portal: PortalDependencies

    async def find(self, call: Call, scenario_id: ScenarioId) -> Scenario:
        """Return a scenario the caller may see; raises NotFound."""
        query = GetScenario(scenario_id=scenario_id, team_id=call.context.team_id)
        return await self.portal.queries.ask(call.context, query)

    async def activate(self, call: Call, scenario_id: ScenarioId) -> wire.ScenarioReference:
        """Switch on."""
        await self.find(call, scenario_id)
        done = await self.portal.commands.execute(call.context, ActivateScenario(scenario_id=scenario_id))
        return wire.ScenarioReference(scenario_id=done)

    async def deactivate(self, call: Call, scenario_id: ScenarioId) -> wire.ScenarioReference:
        """Switch off."""
        await self.find(call, scenario_id)
        done = await self.portal.commands.execute(call.context, DeactivateScenario(scenario_id=scenario_id))
        return wire.ScenarioReference(scenario_id=done)

    async def run(self, call: Call, scenario_id: ScenarioId) -> wire.RunStarted:
        """Start an execution by hand, switched on or not; with ``responsive`` wait for its outcome."""
        config = self.portal.config
        body = parse_optional(call.body, RunBody, max_depth=config.json_depth) or RunBody()
        scenario = await self.find(call, scenario_id)
        if scenario.is_invalid:
            message = "This scenario has errors in its blueprint and cannot run: switch it on to see them."
            raise Conflict(message, code="scenario_invalid")
        command = RunScenario(scenario_id=scenario_id, inputs=body.data or {})
        execution_id = await self.portal.commands.execute(call.context, command)
        status_url = f"{config.public_url}{ROOT}/scenarios/{scenario_id}/logs/{execution_id}"
        if not body.responsive:
            return wire.RunStarted(execution_id=execution_id, status_url=status_url)
        await self.portal.waiter.outcome(call.context.organization_id, execution_id, config.responsive_run_seconds)
        query = GetExecution(scenario_id=scenario_id, execution_id=execution_id)
        detail = await self.portal.queries.ask(call.context, query)
        return wire.RunStarted(
            execution_id=execution_id,
            status_url=status_url,
            status=detail.execution.status,
            outputs=detail.outputs,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioRoutes:
    """The routes below ``/scenarios``."""

    portal: PortalDependencies
    acts: ScenarioActs

    def operations(self) -> list[Operation]:
        """Return the table."""
        size = self.portal.config.bodies.api
        read = Access(permission="scenarios:read", max_body=size)
        write = Access(permission="scenarios:write", max_body=size)
        run = Access(permission="scenarios:run", max_body=size)
        one = "/scenarios/{scenario_id}"
        return [
            Operation(method="GET", path="/scenarios", endpoint=self.list_scenarios, access=read),
            Operation(method="GET", path=one, endpoint=self.get_scenario, access=read),
            Operation(method="POST", path=f"{one}/activate", endpoint=self.activate_scenario, access=write),
            Operation(method="POST", path=f"{one}/deactivate", endpoint=self.deactivate_scenario, access=write),
            Operation(method="POST", path=f"{one}/run", endpoint=self.run_scenario, access=run, body=RunBody),
            Operation(method="GET", path=f"{one}/usage", endpoint=self.get_usage, access=read),
            Operation(method="GET", path=f"{one}/logs", endpoint=self.list_logs, access=read),
            Operation(method="GET", path=f"{one}/logs/{{execution_id}}", endpoint=self.get_log, access=read),
            Operation(method="GET", path=f"{one}/blueprint", endpoint=self.get_blueprint, access=read),
            Operation(method="GET", path=f"{one}/blueprints", endpoint=self.list_blueprints, access=read),
            Operation(method="GET", path=f"{one}/interface", endpoint=self.get_interface, access=read),
        ]

    async def list_scenarios(self, call: CurrentCall) -> wire.ScenarioList:
        """List the scenarios made through the wizard."""
        found: list[Scenario] = []
        page: list[Scenario] = []
        while not found or len(page) == _PAGE:
            after = found[-1].id if found else 0
            query = ListScenarios(team_id=call.context.team_id, from_templates_only=True, after=after, limit=_PAGE)
            page = await self.portal.queries.ask(call.context, query)
            if not page:
                break
            found += page
        return wire.ScenarioList(scenarios=[wire.scenario(scenario) for scenario in found])

    async def get_scenario(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.Scenario:
        """Show one scenario."""
        return wire.scenario(await self.acts.find(call, scenario_id))

    async def activate_scenario(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.ScenarioReference:
        """Switch a scenario on: from now on its trigger starts executions."""
        return await self.acts.activate(call, scenario_id)

    async def deactivate_scenario(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.ScenarioReference:
        """Switch a scenario off: no new executions start."""
        return await self.acts.deactivate(call, scenario_id)

    async def run_scenario(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.RunStarted:
        """Start an execution by hand, whether the scenario is switched on or not."""
        return await self.acts.run(call, scenario_id)

    async def get_usage(self, scenario_id: ScenarioPath, call: CurrentCall) -> list[wire.UsageDay]:
        """Show what a scenario used on each of the last thirty days."""
        await self.acts.find(call, scenario_id)
        days = await self.portal.queries.ask(call.context, GetUsage(scenario_id=scenario_id))
        return [wire.usage_day(day) for day in days]

    async def list_logs(self, scenario_id: ScenarioPath, call: CurrentCall) -> list[wire.LogRow]:
        """List the latest executions of a scenario, newest first."""
        scenario = await self.acts.find(call, scenario_id)
        rows = await self.portal.queries.ask(call.context, ListExecutions(scenario_id=scenario_id))
        return [wire.log_row(row, scenario, call.context.organization_id) for row in rows]

    async def get_log(self, scenario_id: ScenarioPath, execution_id: ExecutionPath, call: CurrentCall) -> wire.Log:
        """Show one execution with each module's input and output."""
        scenario = await self.acts.find(call, scenario_id)
        query = GetExecution(scenario_id=scenario_id, execution_id=execution_id)
        detail = await self.portal.queries.ask(call.context, query)
        return wire.log(detail, scenario, call.context.organization_id)

    async def get_blueprint(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.Blueprint:
        """Show the blueprint a scenario runs now."""
        await self.acts.find(call, scenario_id)
        blueprint = await self.portal.queries.ask(call.context, GetBlueprint(scenario_id=scenario_id))
        return wire.Blueprint(blueprint=blueprint)

    async def list_blueprints(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.BlueprintList:
        """List the versions of a scenario's blueprint, newest first."""
        await self.acts.find(call, scenario_id)
        versions = await self.portal.queries.ask(call.context, ListBlueprints(scenario_id=scenario_id))
        return wire.BlueprintList(blueprints=[wire.blueprint_version(version, scenario_id) for version in versions])

    async def get_interface(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.Interface:
        """Show what a scenario takes and gives."""
        await self.acts.find(call, scenario_id)
        declared = await self.portal.queries.ask(call.context, GetInterface(scenario_id=scenario_id))
        return wire.Interface(input=declared.input, output=declared.output)
