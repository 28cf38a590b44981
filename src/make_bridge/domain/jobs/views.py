"""What can be read of jobs. Who is bound to one team sees the jobs of that team."""

from typing import Any, Final

from make_bridge.domain.jobs import store
from make_bridge.domain.jobs.messages import GetJob, GetJobBatch, Job, JobBatch, ListJobs
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import BatchId, JobId
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx, Row
from make_bridge.platform.queue.jobs import shown_result

MOST: Final = 1000


async def list_jobs(tx: ReadTx, context: Context, query: ListJobs) -> list[Job]:
    """Answer ListJobs."""
    return [_job(row) for row in await store.list_jobs(tx, context.organization_id, context.team_id, query)]


async def get_job(tx: ReadTx, context: Context, query: GetJob) -> Job:
    """Answer GetJob; raises NotFound."""
    row = await store.get_job(tx, context.organization_id, context.team_id, query.job_id)
    if row is None:
        raise NotFound("There is no such job, or it is not kept any more.")
    return _job(row)


async def get_batch(tx: ReadTx, context: Context, query: GetJobBatch) -> JobBatch:
    """Answer GetJobBatch; raises NotFound."""
    row = await store.get_batch(tx, context.organization_id, context.team_id, query.batch_id)
    if row is None:
        raise NotFound("There is no such batch of jobs, or it is not kept any more.")
    return JobBatch(
        id=BatchId(row["id"].hex),
        total=row["total"],
        pending=row["pending"],
        completed=row["completed"],
        failed=row["failed"],
        cancelled=row["cancelled"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    read = "jobs:read"
    return [
        QueryRegistration(query=ListJobs, view=list_jobs, permission=read, may_lag=True),
        QueryRegistration(query=GetJob, view=get_job, permission=read),
        QueryRegistration(query=GetJobBatch, view=get_batch, permission=read),
    ]


def _job(row: Row) -> Job:
    return Job(
        id=JobId(row["id"].hex),
        type=row["type"],
        team_id=row["team_id"],
        batch_id=None if row["batch_id"] is None else BatchId(row["batch_id"].hex),
        state=row["state"],
        tries=row["tries"],
        error=row["error"],
        progress=row["progress"],
        note=row["note"],
        result=shown_result(bytes(row["result"])),
        cancel_requested=row["cancel_requested"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
