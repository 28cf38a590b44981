"""What the portal answers: every shape of the Bridge API, and how it comes from the domain's values.

The names are the API's, down to the lower-case ``islocked`` and ``iswaiting``. A member that is not set is left out (a
template nobody uses has no scenario ``id``), one that is None is ``null``.
"""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from make_bridge.domain.customers import messages as customers
from make_bridge.domain.executions import messages as executions
from make_bridge.domain.integrations import messages as integrations
from make_bridge.domain.scenarios import messages as scenarios
from make_bridge.domain.templates import messages as templates
from make_bridge.domain.usage import messages as usage
from make_bridge.kernel.ids import OrganizationId

JsonObject = dict[str, Any]
# Of one operation: Make counts in hundredths of credits, and an operation is one credit.
CENTICREDITS = 100
_OVER_LIMIT = "usage_limit_reached"


class Wire(BaseModel):
    """The root of all answers: wire names in camel case."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Problem(Wire):
    """Every refusal has this shape."""

    detail: str
    message: str
    code: str
    request_id: str
    fields: dict[str, str] | None = None


class ScenarioCard(Wire):
    """The scenario of a card; ``id`` and ``isActive`` are missing while there is none."""

    id: int | None = None
    name: str
    is_active: bool | None = None
    used_packages: list[str]
    scheduling: JsonObject


class IntegrationState(Wire):
    """Whether the customer has connected this integration."""

    is_connected: bool


class TemplateReference(Wire):
    """The published version a card stands for."""

    version_uid: int
    instanceable_id: int


class Integration(Wire):
    """One card of the catalogue."""

    scenario: ScenarioCard
    state: IntegrationState
    template: TemplateReference


class IntegrationList(Wire):
    """The catalogue."""

    integrations: list[Integration]


class FlowReference(Wire):
    """The id of a flow."""

    id: str


class FlowStarted(Wire):
    """A new flow and the address of its wizard."""

    public_url: str
    flow: FlowReference


class FlowScenario(Wire):
    """A scenario that a flow has made."""

    id: int
    description: str


class FlowResult(Wire):
    """What a completed flow has made."""

    scenarios: list[FlowScenario]


class Flow(Wire):
    """How far a flow is."""

    id: str
    status_id: int
    status_message: str
    is_completed: bool
    result: FlowResult | None


class FlowStatus(Wire):
    """The answer of ``check-init``."""

    flow: Flow


class ScenarioReference(Wire):
    """The id of a scenario."""

    scenario_id: int


class IntegrationReference(Wire):
    """The id of a scenario, as the integrations' routes wrap it."""

    integration: ScenarioReference


class Done(Wire):
    """A sentence that says what was done."""

    message: str


class RunStarted(Wire):
    """An execution that was started; ``status`` and ``outputs`` come with a responsive run."""

    execution_id: str
    status_url: str
    status: int | None = None
    outputs: JsonObject | None = None


class Scenario(Wire):
    """A scenario."""

    id: int
    name: str
    is_active: bool
    islocked: bool
    is_paused: bool
    used_packages: list[str]
    scheduling: JsonObject
    iswaiting: bool
    next_exec: str | None


class ScenarioList(Wire):
    """Scenarios made through the wizard."""

    scenarios: list[Scenario]


class DraftedScenario(Wire):
    """A scenario made without a wizard; one that is invalid refuses to be switched on and says why."""

    scenario: Scenario
    is_invalid: bool
    blueprint_version: int
    hook_url: str | None


class UsageDay(Wire):
    """What a scenario used on one day."""

    date: str
    operations: int
    data_transfer: int


class Waits(Wire):
    """What a run waits for before it begins, and until when at the latest."""

    reason: str
    until: str


class LogRow(Wire):
    """One execution; status 0 is waiting or running, 1 success, 2 warning, 3 error.

    ``waits`` is there only for a run that has not begun because a limit of usage is reached.
    """

    id: str
    imt_id: str
    status: int
    type: str
    instant: bool
    timestamp: str
    duration: int
    operations: int
    centicredits: int
    transfer: int
    team_id: int
    organization_id: int
    waits: Waits | None = None


