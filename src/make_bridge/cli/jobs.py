"""``make-bridge jobs``: what works in the background. Works beside a server that runs."""

from typing import Annotated

import typer

from make_bridge.cli.operations import domain, operator
from make_bridge.cli.options import Config, DataDir, Json, Organization
from make_bridge.cli.output import as_facts, as_json, as_table, command, say
from make_bridge.domain.jobs.messages import CancelJob, GetJob, Job, ListJobs, RetryJob
from make_bridge.domain.jobs.model import JobState, is_job_id
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import JobId

Id = Annotated[str, typer.Argument(help="The job's id.")]


@command
async def list_jobs(
    *,
    organization: Organization,
    state: Annotated[JobState | None, typer.Option("--state", help="Only in this state.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only of this type.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 100,
    data_dir: DataDir = None,
    config: Config = None,
    as_json_: Json = False,
) -> None:
    """List jobs, the newest first."""
    query = ListJobs(state=None if state is None else state.value, type=type_, limit=limit)
    async with domain(data_dir, config) as opened:
        found = await opened.queries.ask(operator(organization), query)
    if as_json_:
        as_json([_facts(job) for job in found])
        return
    rows = [(job.id, job.type, job.team_id, job.state, job.tries, f"{job.progress} %", job.error) for job in found]
    as_table(("id", "type", "team", "state", "tries", "progress", "error"), rows)


@command
async def show_job(
    job_id: Id, *, organization: Organization, data_dir: DataDir = None, config: Config = None, as_json_: Json = False
) -> None:
    """Show one job."""
    async with domain(data_dir, config) as opened:
        job = await opened.queries.ask(operator(organization), GetJob(job_id=_id(job_id)))
    if as_json_:
        as_json(_facts(job))
    else:
        as_facts(_facts(job).items())


@command
async def cancel_job(
    job_id: Id, *, organization: Organization, data_dir: DataDir = None, config: Config = None, as_json_: Json = False
) -> None:
    """End a waiting job; a running one is asked to and ends within seconds."""
    async with domain(data_dir, config) as opened:
        state = await opened.commands.execute(operator(organization), CancelJob(job_id=_id(job_id)))
    if as_json_:
        as_json({"id": job_id, "state": state})
    else:
        say("Cancelled." if state == JobState.CANCELLED else "It runs, and is asked to end.")


@command
async def retry_job(
    job_id: Id, *, organization: Organization, data_dir: DataDir = None, config: Config = None, as_json_: Json = False
) -> None:
    """Begin a failed or cancelled job again, with all its tries."""
    async with domain(data_dir, config) as opened:
        await opened.commands.execute(operator(organization), RetryJob(job_id=_id(job_id)))
    if as_json_:
        as_json({"id": job_id, "state": JobState.WAITING.value})
    else:
        say("It waits for a worker again.")


def _id(text: str) -> JobId:
    if not is_job_id(text):
        raise NotFound("There is no such job: its id is 32 hexadecimal characters.")
    return JobId(text)


def _facts(job: Job) -> dict[str, object]:
    return {
        "id": job.id,
        "type": job.type,
        "teamId": job.team_id,
        "batchId": job.batch_id,
        "state": job.state,
        "tries": job.tries,
        "error": job.error,
        "progress": job.progress,
        "note": job.note,
        "result": job.result,
        "cancelRequested": job.cancel_requested,
        "createdAt": job.created_at.isoformat(),
        "startedAt": None if job.started_at is None else job.started_at.isoformat(),
        "finishedAt": None if job.finished_at is None else job.finished_at.isoformat(),
    }
