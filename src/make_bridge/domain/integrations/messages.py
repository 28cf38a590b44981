"""What can be asked of flows and of the catalogue a customer sees."""

from typing import Any, ClassVar

from make_bridge.domain.oauth.messages import ApplicationId, ConsentTicket
from make_bridge.kernel.ids import ComponentId, ScenarioId, TeamId, TemplateVersionId
from make_bridge.kernel.messages import Command, Event, Query, message

JsonObject = dict[str, Any]


@message
class FlowOptions:
    """What ``init`` may say; see the Bridge API's body."""

    prefill_hard: JsonObject
    prefill_soft: JsonObject
    allow_reusing_components: bool = True
    allow_creating_components: bool = True
    auto_activate: bool = False
    auto_finalize: bool = False
    redirect_uri: str | None = None
    scenario_name: str | None = None
    scenario_enable: bool | None = None


@message
class FlowStarted:
    """A new flow; ``secret`` goes into the address fragment and is shown this once."""

    flow_id: str
    secret: str

    def __repr__(self) -> str:
        """Show no secret."""
        return f"FlowStarted({self.flow_id})"


@message
class StartFlow(Command[FlowStarted]):
    """Begin a walk through the wizard for one team."""

    team_id: TeamId
    version_id: TemplateVersionId
    options: FlowOptions


@message
class ChangeAnswers(Command[FlowStarted]):
    """Begin a flow that changes the answers of a scenario: it starts with those given last."""

    team_id: TeamId
    scenario_id: ScenarioId
    redirect_uri: str | None = None


@message
class ReopenFlow(Command[FlowStarted]):
    """Begin a flow that changes what a completed flow has made; asked from the flow's own last page."""

    flow_id: str


@message
class FlowState:
    """A flow as the wizard's page shows it (``document`` is the wire shape) and as ``check-init`` tells it."""

    flow_id: str
    status_id: int
    status_message: str
    is_completed: bool
    scenario_id: ScenarioId | None
    scenario_name: str | None
    document: JsonObject


@message
class GetFlow(Query[FlowState]):
    """The state of a flow; with ``team_id`` only when it belongs to that team."""

    flow_id: str
    team_id: TeamId | None = None


@message
class LeaveIntro(Command[FlowState]):
    """Go from the landing page to the first step."""

    flow_id: str


@message
class SaveStep(Command[FlowState]):
    """Store one step's answers; errors name the field's uuid."""

    flow_id: str
    step_id: str
    values: JsonObject


@message
class CreateFlowComponent(Command[JsonObject]):
    """Make a connection or key from within a step and choose it."""

    flow_id: str
    step_id: str
    uuid: str
    name: str
    values: JsonObject

    def __repr__(self) -> str:
        """Show no secret."""
        return f"CreateFlowComponent({self.flow_id})"


@message
class BeginFlowConsent(Command[ConsentTicket]):
    """Let the customer agree at a provider from within a step: with a new connection, or once more with one chosen."""

    flow_id: str
    step_id: str
    uuid: str
    name: str = ""
    application_id: ApplicationId | None = None
    connection_id: ComponentId | None = None


@message
class FinalizeFlow(Command[FlowState]):
    """Create the scenario from the answers; happens once however often it is asked."""

    flow_id: str


@message
class Integration:
    """One card: a published template with the team's scenario made from it, if any."""

    version_id: TemplateVersionId
    name: str
    used_packages: tuple[str, ...]
    scheduling: JsonObject
    scenario_id: ScenarioId | None
    scenario_active: bool


@message
class ListIntegrations(Query[list[Integration]]):
    """The catalogue of one team."""

    team_id: TeamId


@message
class FlowCompleted(Event):
    """A customer finished the wizard."""

    wire_name: ClassVar[str] = "flow.completed.v1"
    flow_id: str
    scenario_id: int