class Log(LogRow):
    """One execution with what it answered, why it failed, and each module's input and output.

    ``name``, ``warnings``, ``tick`` and ``trace_id`` are there when there is something to tell: what the scenario
    called the run, what its owner should know, for a scheduled run when it was ``due`` and how many times before had no
    run, and the trace that the operator has of it.
    """

    outputs: JsonObject | None
    error: JsonObject | None
    steps: list[JsonObject]
    name: str | None = None
    warnings: list[str] | None = None
    tick: JsonObject | None = None
    trace_id: str | None = None


class Blueprint(Wire):
    """The blueprint a scenario runs now."""

    blueprint: JsonObject


class BlueprintVersion(Wire):
    """A stored version of a blueprint."""

    version: int
    created: str
    scenario_id: int
    blueprint: JsonObject


class BlueprintList(Wire):
    """The versions of a blueprint, newest first."""

    blueprints: list[BlueprintVersion]


class Interface(Wire):
    """What a scenario takes and gives; null when it declares nothing."""

    input: list[JsonObject] | None
    output: list[JsonObject] | None


class Customer(Wire):
    """A customer; ``externalId`` is the ``sub`` of its tokens."""

    id: int
    name: str
    organization_id: int
    team_id: int
    operations_limit: int | None
    external_id: str


class CustomerUsage(Wire):
    """This month so far (UTC). ``state`` is normal, near or reached; ``waiting`` runs begin when more may be used."""

    first_day: str
    until: str
    operations_limit: int | None
    executions: int
    operations: int
    data_transfer: int
    state: str
    waiting: int


class CustomerList(Wire):
    """Customers of the organization."""

    customers: list[Customer]


class Template(Wire):
    """A template; ``publicVersionId`` is what ``init`` takes, null before the first publishing."""

    id: int
    visibility: str
    version_id: int | None
    version_uid: int | None
    public_version_id: int | None
    name: dict[str, str]
    description: str
    language_code: str
    used_packages: list[str]
    scheduling: JsonObject
    is_instanceable: bool
    updated: str


class TemplateList(Wire):
    """Templates of the organization."""

    templates: list[Template]


class TemplateDraft(Wire):
    """A template's draft, ready to be edited."""

    id: int
    name: dict[str, str]
    description: str
    language_code: str
    used_packages: list[str]
    scheduling: JsonObject
    blueprint: JsonObject
    controller: JsonObject


class TemplatePublished(Wire):
    """A version that was just published."""

    id: int
    version_id: int
    version_uid: int
    public_version_id: int
    version: int


def integration(card: integrations.Integration) -> Integration:
    """Show one card."""
    facts: dict[str, Any] = {"name": card.name, "used_packages": card.used_packages, "scheduling": card.scheduling}
    if card.scenario_id is not None:
        facts |= {"id": card.scenario_id, "is_active": card.scenario_active}
    return Integration(
        scenario=ScenarioCard(**facts),
        state=IntegrationState(is_connected=card.scenario_id is not None),
        template=TemplateReference(version_uid=card.version_id, instanceable_id=card.version_id),
    )


def flow_status(flow: integrations.FlowState) -> FlowStatus:
    """Show how far a flow is."""
    result = None
    if flow.is_completed and flow.scenario_id is not None:
        result = FlowResult(scenarios=[FlowScenario(id=flow.scenario_id, description=flow.scenario_name or "")])
    return FlowStatus(
        flow=Flow(
            id=flow.flow_id,
            status_id=flow.status_id,
            status_message=flow.status_message,
            is_completed=flow.is_completed,
            result=result,
        )
    )


def scenario(value: scenarios.Scenario) -> Scenario:
    """Show a scenario. Nothing locks a scenario here, and one that waits for its turn shows that in its log."""
    return Scenario(
        id=value.id,
        name=value.name,
        is_active=value.is_active,
        islocked=False,
        is_paused=value.is_paused,
        used_packages=list(value.used_packages),
        scheduling=value.scheduling,
        iswaiting=False,
        next_exec=None if value.next_run_at is None else instant(value.next_run_at),
    )


