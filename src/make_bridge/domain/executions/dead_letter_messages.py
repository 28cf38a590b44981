"""What can be asked of dead letters, and done with them."""

from datetime import datetime

from make_bridge.kernel.ids import ExecutionId, JobId, ScenarioId, TeamId
from make_bridge.kernel.messages import Command, Query, message


@message
class DeadLetterRecord:
    """An execution or a job that was given up, or the timer of an incomplete execution.

    ``id`` is that of the execution, the job or the record; ``kind`` is the type of a job. Work of the organization has
    no team.
    """

    id: str
    team_id: TeamId | None
    scenario_id: ScenarioId | None
    kind: str
    reason: str
    attempts: int
    last_node: str | None
    created_at: datetime
    replayed_at: datetime | None
    replayed_as: str | None


@message
class ListDeadLetters(Query[list[DeadLetterRecord]]):
    """Dead letters, the newest execution first."""

    scenario_id: ScenarioId | None = None
    with_replayed: bool = False
    limit: int = 100
    offset: int = 0


@message
class Replayed:
    """What was begun: executions by their new ids, jobs by their own. ``last`` is the last letter looked at."""

    executions: tuple[ExecutionId, ...]
    jobs: tuple[JobId, ...]
    looked_at: int
    last: str | None


@message
class ReplayDeadLetters(Command[Replayed]):
    """Begin anew what was given up: that of ``ids``, or a range of all that waits, in the order of ids.

    An execution becomes one of its own, a job goes on as itself with all its tries.
    """

    ids: tuple[str, ...] | None = None
    scenario_id: ScenarioId | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100
    after: str | None = None
    """Of a range: only letters with ids behind this one."""


@message
class ReplayRangeOfDeadLetters(Command[JobId]):
    """Begin anew whatever was given up in a time, however much it is, by a job; answered with the job's id."""

    scenario_id: ScenarioId | None = None
    since: datetime | None = None
    until: datetime | None = None
