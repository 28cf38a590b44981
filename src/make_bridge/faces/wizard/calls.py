"""The calls of the wizard's page: read the flow, begin, save a step, make a component, finish.

Each answers with the flow as the page shows it. Hook tokens become addresses here, because only a
face knows the public address of the server.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.integrations.messages import (
    BeginFlowConsent,
    CreateFlowComponent,
    FinalizeFlow,
    FlowState,
    GetFlow,
    LeaveIntro,
    ReopenFlow,
    SaveStep,
)
from make_bridge.domain.oauth.messages import ApplicationId
from make_bridge.faces.edge.access import GuardedRoute
from make_bridge.faces.edge.body import parse_object
from make_bridge.faces.wizard.gate import FlowGate
from make_bridge.kernel.ids import MAX_ID, ComponentId
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.queries import QueryBus

JsonObject = dict[str, Any]
_ID = "/flow-api/{flow_id}"


class StepBody(BaseModel):
    """The answers of one step, by uuid."""

    model_config = ConfigDict(strict=True, extra="ignore")
    values: dict[str, Any] = Field(max_length=500)


class ComponentBody(BaseModel):
    """A connection or key to be made; ``values`` hold its secrets."""

    model_config = ConfigDict(strict=True, extra="ignore")
    uuid: str = Field(max_length=64)
    name: str = Field(min_length=1, max_length=120)
    values: dict[str, Any] = Field(max_length=50)


class ConsentBody(BaseModel):
    """Where the customer agrees: with a new connection of an application, or once more with one that there is."""

    model_config = ConfigDict(strict=True, extra="ignore")
    uuid: str = Field(max_length=64)
    name: str = Field("", max_length=120)
    application_id: int | None = Field(None, alias="applicationId", ge=1, le=MAX_ID)
    connection_id: int | None = Field(None, alias="connectionId", ge=1, le=MAX_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class WizardCalls:
    """The endpoints with what they need."""

    commands: CommandBus
    queries: QueryBus
    public_url: str
    max_depth: int

    async def read(self, request: Request) -> Response:
        """Answer the flow's state."""
        context = request.state.context
        query = GetFlow(flow_id=_flow(request), team_id=context.team_id)
        return self._shown(await self.queries.ask(context, query))

    async def begin(self, request: Request) -> Response:
        """Leave the intro."""
        return self._shown(await self.commands.execute(request.state.context, LeaveIntro(flow_id=_flow(request))))

    async def save(self, request: Request) -> Response:
        """Save one step."""
        body = parse_object(request.state.body, StepBody, max_depth=self.max_depth)
        command = SaveStep(flow_id=_flow(request), step_id=request.path_params["step_id"], values=body.values)
        return self._shown(await self.commands.execute(request.state.context, command))

    async def create(self, request: Request) -> Response:
        """Make a connection or key."""
        body = parse_object(request.state.body, ComponentBody, max_depth=self.max_depth)
        command = CreateFlowComponent(
            flow_id=_flow(request),
            step_id=request.path_params["step_id"],
            uuid=body.uuid,
            name=body.name,
            values=body.values,
        )
        return _json(await self.commands.execute(request.state.context, command))

    async def authorize(self, request: Request) -> Response:
        """Begin a consent: answers with the address that the page opens in a window of its own."""
        body = parse_object(request.state.body, ConsentBody, max_depth=self.max_depth)
        command = BeginFlowConsent(
            flow_id=_flow(request),
            step_id=request.path_params["step_id"],
            uuid=body.uuid,
            name=body.name,
            application_id=None if body.application_id is None else ApplicationId(body.application_id),
            connection_id=None if body.connection_id is None else ComponentId(body.connection_id),
        )
        begun = await self.commands.execute(request.state.context, command)
        return _json({"connectionId": begun.connection_id, "startUrl": f"{self.public_url}/oauth/start#{begun.ticket}"})

    async def finish(self, request: Request) -> Response:
        """Make the scenario."""
        return self._shown(await self.commands.execute(request.state.context, FinalizeFlow(flow_id=_flow(request))))

    async def reopen(self, request: Request) -> Response:
        """Begin to change the answers of a completed flow: answers with the address of the new flow."""
        started = await self.commands.execute(request.state.context, ReopenFlow(flow_id=_flow(request)))
        return _json({"publicUrl": f"{self.public_url}/flow/{started.flow_id}#{started.secret}"})

    def _shown(self, state: FlowState) -> Response:
        return _json(with_hook_addresses(state.document, self.public_url))


def with_hook_addresses(document: JsonObject, public_url: str) -> JsonObject:
    """Return the page's document with hook tokens turned into addresses."""
    tokens: dict[str, str] = {}
    for step in document["steps"]:
        for field in step["fields"]:
            component = field["component"]
            if component and component["hookUrl"]:
                tokens[component["hookUrl"]] = component["hookUrl"] = f"{public_url}/hook/{component['hookUrl']}"
    for row in document["summary"]:
        if row["value"] and any(url.endswith(f"/{row['value']}") for url in tokens.values()):
            row["value"] = f"{public_url}/hook/{row['value']}"
    return document


def wizard_calls(calls: WizardCalls, gate: FlowGate) -> Sequence[GuardedRoute]:
    """Return the routes."""
    return (
        GuardedRoute(_ID, calls.read, gate=gate, methods=("GET",)),
        GuardedRoute(f"{_ID}/start", calls.begin, gate=gate, methods=("POST",)),
        GuardedRoute(f"{_ID}/steps/{{step_id}}", calls.save, gate=gate, methods=("POST",)),
        GuardedRoute(f"{_ID}/steps/{{step_id}}/components", calls.create, gate=gate, methods=("POST",)),
        GuardedRoute(f"{_ID}/steps/{{step_id}}/authorize", calls.authorize, gate=gate, methods=("POST",)),
        GuardedRoute(f"{_ID}/finalize", calls.finish, gate=gate, methods=("POST",)),
        GuardedRoute(f"{_ID}/reopen", calls.reopen, gate=gate, methods=("POST",)),
    )


def _flow(request: Request) -> str:
    flow_id: str = request.path_params["flow_id"]
    return flow_id


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