def log_row(execution: executions.Execution, of: scenarios.Scenario, organization_id: OrganizationId) -> LogRow:
    """Show one execution."""
    return LogRow(**_log_facts(execution, of, organization_id))


def log(detail: executions.ExecutionDetail, of: scenarios.Scenario, organization_id: OrganizationId) -> Log:
    """Show one execution with everything known of it."""
    facts = _log_facts(detail.execution, of, organization_id)
    more: dict[str, Any] = {
        "name": detail.name,
        "warnings": list(detail.warnings),
        "tick": detail.tick,
        "trace_id": detail.trace_id,
    }
    told = {name: value for name, value in more.items() if value}
    return Log(**facts, **told, outputs=detail.outputs, error=detail.error, steps=detail.steps)


def _log_facts(execution: executions.Execution, of: scenarios.Scenario, organization_id: OrganizationId) -> JsonObject:
    waits = execution.waits_until
    told = {} if waits is None else {"waits": Waits(reason=_OVER_LIMIT, until=instant(waits))}
    return {
        **told,
        "id": execution.id,
        "imt_id": execution.id,
        "status": execution.status,
        "type": "manual" if execution.origin == "manual" else "auto",
        "instant": execution.origin == "webhook",
        "timestamp": instant(execution.created_at),
        "duration": execution.duration_ms,
        "operations": execution.operations,
        "centicredits": execution.operations * CENTICREDITS,
        "transfer": execution.transfer,
        "team_id": of.team_id,
        "organization_id": organization_id,
    }


def usage_day(day: executions.UsageDay) -> UsageDay:
    """Show one day."""
    return UsageDay(date=day.date.isoformat(), operations=day.operations, data_transfer=day.data_transfer)


def blueprint_version(version: scenarios.BlueprintVersion, scenario_id: int) -> BlueprintVersion:
    """Show one version."""
    return BlueprintVersion(
        version=version.version,
        created=instant(version.created_at),
        scenario_id=scenario_id,
        blueprint=version.blueprint,
    )


def customer(value: customers.Customer) -> Customer:
    """Show a customer."""
    return Customer(
        id=value.id,
        name=value.name,
        organization_id=value.organization_id,
        team_id=value.team_id,
        operations_limit=value.operations_limit,
        external_id=value.external_id,
    )


def customer_usage(value: usage.Month) -> CustomerUsage:
    """Show how a customer stands this month."""
    return CustomerUsage(
        first_day=value.first_day.isoformat(),
        until=instant(value.until),
        operations_limit=value.limits.operations,
        executions=value.executions,
        operations=value.operations,
        data_transfer=value.data_transfer,
        state=value.state,
        waiting=value.waiting,
    )


def template(value: templates.Template) -> Template:
    """Show a template."""
    published = value.published_version_id
    return Template(
        id=value.id,
        visibility=value.visibility,
        version_id=published,
        version_uid=published,
        public_version_id=published,
        name={value.language: value.name},
        description=value.description,
        language_code=value.language,
        used_packages=list(value.used_packages),
        scheduling=value.scheduling,
        is_instanceable=published is not None,
        updated=instant(value.updated_at),
    )


def template_draft(value: templates.TemplateVersion) -> TemplateDraft:
    """Show a draft."""
    return TemplateDraft(
        id=value.template_id,
        name={value.language: value.name},
        description=value.description,
        language_code=value.language,
        used_packages=list(value.used_packages),
        scheduling=value.scheduling,
        blueprint=value.blueprint,
        controller=value.controller,
    )


def template_published(value: templates.TemplateVersion) -> TemplatePublished:
    """Show what was published."""
    return TemplatePublished(
        id=value.template_id,
        version_id=value.id,
        version_uid=value.id,
        public_version_id=value.id,
        version=value.number,
    )


def instant(moment: datetime) -> str:
    """Write a moment the way browsers do: UTC, milliseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
