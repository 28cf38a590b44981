"""Every statement on jobs but settling: made with their queue rows, begun, cancelled, begun again, forgotten.

All take the caller's transaction. Rows are locked in one order everywhere: queue, job, batch.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import psycopg
from psycopg.rows import DictRow

from make_bridge.kernel.errors import Conflict, NotFound
from make_bridge.kernel.ids import BatchId, JobId, OrganizationId, TeamId, new_job_id
from make_bridge.kernel.messages import Event
from make_bridge.platform.database.transactions import ReadTx, WriteTx
from make_bridge.platform.observability.tracing.spans import carried
from make_bridge.platform.queue.job_messages import BatchCompleted
from make_bridge.platform.queue.jobs import NewJob, lane_of

_ENQUEUE: Final = """
WITH made AS (
    INSERT INTO shard.jobs (id, organization_id, team_id, type, class, payload, unique_key, batch_id, trace_context)
    VALUES (%(id)s, %(organization)s, %(team)s, %(type)s, %(class)s, %(payload)s, %(key)s, %(batch)s, %(trace)s)
    ON CONFLICT (organization_id, type, unique_key) WHERE unique_key IS NOT NULL AND finished_at IS NULL DO NOTHING
    RETURNING id
)
INSERT INTO shard.queue (id, organization_id, team_id, kind, class, ready_at)
SELECT id, %(organization)s, %(lane)s, %(type)s, %(class)s,
       greatest(now() + make_interval(secs => %(delay)s), %(not_before)s::timestamptz)
FROM made RETURNING id
"""
_FIND_UNIQUE: Final = """
SELECT id FROM shard.jobs
WHERE organization_id = %s AND type = %s AND unique_key = %s AND finished_at IS NULL
"""
_NEW_BATCH: Final = """
INSERT INTO shard.job_batches (id, organization_id, team_id, tells) VALUES (%s, %s, %s, %s)
"""
_JOIN_BATCH: Final = """
UPDATE shard.job_batches SET total = total + %s, pending = pending + %s
WHERE id = %s AND organization_id = %s AND finished_at IS NULL
"""
_COUNT_DOWN: Final = """
UPDATE shard.job_batches SET pending = pending - %s, finished_at = CASE WHEN pending = %s THEN now() END
WHERE id = %s AND organization_id = %s RETURNING total, tells, pending
"""
_ENDS: Final = """
SELECT count(*) FILTER (WHERE state = 'completed') AS completed, count(*) FILTER (WHERE state = 'failed') AS failed,
       count(*) FILTER (WHERE state = 'cancelled') AS cancelled
FROM shard.jobs WHERE batch_id = %s AND organization_id = %s
"""
# That a job runs is told by its lease alone: writing it down as well would cost each job a version of its row.
_BEGIN: Final = """
SELECT j.id, j.organization_id, j.team_id, j.type, j.payload, j.tries, j.batch_id, j.created_at, j.cancel_requested,
       j.trace_context
FROM unnest(%s::uuid[], %s::bigint[]) AS mine(id, fence)
JOIN shard.queue q ON q.id = mine.id AND q.fence = mine.fence
JOIN shard.jobs j ON j.id = q.id AND j.finished_at IS NULL
"""
_PROGRESS: Final = """
UPDATE shard.jobs j SET progress = %s, note = %s, started_at = now() - make_interval(secs => %s) FROM shard.queue q
WHERE j.id = %s AND q.id = j.id AND q.fence = %s AND j.finished_at IS NULL
"""
_TO_CANCEL: Final = "SELECT id FROM shard.jobs WHERE id = ANY(%s::uuid[]) AND cancel_requested"
_IS_SETTLED: Final = "SELECT 1 AS is_there FROM shard.jobs WHERE id = %s AND fence = %s"
_LOCK_QUEUED: Final = """
SELECT fence, lease_until IS NOT NULL AS is_held FROM shard.queue WHERE id = %s AND organization_id = %s FOR UPDATE
"""
_LOCK: Final = """
SELECT id, team_id, type, class, state, unique_key, batch_id, is_counted, fence FROM shard.jobs
WHERE id = %(id)s AND organization_id = %(organization)s AND (%(team)s::bigint IS NULL OR team_id = %(team)s)
FOR UPDATE
"""
_UNQUEUE: Final = "DELETE FROM shard.queue WHERE id = %s AND organization_id = %s"
_FLAG: Final = "UPDATE shard.jobs SET cancel_requested = true WHERE id = %s AND organization_id = %s"
_CANCEL: Final = """
UPDATE shard.jobs SET state = 'cancelled', cancel_requested = true, fence = %s, finished_at = now(),
    is_counted = batch_id IS NOT NULL
