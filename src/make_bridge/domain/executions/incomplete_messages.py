"""What can be asked of incomplete executions, and what happens to them and to runs that end badly."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from make_bridge.domain.executions.messages import Execution
from make_bridge.kernel.ids import ExecutionId, OrganizationId, ScenarioId
from make_bridge.kernel.messages import Command, Event, Query, message

JsonObject = dict[str, Any]


@message
class IncompleteExecution:
    """A bundle that stopped at a module and waits: for its next attempt, or for a person."""

    id: str
    scenario_id: ScenarioId
    organization_id: OrganizationId
    execution_id: ExecutionId
    error_type: str
    reason: str
    module_id: int
    size: int
    retry: bool
    attempts: int
    next_attempt_at: datetime | None
    is_retrying: bool
    resolved: bool
    created_at: datetime
    possibly_done: bool = False
    """Its process died during a call that cannot be repeated blindly: a person says whether it was done."""
    answer: str | None = None
    """What was said: ``done`` or ``not_done``."""
    ordering_key: str | None = None
    """The key that waits for it; the empty text is the whole scenario."""
    runs_behind: int = 0
    """How many runs wait until it is resolved or given up; counting stops at a thousand."""


@message
class IncompleteDetail:
    """One record with its scenario's name."""

    record: IncompleteExecution
    scenario_name: str


@message
class ListIncompleteExecutions(Query[list[IncompleteExecution]]):
    """A scenario's incomplete executions, newest first."""

    scenario_id: ScenarioId
    limit: int = 10_000


@message
class GetIncompleteExecution(Query[IncompleteDetail]):
    """One of them."""

    record_id: str


@message
class GetIncompleteBundles(Query[dict[int, object]]):
    """The bundles its module can see, by module, as JSON. Refused for confidential scenarios."""

    record_id: str


@message
class GetIncompleteBlueprint(Query[JsonObject]):
    """The blueprint it goes on with: that of its run, or the edited one."""

    record_id: str


@message
class ListIncompleteAttempts(Query[list[Execution]]):
    """The executions that tried it again, newest first."""

    record_id: str


@message
class RetryIncompleteExecution(Command[str]):
    """Try one again now, whatever its timer says."""

    record_id: str


@message
class RetryIncompleteExecutions(Command[list[str]]):
    """Try several of a scenario again now; ``ids`` None means all."""

    scenario_id: ScenarioId
    ids: tuple[str, ...] | None = None
    except_ids: tuple[str, ...] = ()


@message
class EditIncompleteExecution(Command[IncompleteExecution]):
    """Change the record's own blueprint, the module it goes on at, or stored bundles; the scenario stays as it is."""

    record_id: str
    blueprint: JsonObject | None = None
    module_id: int | None = None
    bundles: Mapping[int, object] | None = None


@message
class AnswerIncompleteExecution(Command[IncompleteExecution]):
    """Say of a call that was possibly done whether it was, and go on.

    If it was, with ``output`` as what the module gave; if not, the call is made again, with the key it had.
    """

    record_id: str
    done: bool
    output: JsonObject | None = None


@message
class DeleteIncompleteExecutions(Command[list[str]]):
    """Give several of a scenario up; ``ids`` None means all. Those that are being tried right now stay."""

    scenario_id: ScenarioId
    ids: tuple[str, ...] | None = None
    except_ids: tuple[str, ...] = ()


@message
class ExecutionFailed(Event):
    """A run ended with an error. The message is left out for confidential scenarios."""

    wire_name: ClassVar[str] = "execution.failed.v1"
    execution_id: str
    scenario_id: int
    error: str
    message: str


@message
class ExecutionWarned(Event):
    """A run ended with a warning."""

    wire_name: ClassVar[str] = "execution.warned.v1"
    execution_id: str
    scenario_id: int


@message
class IncompleteExecutionStored(Event):
    """A bundle could not go on and was kept; ``retries``: it is tried again by itself."""

    wire_name: ClassVar[str] = "incomplete_execution.stored.v1"
    incomplete_execution_id: str
    scenario_id: int
    execution_id: str
    error: str
    retries: bool


@message
class IncompleteExecutionResolved(Event):
    """A retry went through."""

    wire_name: ClassVar[str] = "incomplete_execution.resolved.v1"
    incomplete_execution_id: str
    scenario_id: int
    execution_id: str


@message
class IncompleteExecutionsRetried(Event):
    """Somebody asked that records be tried again now."""

    wire_name: ClassVar[str] = "incomplete_execution.retried.v1"
    scenario_id: int
    incomplete_execution_ids: tuple[str, ...]


@message
class IncompleteExecutionEdited(Event):
    """Somebody changed what a record goes on with."""

    wire_name: ClassVar[str] = "incomplete_execution.edited.v1"
    incomplete_execution_id: str
    scenario_id: int


@message
class IncompleteExecutionAnswered(Event):
    """Somebody said whether a call was done; the record goes on at once."""

    wire_name: ClassVar[str] = "incomplete_execution.answered.v1"
    incomplete_execution_id: str
    scenario_id: int
    done: bool


@message
class IncompleteExecutionsDeleted(Event):
    """Somebody gave records up; a scenario that runs in order goes on when none is left."""

    wire_name: ClassVar[str] = "incomplete_execution.deleted.v1"
    scenario_id: int
    incomplete_execution_ids: tuple[str, ...]


@message
class ScenarioPaused(Event):
    """A scenario stands still until a person switches it on again; ``cause`` is the rule that did it."""

    wire_name: ClassVar[str] = "scenario.paused.v1"
    scenario_id: int
    cause: str
