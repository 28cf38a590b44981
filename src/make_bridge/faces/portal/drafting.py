"""Scenarios without a wizard, for administrators: create from a blueprint, edit, save a new version, clone, delete.

An extension of the Bridge API. A blueprint with modules this server does not know is kept as a draft that says
``isInvalid`` and refuses to be switched on, naming each module with its position.
"""

from dataclasses import dataclass

from make_bridge.domain.scenarios.messages import (
    CreateScenario,
    DeleteScenario,
    EditScenario,
    GetBlueprint,
    GetHook,
    SaveBlueprint,
    Scenario,
)
from make_bridge.faces.edge.authentication import Credentials
from make_bridge.faces.edge.body import parse_object, parse_optional
from make_bridge.faces.edge.gates import Access, Call, CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.faces.portal.bodies import BlueprintBody, CloneBody, EditScenarioBody, ScenarioBody
from make_bridge.faces.portal.dependencies import PortalDependencies
from make_bridge.faces.portal.operations import Operation, ScenarioPath
from make_bridge.faces.portal.scenarios import ScenarioActs
from make_bridge.kernel.ids import HookId


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftingRoutes:
    """The routes that need no template."""

    portal: PortalDependencies
    acts: ScenarioActs

    def operations(self) -> list[Operation]:
        """Return the table."""
        write = Access(
            permission="scenarios:write",
            max_body=self.portal.config.bodies.blueprint,
            accepts=frozenset(Credentials),
            administrators_only=True,
        )
        one = "/scenarios/{scenario_id}"
        return [
            Operation(
                method="POST",
                path="/scenarios",
                endpoint=self.create_scenario,
                access=write,
                body=ScenarioBody,
                is_body_required=True,
            ),
            Operation(
                method="PATCH",
                path=one,
                endpoint=self.edit_scenario,
                access=write,
                body=EditScenarioBody,
                is_body_required=True,
            ),
            Operation(
                method="PUT",
                path=f"{one}/blueprint",
                endpoint=self.save_blueprint,
                access=write,
                body=BlueprintBody,
                is_body_required=True,
            ),
            Operation(method="POST", path=f"{one}/clone", endpoint=self.clone_scenario, access=write, body=CloneBody),
            Operation(method="DELETE", path=one, endpoint=self.delete_scenario, access=write),
        ]

    async def create_scenario(self, call: CurrentCall) -> wire.DraftedScenario:
        """Make a scenario from a blueprint, with a webhook when its first module waits for one."""
        body = parse_object(call.body, ScenarioBody, max_depth=self.portal.config.json_depth)
        command = CreateScenario(
            team_id=call.team_id, blueprint=body.blueprint, name=body.name, scheduling=body.scheduling
        )
        return await self._drafted(call, await self.portal.commands.execute(call.context, command))

    async def edit_scenario(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.Scenario:
        """Rename a scenario, or change when it runs; one that is switched on goes by the new schedule at once."""
        body = parse_object(call.body, EditScenarioBody, max_depth=self.portal.config.json_depth)
        await self.acts.find(call, scenario_id)
        command = EditScenario(scenario_id=scenario_id, name=body.name, scheduling=body.scheduling)
        return wire.scenario(await self.portal.commands.execute(call.context, command))

    async def save_blueprint(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.DraftedScenario:
        """Store the next version of a scenario's blueprint; runs under way keep theirs."""
        body = parse_object(call.body, BlueprintBody, max_depth=self.portal.config.json_depth)
        await self.acts.find(call, scenario_id)
        command = SaveBlueprint(scenario_id=scenario_id, blueprint=body.blueprint)
        return await self._drafted(call, await self.portal.commands.execute(call.context, command))

    async def clone_scenario(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.DraftedScenario:
        """Make another scenario from the blueprint of this one, switched off, with a webhook of its own."""
        body = parse_optional(call.body, CloneBody, max_depth=self.portal.config.json_depth) or CloneBody()
        scenario = await self.acts.find(call, scenario_id)
        blueprint = await self.portal.queries.ask(call.context, GetBlueprint(scenario_id=scenario_id))
        command = CreateScenario(
            team_id=scenario.team_id,
            blueprint=blueprint,
            name=body.name or f"{scenario.name} (copy)",
            scheduling=scenario.scheduling,
            template_version_id=scenario.template_version_id,
        )
        return await self._drafted(call, await self.portal.commands.execute(call.context, command))

    async def delete_scenario(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.Done:
        """Remove a scenario with its webhook."""
        await self.acts.find(call, scenario_id)
        await self.portal.commands.execute(call.context, DeleteScenario(scenario_id=scenario_id))
        return wire.Done(message="The scenario was deleted.")

    async def _drafted(self, call: Call, scenario: Scenario) -> wire.DraftedScenario:
        return wire.DraftedScenario(
            scenario=wire.scenario(scenario),
            is_invalid=scenario.is_invalid,
            blueprint_version=scenario.blueprint_version,
            hook_url=await self._hook_url(call, scenario.hook_id),
        )

    async def _hook_url(self, call: Call, hook_id: HookId | None) -> str | None:
        if hook_id is None:
            return None
        hook = await self.portal.queries.ask(call.context, GetHook(hook_id=hook_id))
        return f"{self.portal.config.public_url}/hook/{hook.token}"