WHERE id = %s AND organization_id = %s
"""
_REVIVE: Final = """
UPDATE shard.jobs SET state = 'waiting', tries = 0, progress = 0, note = '', cancel_requested = false,
    started_at = NULL, finished_at = NULL
WHERE id = %s AND organization_id = %s
"""
_QUEUE_AGAIN: Final = """
INSERT INTO shard.queue (id, organization_id, team_id, kind, class, fence) VALUES (%s, %s, %s, %s, %s, %s)
"""
_LETTER_REPLAYED: Final = """
UPDATE shard.dead_letters SET replayed_at = now(), replayed_as = id WHERE id = %s AND organization_id = %s
"""
# A failed job stays as long as the letter from which it can be replayed.
_FORGET: Final = """
DELETE FROM shard.jobs WHERE id IN (
    SELECT j.id FROM shard.jobs j
    WHERE j.finished_at < now() - make_interval(days => %s)
      AND NOT (j.state = 'failed' AND EXISTS (SELECT FROM shard.dead_letters d WHERE d.id = j.id))
    LIMIT 1000)
"""
_FORGET_BATCHES: Final = """
DELETE FROM shard.job_batches WHERE id IN (
    SELECT b.id FROM shard.job_batches b
    WHERE b.finished_at < now() - make_interval(days => %s)
      AND NOT EXISTS (SELECT FROM shard.jobs j WHERE j.batch_id = b.id)
    LIMIT 1000)
