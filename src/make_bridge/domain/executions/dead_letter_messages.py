"""What can be asked of dead letters, and done with them."""

from datetime import datetime

from make_bridge.kernel.ids import ExecutionId, ScenarioId, TeamId
from make_bridge.kernel.messages import Command, Query, message


@message
class DeadLetterRecord:
    """An execution that was given up, or the timer of an incomplete one; ``id`` is the execution's or the record's."""

    id: str
    team_id: TeamId
    scenario_id: ScenarioId | None
    kind: str
    reason: str
    attempts: int
    last_node: str | None
    created_at: datetime
    replayed_at: datetime | None
    replayed_as: ExecutionId | None


@message
class ListDeadLetters(Query[list[DeadLetterRecord]]):
    """Dead letters, the newest execution first."""

    scenario_id: ScenarioId | None = None
    with_replayed: bool = False
    limit: int = 100


@message
class ReplayDeadLetters(Command[list[ExecutionId]]):
    """Begin given-up executions anew, as executions of their own: those of ``ids``, or a range of all that wait."""

    ids: tuple[str, ...] | None = None
    scenario_id: ScenarioId | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100
