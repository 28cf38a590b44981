"""Jobs (``/jobs``, ``/job-batches``): what works in the background, how far it is; cancel, try again. An extension."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from make_bridge.domain.jobs.messages import CancelJob, GetJob, GetJobBatch, Job, JobBatch, ListJobs, RetryJob
from make_bridge.domain.jobs.model import JobState, is_job_id
from make_bridge.domain.jobs.views import MOST
from make_bridge.faces.api_v2.dependencies import ApiDependencies
from make_bridge.faces.api_v2.operations import Operation, access, respond
from make_bridge.faces.api_v2.paging import CurrentPage, narrowed
from make_bridge.faces.api_v2.parameters import one_of, text
from make_bridge.faces.edge.gates import CurrentCall
from make_bridge.faces.portal import wire
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import BatchId, JobId

_USUAL: Final = 100
_LONGEST_TYPE: Final = 200
_STATES: Final = frozenset(state.value for state in JobState)
_FILTERS: Final = (
    one_of("state", "Jobs in one state.", *_STATES),
    text("type", "Jobs of one type.", longest=_LONGEST_TYPE),
    text("batchId", "Jobs of one batch.", longest=32),
)
JsonObject = dict[str, Any]


def _read_id(text: object) -> JobId:
    if isinstance(text, str) and is_job_id(plain := text.replace("-", "").lower()):
        return JobId(plain)
    raise NotFound("There is no such job: its id is 32 hexadecimal characters.")


JobPath = Annotated[JobId, BeforeValidator(_read_id)]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRoutes:
    """The routes of ``/jobs`` and ``/job-batches``."""

    api: ApiDependencies

    def operations(self) -> list[Operation]:
        """Return the table."""
        size = self.api.bodies.api
        read, write = access("jobs:read", size), access("jobs:write", size)
        one = "/jobs/{job_id}"
        return [
            Operation(method="GET", path="/jobs", endpoint=self.list_jobs, access=read, query=_FILTERS),
            Operation(method="GET", path=one, endpoint=self.get_job, access=read),
            Operation(method="POST", path=f"{one}/cancel", endpoint=self.cancel_job, access=write),
            Operation(method="POST", path=f"{one}/retry", endpoint=self.retry_job, access=write),
            Operation(method="GET", path="/job-batches/{batch_id}", endpoint=self.get_job_batch, access=read),
        ]

    async def list_jobs(self, request: Request, call: CurrentCall, page: CurrentPage) -> Response:
        """List jobs, newest first, of a ``state``, ``type`` or ``batchId``."""
        if page.sort_by not in {None, "createdAt"}:
            raise InvalidInput("Jobs can be sorted by createdAt.", code="invalid_page")
        chosen = page if page.direction else page.newest_first()
        limit = _USUAL if page.limit is None else min(page.limit, MOST)
        query = ListJobs(
            state=_state(request),
            type=_type(request),
            batch_id=_batch(request),
            newest_first=chosen.direction == "desc",
            limit=limit,
            offset=page.offset,
        )
        found = await self.api.queries.ask(call.context, query)
        pg = {"sortBy": "createdAt", "sortDir": chosen.direction, "limit": limit, "offset": page.offset}
        return respond({"jobs": [narrowed(_row(job), page) for job in found], "pg": pg})

    async def get_job(self, job_id: JobPath, call: CurrentCall) -> Response:
        """Show one job."""
        return respond({"job": _row(await self.api.queries.ask(call.context, GetJob(job_id=job_id)))})

    async def cancel_job(self, job_id: JobPath, call: CurrentCall) -> Response:
        """Cancel a job: a waiting one at once, a running one within seconds."""
        state = await self.api.commands.execute(call.context, CancelJob(job_id=job_id))
        return respond({"job": {"id": job_id, "state": state, "cancelRequested": True}})

    async def retry_job(self, job_id: JobPath, call: CurrentCall) -> Response:
        """Begin a failed or cancelled job again, with all its tries."""
        await self.api.commands.execute(call.context, RetryJob(job_id=job_id))
        return respond({"job": {"id": job_id, "state": JobState.WAITING.value}})

    async def get_job_batch(self, batch_id: JobPath, call: CurrentCall) -> Response:
        """Show one batch of jobs; ``/jobs?batchId=`` lists its jobs."""
        batch = await self.api.queries.ask(call.context, GetJobBatch(batch_id=BatchId(batch_id)))
        return respond({"jobBatch": _batch_row(batch)})


def _state(request: Request) -> str | None:
    state = request.query_params.get("state")
    if state is not None and state not in _STATES:
        raise InvalidInput(f"state is one of {', '.join(sorted(_STATES))}.", code="invalid_page")
    return state


def _type(request: Request) -> str | None:
    kind = request.query_params.get("type")
    if kind is not None and (len(kind) > _LONGEST_TYPE or "\0" in kind):
        raise InvalidInput("type is the name of a type of jobs.", code="invalid_page")
    return kind


def _batch(request: Request) -> BatchId | None:
    batch_id = request.query_params.get("batchId")
    if batch_id is None:
        return None
    if not is_job_id(batch_id):
        raise InvalidInput("batchId is 32 hexadecimal characters.", code="invalid_page")
    return BatchId(batch_id)


def _row(job: Job) -> JsonObject:
    return {
        "id": job.id,
        "type": job.type,
        "teamId": job.team_id,
        "batchId": job.batch_id,
        "state": job.state,
        "tries": job.tries,
        "error": job.error or None,
        "progress": job.progress,
        "note": job.note or None,
        "result": job.result,
        "cancelRequested": job.cancel_requested,
        "createdAt": wire.instant(job.created_at),
        "startedAt": None if job.started_at is None else wire.instant(job.started_at),
        "finishedAt": None if job.finished_at is None else wire.instant(job.finished_at),
    }


def _batch_row(batch: JobBatch) -> JsonObject:
    return {
        "id": batch.id,
        "total": batch.total,
        "pending": batch.pending,
        "completed": batch.completed,
        "failed": batch.failed,
        "cancelled": batch.cancelled,
        "createdAt": wire.instant(batch.created_at),
        "finishedAt": None if batch.finished_at is None else wire.instant(batch.finished_at),
    }
