"""The catalogue a customer sees, the way into the wizard, and the switches on its cards."""

from dataclasses import dataclass

from make_bridge.domain.integrations.messages import (
    ChangeAnswers,
    FlowOptions,
    FlowStarted,
    GetFlow,
    ListIntegrations,
    StartFlow,
)
from make_bridge.domain.scenarios.messages import DeleteScenario
from make_bridge.faces.edge.body import parse_optional
from make_bridge.faces.edge.gates import Access, Call, CurrentCall
from make_bridge.faces.edge.origins import read_origin
from make_bridge.faces.portal import wire
from make_bridge.faces.portal.bodies import InitBody, RunBody
from make_bridge.faces.portal.dependencies import PortalDependencies
from make_bridge.faces.portal.operations import FlowPath, Operation, ScenarioPath, VersionPath
from make_bridge.faces.portal.scenarios import ScenarioActs
from make_bridge.kernel.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationRoutes:
    """The routes below ``/integrations``."""

    portal: PortalDependencies
    acts: ScenarioActs

    def operations(self) -> list[Operation]:
        """Return the table."""
        size = self.portal.config.bodies.api
        read = Access(permission="integrations:read", max_body=size)
        begin = Access(permission="integrations:write", max_body=size)
        write = Access(permission="scenarios:write", max_body=size)
        run = Access(permission="scenarios:run", max_body=size)
        one = "/integrations/{scenario_id}"
        return [
            Operation(method="GET", path="/integrations", endpoint=self.list_integrations, access=read),
            Operation(
                method="POST",
                path="/integrations/init/{instanceable_id}",
                endpoint=self.init_flow,
                access=begin,
                body=InitBody,
            ),
            Operation(method="GET", path="/integrations/check-init/{flow_id}", endpoint=self.check_flow, access=read),
            Operation(method="POST", path=f"{one}/edit", endpoint=self.edit_integration, access=begin, body=InitBody),
            Operation(method="POST", path=f"{one}/activate", endpoint=self.activate_integration, access=write),
            Operation(method="POST", path=f"{one}/deactivate", endpoint=self.deactivate_integration, access=write),
            Operation(method="POST", path=f"{one}/run", endpoint=self.run_integration, access=run, body=RunBody),
            Operation(method="DELETE", path=one, endpoint=self.delete_integration, access=write),
        ]

    async def list_integrations(self, call: CurrentCall) -> wire.IntegrationList:
        """List the published templates, each with the customer's scenario if there is one."""
        cards = await self.portal.queries.ask(call.context, ListIntegrations(team_id=call.team_id))
        return wire.IntegrationList(integrations=[wire.integration(card) for card in cards])

    async def init_flow(self, instanceable_id: VersionPath, call: CurrentCall) -> wire.FlowStarted:
        """Begin a walk through the wizard; the customer's browser goes to ``publicUrl``.

        The address ends with a secret that is shown this once.
        """
        config = self.portal.config
        body = parse_optional(call.body, InitBody, max_depth=config.json_depth) or InitBody()
        _require_agreement(body, instanceable_id, call)
        origins = (await self.portal.organizations.get(call.context.organization_id)).origins
        _require_registered(body.redirect_uri, origins)
        command = StartFlow(team_id=call.team_id, version_id=instanceable_id, options=_options(body))
        return self._started(await self.portal.commands.execute(call.context, command))

    async def check_flow(self, flow_id: FlowPath, call: CurrentCall) -> wire.FlowStatus:
        """Tell how far a flow is."""
        flow = await self.portal.queries.ask(call.context, GetFlow(flow_id=flow_id, team_id=call.context.team_id))
        return wire.flow_status(flow)

    async def edit_integration(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.FlowStarted:
        """Open the wizard over an integration that exists: its answers can be seen, and changed.

        An extension of the Bridge API. Of the body only ``redirectUri`` counts here.
        """
        config = self.portal.config
        body = parse_optional(call.body, InitBody, max_depth=config.json_depth) or InitBody()
        scenario = await self.acts.find(call, scenario_id)
        origins = (await self.portal.organizations.get(call.context.organization_id)).origins
        _require_registered(body.redirect_uri, origins)
        command = ChangeAnswers(team_id=scenario.team_id, scenario_id=scenario_id, redirect_uri=body.redirect_uri)
        return self._started(await self.portal.commands.execute(call.context, command))

    async def activate_integration(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.IntegrationReference:
        """Switch an integration's scenario on."""
        return wire.IntegrationReference(integration=await self.acts.activate(call, scenario_id))

    async def deactivate_integration(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.IntegrationReference:
        """Switch an integration's scenario off."""
        return wire.IntegrationReference(integration=await self.acts.deactivate(call, scenario_id))

    async def run_integration(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.RunStarted:
        """Start an execution of an integration's scenario by hand."""
        return await self.acts.run(call, scenario_id)

    async def delete_integration(self, scenario_id: ScenarioPath, call: CurrentCall) -> wire.Done:
        """Remove an integration's scenario with its webhook."""
        await self.acts.find(call, scenario_id)
        await self.portal.commands.execute(call.context, DeleteScenario(scenario_id=scenario_id))
        return wire.Done(message="The integration was removed.")

    def _started(self, started: FlowStarted) -> wire.FlowStarted:
        return wire.FlowStarted(
            public_url=f"{self.portal.config.public_url}/flow/{started.flow_id}#{started.secret}",
            flow=wire.FlowReference(id=started.flow_id),
        )


def _require_agreement(body: InitBody, instanceable_id: int, call: Call) -> None:
    """Refuse a body that names another template or team than the address does."""
    if body.template_id not in {None, instanceable_id}:
        raise InvalidInput("templateId in the body is another template than the one in the address.")
    if body.team_id not in {None, call.team_id}:
        raise InvalidInput("teamId in the body is another team than the one these credentials act for.")


def _require_registered(redirect_uri: str | None, origins: tuple[str, ...]) -> None:
    """Refuse to send customers to a site that is not the integrator's."""
    if redirect_uri is None:
        return
    origin = read_origin(redirect_uri)
    if origin is None:
        raise InvalidInput("redirectUri must be an http or https address.", code="invalid_redirect_uri")
    if origin.text not in origins:
        message = f"redirectUri points to {origin.text}, which is not a registered origin of this organization."
        raise InvalidInput(message, code="invalid_redirect_uri")


def _options(body: InitBody) -> FlowOptions:
    return FlowOptions(
        prefill_hard=body.prefill.hard if body.prefill else {},
        prefill_soft=body.prefill.soft if body.prefill else {},
        allow_reusing_components=body.allow_reusing_components is not False,
        allow_creating_components=body.allow_creating_components is not False,
        auto_activate=body.auto_activate is True,
        auto_finalize=body.auto_finalize is True,
        redirect_uri=body.redirect_uri,
        scenario_name=body.scenario.name if body.scenario else None,
        scenario_enable=body.scenario.enable if body.scenario else None,
    )
