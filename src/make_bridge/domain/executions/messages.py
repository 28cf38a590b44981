"""What can be asked of executions."""

from datetime import date, datetime
from typing import Any, ClassVar

from make_bridge.kernel.ids import ExecutionId, ScenarioId
from make_bridge.kernel.messages import Command, Event, Query, message

JsonObject = dict[str, Any]


@message
class RunScenario(Command[ExecutionId]):
    """Start one execution now; the caller may then wait for its outcome, or have it told to ``callback_url``."""

    scenario_id: ScenarioId
    inputs: JsonObject
    origin: str = "manual"
    callback_url: str | None = None


@message
class ReplayExecution(Command[ExecutionId]):
    """Start a scenario anew with what an earlier execution was started with, as the scenario is now."""

    scenario_id: ScenarioId
    execution_id: ExecutionId


@message
class Execution:
    """One run: status 0 is waiting or running, 1 success, 2 warning, 3 error."""

    id: ExecutionId
    scenario_id: ScenarioId
    status: int
    origin: str
    created_at: datetime
    duration_ms: int
    operations: int
    transfer: int
    waits_until: datetime | None = None
    """Of a run that has not begun because a limit of usage is reached: when it may start at the latest."""


@message
class ExecutionDetail:
    """One run with what it answered, why it failed and every module's input and output."""

    execution: Execution
    outputs: JsonObject | None
    error: JsonObject | None
    steps: list[JsonObject]
    name: str | None = None
    warnings: tuple[str, ...] = ()
    tick: JsonObject | None = None
    """Of a scheduled run: when it was ``due``, and how many ticks before had no run: ``missed``, ``skipped``."""
    trace_id: str | None = None
    """The trace it belongs to, where one is kept: what to ask the collector's pages for."""


@message
class ListExecutions(Query[list[Execution]]):
    """A scenario's executions, newest first; ``before`` continues a page."""

    scenario_id: ScenarioId
    before: ExecutionId | None = None
    limit: int = 50


@message
class GetExecution(Query[ExecutionDetail]):
    """One execution of a scenario."""

    scenario_id: ScenarioId
    execution_id: ExecutionId


@message
class UsageDay:
    """What a scenario used on one day, in the organization's calendar (UTC)."""

    date: date
    operations: int
    data_transfer: int


@message
class GetUsage(Query[list[UsageDay]]):
    """A scenario's usage by day over the last thirty days, every day present."""

    scenario_id: ScenarioId


@message
class ExecutionRequested(Event):
    """A run was asked for by hand or through an API, and waits in the queue."""

    wire_name: ClassVar[str] = "execution.requested.v1"
    execution_id: str
    scenario_id: int
