"""What can be asked of jobs, and done with them. Payloads are not shown: they belong to the part that made the job."""

from datetime import datetime

from make_bridge.kernel.ids import BatchId, JobId, TeamId
from make_bridge.kernel.messages import Command, Query, message


@message
class Job:
    """One job; ``team_id`` is None for work of the organization, ``result`` is a JSON value where there is one."""

    id: JobId
    type: str
    team_id: TeamId | None
    batch_id: BatchId | None
    state: str
    tries: int
    error: str
    progress: int
    note: str
    result: object
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@message
class JobBatch:
    """A batch with how many of its jobs stand how."""

    id: BatchId
    total: int
    pending: int
    completed: int
    failed: int
    cancelled: int
    created_at: datetime
    finished_at: datetime | None


@message
class ListJobs(Query[list[Job]]):
    """Jobs of the organization (or the team it is narrowed to) in the order they were made."""

    state: str | None = None
    type: str | None = None
    batch_id: BatchId | None = None
    newest_first: bool = True
    limit: int = 100
    offset: int = 0


@message
class GetJob(Query[Job]):
    """One job."""

    job_id: JobId


@message
class GetJobBatch(Query[JobBatch]):
    """One batch; its jobs are listed by its id."""

    batch_id: BatchId


@message
class CancelJob(Command[str]):
    """End a waiting job, ask a running one to end; answered with its state then."""

    job_id: JobId


@message
class RetryJob(Command[JobId]):
    """Begin a failed or cancelled job again, with all its tries."""

    job_id: JobId
