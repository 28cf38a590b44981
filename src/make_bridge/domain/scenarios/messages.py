"""What can be asked of scenarios, their blueprints and hooks, and what happens to them."""

from dataclasses import field
from datetime import datetime
from typing import Any, ClassVar, Literal

from make_bridge.domain.folders.messages import FolderId
from make_bridge.kernel.ids import HookId, ScenarioId, TeamId, TemplateVersionId
from make_bridge.kernel.messages import Command, Event, Query, message

JsonObject = dict[str, Any]


@message
class Scenario:
    """A scenario as every face shows it."""

    id: ScenarioId
    team_id: TeamId
    name: str
    is_active: bool
    is_paused: bool
    is_invalid: bool
    used_packages: tuple[str, ...]
    scheduling: JsonObject
    template_version_id: TemplateVersionId | None
    flow_id: str | None
    hook_id: HookId | None
    blueprint_version: int
    next_run_at: datetime | None
    created_at: datetime
    ordering_key: str | None = None
    """The expression whose text orders its runs."""


@message
class CreateScenario(Command[Scenario]):
    """Make a scenario from a blueprint; one with unknown modules is kept as a draft that refuses to activate.

    With ``make_hook`` a webhook is made for an instant first module and written into its parameters.
    """

    team_id: TeamId
    blueprint: JsonObject
    name: str | None = None
    scheduling: JsonObject | None = None
    template_version_id: TemplateVersionId | None = None
    flow_id: str | None = None
    hook_id: HookId | None = None
    make_hook: bool = True
    folder_id: FolderId | None = None


@message
class SaveBlueprint(Command[Scenario]):
    """Store a new blueprint version; runs in flight keep the one they began with."""

    scenario_id: ScenarioId
    blueprint: JsonObject


@message
class SetInterface(Command[Scenario]):
    """Declare other inputs and outputs: the next blueprint version, with nothing else changed.

    With ``expected`` only while that is still the scenario's revision.
    """

    scenario_id: ScenarioId
    input: list[JsonObject] | None
    output: list[JsonObject] | None
    expected: int | None = None


@message
class ActivateScenario(Command[ScenarioId]):
    """Switch on: from now on triggers start executions. Refused while the blueprint has errors."""

    scenario_id: ScenarioId


@message
class EditScenario(Command[Scenario]):
    """Rename or describe a scenario, change when it runs, move it, give it another blueprint: all or nothing.

    None stays; ``out_of_folder`` takes it out of the folder it stands in. With ``expected`` only while that is its
    revision.
    """

    scenario_id: ScenarioId
    name: str | None = None
    scheduling: JsonObject | None = None
    description: str | None = None
    blueprint: JsonObject | None = None
    folder_id: FolderId | None = None
    out_of_folder: bool = False
    expected: int | None = None


@message
class Ordering:
    """How a scenario's runs are ordered: by the text of an expression, or (``is_sequential``) all after each other."""

    scenario_id: ScenarioId
    expression: str | None
    is_sequential: bool


@message
class SetOrdering(Command[Ordering]):
    """Order the runs from now on by the text of an expression over the trigger's bundle; None orders them no more."""

    scenario_id: ScenarioId
    expression: str | None = None


@message
class GetOrdering(Query[Ordering]):
    """How a scenario's runs are ordered; with ``team_id`` only when it belongs to that team."""

    scenario_id: ScenarioId
    team_id: TeamId | None = None


@message
class DeactivateScenario(Command[ScenarioId]):
    """Switch off: no new executions start; those under way end."""

    scenario_id: ScenarioId


@message
class DeleteScenario(Command[None]):
    """Remove a scenario with its hook and blueprints."""

    scenario_id: ScenarioId


@message
class Hook:
    """A webhook; ``url`` is made by the face from ``token``."""

    id: HookId
    team_id: TeamId
    name: str
    token: str
    scenario_id: ScenarioId | None
    enabled: bool

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Hook({self.id})"