"""
_TELL: Final = """
INSERT INTO shard.outbox (organization_id, type, subject, payload, trace_context)
SELECT t.*, %s::text FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bytea[]) AS t
"""
_RACES: Final = 5
Told = tuple[OrganizationId, str, Event]


def plain(text: str, most: int) -> str:
    """Return text as it can be stored: cut, without what PostgreSQL does not take."""
    return text[:most].replace("\0", "").encode("utf-8", "replace").decode()


async def enqueue(tx: WriteTx, job: NewJob, queue_class: int) -> tuple[JobId, bool]:
    """Write a job with its queue row, or find the unfinished one of its key; say whether it was made."""
    parameters = {
        "id": new_job_id(),
        "organization": job.organization_id,
        "team": job.team_id,
        "lane": lane_of(job.organization_id, job.team_id),
        "type": job.type,
        "class": queue_class,
        "payload": job.payload,
        "key": job.unique_key,
        "batch": job.batch_id,
        "delay": job.delay_seconds,
        "not_before": job.not_before,
        "trace": job.trace_context or carried(),
    }
    # The one that was in the way may end before it is looked for: then there is room again.
    for _ in range(_RACES):
        made = await tx.one(_ENQUEUE, parameters)
        if made is not None:
            return JobId(made["id"].hex), True
        found = await tx.one(_FIND_UNIQUE, (job.organization_id, job.type, job.unique_key))
        if found is not None:
            return JobId(found["id"].hex), False
    raise Conflict("Other jobs of the same key begin and end too fast: try again.", code="job_exists")


async def new_batch(
    tx: WriteTx, batch_id: BatchId, organization_id: OrganizationId, team_id: TeamId | None, *, tells: bool
) -> None:
    """Write an empty batch."""
    await tx.execute(_NEW_BATCH, (batch_id, organization_id, team_id, tells))


async def join_batch(tx: WriteTx, batch_id: BatchId, organization_id: OrganizationId, jobs: int) -> None:
    """Count jobs into a batch; raises Conflict for one that has ended."""
    if not await tx.execute(_JOIN_BATCH, (jobs, jobs, batch_id, organization_id)):
        raise Conflict("This batch has ended, or is none of this organization: no job can join it.", code="batch_ended")


async def count_down(tx: WriteTx, batch_id: BatchId, organization_id: OrganizationId, jobs: int) -> list[Told]:
    """Count jobs of a batch that have ended; return what is to be told when these were the last."""
    batch = await tx.one(_COUNT_DOWN, (jobs, jobs, batch_id, organization_id))
    if batch is None or batch["pending"] or not batch["tells"]:
        return []
    ends = await tx.one(_ENDS, (batch_id, organization_id))
    counts = {} if ends is None else ends
    event = BatchCompleted(batch_id=batch_id, total=batch["total"], **counts)
    return [(organization_id, f"batch/{batch_id}", event)]


async def begin(tx: WriteTx, held: Sequence[tuple[str, int]]) -> dict[str, DictRow]:
    """Return the jobs of tries that begin, by id; one whose lease has passed on is missing."""
    rows = await tx.all(_BEGIN, ([job_id for job_id, _ in held], [fence for _, fence in held]))
    return {row["id"].hex: row for row in rows}


async def note_progress(tx: WriteTx, job_id: JobId, fence: int, percent: int, note: str, seconds: float) -> bool:
    """Keep how far a job is after so many seconds; False when the lease has passed on."""
    return await tx.execute(_PROGRESS, (percent, note, seconds, job_id, fence)) > 0


async def to_cancel(tx: ReadTx, ids: Sequence[str]) -> list[str]:
    """Return those of running jobs that somebody wants to end."""
    return [row["id"].hex for row in await tx.all(_TO_CANCEL, (list(ids),))]


async def is_settled(tx: ReadTx, job_id: JobId, fence: int) -> bool:
    """Say whether what this fence settled is stored."""
    return await tx.one(_IS_SETTLED, (job_id, fence)) is not None


async def cancel(tx: WriteTx, organization_id: OrganizationId, team_id: TeamId | None, job_id: JobId) -> str:
    """End a waiting job now, ask a running one to end; return its state. Raises NotFound, Conflict."""
    queued = await tx.one(_LOCK_QUEUED, (job_id, organization_id))
    job = await _locked(tx, organization_id, team_id, job_id)
    if job["state"] == "cancelled":
        return "cancelled"
    if queued is None:
        raise Conflict(f"This job is {job['state']}: only one that is not finished can be cancelled.", code="finished")
    if queued["is_held"]:
        await tx.execute(_FLAG, (job_id, organization_id))
        return "running"
    await tx.execute(_UNQUEUE, (job_id, organization_id))
    await tx.execute(_CANCEL, (queued["fence"], job_id, organization_id))
    if job["batch_id"] is not None and not job["is_counted"]:
        await tell(tx, await count_down(tx, BatchId(job["batch_id"].hex), organization_id, 1))
    return "cancelled"


async def revive(tx: WriteTx, organization_id: OrganizationId, team_id: TeamId | None, job_id: JobId) -> None:
    """Begin a failed or cancelled job again with all its tries; raises NotFound, Conflict."""
    job = await _locked(tx, organization_id, team_id, job_id)
    if job["state"] not in {"failed", "cancelled"}:
        raise Conflict(f"This job is {job['state']}: only a failed or cancelled one can be tried again.", code="state")
    taken = "Another job of the same type and key is unfinished: this one can be tried again when that has ended."
    if job["unique_key"] is not None:
        other = await tx.one(_FIND_UNIQUE, (organization_id, job["type"], job["unique_key"]))
        if other is not None:
            raise Conflict(taken, code="job_exists")
    try:
        await tx.execute(_REVIVE, (job_id, organization_id))
    except psycopg.errors.UniqueViolation as error:
        raise Conflict(taken, code="job_exists") from error
    lane = lane_of(organization_id, job["team_id"])
    # Above every fence that was ever given out, before it is claimed too: an old holder must not meet its own.
    fence = job["fence"] + 1
    await tx.execute(_QUEUE_AGAIN, (job_id, organization_id, lane, job["type"], job["class"], fence))
    await tx.execute(_LETTER_REPLAYED, (job_id, organization_id))


async def _locked(tx: WriteTx, organization_id: OrganizationId, team_id: TeamId | None, job_id: JobId) -> DictRow:
    job = await tx.one(_LOCK, {"id": job_id, "organization": organization_id, "team": team_id})
    if job is None:
        raise NotFound("There is no such job, or it is not kept any more.")
    return job


async def forget(tx: WriteTx, days: int) -> int:
    """Drop jobs that ended so many days ago, then batches without jobs; return how many jobs."""
    gone = await tx.execute(_FORGET, (days,))
    await tx.execute(_FORGET_BATCHES, (days,))
    return gone


async def tell(tx: WriteTx, told: Sequence[Told]) -> None:
    """Write events into the outbox."""
    if told:
        columns = (
            carried(),
            [organization_id for organization_id, _, _ in told],
            [event.wire_name for _, _, event in told],
            [subject for _, subject, _ in told],
            [msgspec.json.encode(event) for _, _, event in told],
        )
        await tx.execute(_TELL, columns)
