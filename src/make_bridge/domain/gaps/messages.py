"""What is told when a source falls silent, what can be asked, and what people may say of a webhook's rhythm."""

from datetime import datetime
from typing import ClassVar, Literal

from make_bridge.kernel.ids import HookId, OrganizationId, ScenarioId, TeamId
from make_bridge.kernel.messages import Command, Event, Query, message

Mode = Literal["learned", "expected", "ignored"]


@message
class Expectation:
    """What is expected of a webhook.

    ``learned`` from its calls, a call every ``seconds`` at least (``expected``), or nothing at all (``ignored``).
    """

    hook_id: HookId
    mode: Mode
    seconds: int | None = None


@message
class Gap:
    """How one source stands. ``state`` is one of heard, young, off, ignored, silent and late.

    Of a webhook ``silent_seconds`` is how long nothing was heard while it could have been, as of the last look, and
    ``patience_seconds`` after how much of that it is silent; None where nothing is expected.
    """

    kind: Literal["hook", "schedule"]
    organization_id: OrganizationId
    team_id: TeamId
    scenario_id: ScenarioId
    hook_id: HookId | None
    name: str
    state: str
    mode: Mode
    heard_at: datetime | None
    silent_seconds: int | None
    patience_seconds: int | None


@message
class ListGaps(Query[list[Gap]]):
    """The organization's sources with how they stand, those that are missed first; of a team when one is named."""

    team_id: TeamId | None = None
    limit: int = 1000


@message
class ExpectCalls(Command[Expectation]):
    """Say what is expected of a webhook; ``seconds`` belongs to the mode ``expected`` alone."""

    hook_id: HookId
    mode: Mode
    seconds: int | None = None


@message
class HookSilent(Event):
    """A webhook is not called any more although it used to be, or was expected to be. Told once, until it is called.

    ``silent_seconds`` counts the time in which calls could have come; ``expected_seconds`` is the longest pause it
    usually makes, or what somebody has said (``is_learned`` is false).
    """

    wire_name: ClassVar[str] = "hook.silent.v1"
    hook_id: int
    scenario_id: int
    team_id: int
    heard_at: datetime | None
    silent_seconds: int
    expected_seconds: int
    is_learned: bool


@message
class HookResumed(Event):
    """A webhook that was told to be silent is called again."""

    wire_name: ClassVar[str] = "hook.resumed.v1"
    hook_id: int
    scenario_id: int
    team_id: int
    silent_at: datetime
    heard_at: datetime


@message
class ScheduleLate(Event):
    """A scenario's time has come, and its run has not begun. Told once, until it has."""

    wire_name: ClassVar[str] = "schedule.late.v1"
    scenario_id: int
    team_id: int
    due_at: datetime
    late_seconds: int


@message
class ScheduleResumed(Event):
    """A scenario that was told to be late runs by its schedule again."""

    wire_name: ClassVar[str] = "schedule.resumed.v1"
    scenario_id: int
    team_id: int
    due_at: datetime
    late_at: datetime