@message
class CreateHook(Command[Hook]):
    """Make an address for webhooks or mails; it is attached when a scenario takes it.

    ``data`` says how calls are presented: ``headers``, ``method``, ``stringify``, and ``learning``.
    """

    team_id: TeamId
    name: str
    type_name: str = "gateway-webhook"
    data: dict[str, bool] = field(default_factory=dict)


@message
class ListScenarios(Query[list[Scenario]]):
    """Scenarios of one team, or of the whole organization; newest last."""

    team_id: TeamId | None = None
    from_templates_only: bool = False
    after: int = 0
    limit: int = 1000


@message
class ScenarioFacts:
    """A scenario with what those who look after it are shown; ``incomplete`` is how many runs wait to be mended."""

    scenario: Scenario
    description: str
    edited_at: datetime
    incomplete: int
    folder_id: FolderId | None
    revision: int
    """Grows with every change."""


@message
class FindScenarios(Query[list[ScenarioFacts]]):
    """A part of the scenarios of one team, or of the whole organization, in order; ``ids`` narrows it to these."""

    team_id: TeamId | None = None
    ids: tuple[int, ...] | None = None
    is_active: bool | None = None
    folder_id: FolderId | None = None
    sort_by: Literal["id", "name"] = "id"
    is_descending: bool = False
    offset: int = 0
    limit: int = 10_000


@message
class DescribeScenario(Query[ScenarioFacts]):
    """One scenario with all its facts; with ``team_id`` only when it belongs to that team."""

    scenario_id: ScenarioId
    team_id: TeamId | None = None


@message
class GetScenario(Query[Scenario]):
    """One scenario; with ``team_id`` only when it belongs to that team."""

    scenario_id: ScenarioId
    team_id: TeamId | None = None


@message
class GetHook(Query[Hook]):
    """One hook."""

    hook_id: HookId


@message
class GetBlueprint(Query[JsonObject]):
    """The blueprint a scenario runs now, or one of its versions."""

    scenario_id: ScenarioId
    version: int | None = None


@message
class BlueprintVersion:
    """One stored version of a blueprint."""

    version: int
    created_at: datetime
    blueprint: JsonObject


@message
class ListBlueprints(Query[list[BlueprintVersion]]):
    """A scenario's blueprint versions, newest first."""

    scenario_id: ScenarioId
    limit: int = 100


@message
class StoredVersion:
    """That a version of a blueprint is stored, and since when."""

    version: int
    created_at: datetime


@message
class ListVersions(Query[list[StoredVersion]]):
    """Which versions of a scenario's blueprint there are, newest first."""

    scenario_id: ScenarioId
    limit: int = 1000


@message
class Interface:
    """A scenario's declared inputs and outputs; None when it declares none."""

    input: list[JsonObject] | None
    output: list[JsonObject] | None


@message
class GetInterface(Query[Interface]):
    """A scenario's inputs and outputs."""

    scenario_id: ScenarioId


@message
class ScenarioCreated(Event):
    """A scenario was made."""

    wire_name: ClassVar[str] = "scenario.created.v1"
    scenario_id: int
    team_id: int


@message
class ScenarioActivated(Event):
    """A scenario was switched on."""

    wire_name: ClassVar[str] = "scenario.activated.v1"
    scenario_id: int


@message
class ScenarioDeactivated(Event):
    """A scenario was switched off; ``cause`` is ``request`` or the rule that did it."""

    wire_name: ClassVar[str] = "scenario.deactivated.v1"
    scenario_id: int
    cause: str


@message
class ScenarioEdited(Event):
    """A scenario was renamed, or runs at other times."""

    wire_name: ClassVar[str] = "scenario.edited.v1"
    scenario_id: int


@message
class ScenarioDeleted(Event):
    """A scenario was removed."""

    wire_name: ClassVar[str] = "scenario.deleted.v1"
    scenario_id: int


@message
class BlueprintSaved(Event):
    """A scenario has a new blueprint version."""

    wire_name: ClassVar[str] = "scenario.blueprint_saved.v1"
    scenario_id: int
    version: int
