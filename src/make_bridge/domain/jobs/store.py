"""Every statement that reads jobs for people; what the queue does to them stands in ``platform/queue``."""

from typing import Final

from psycopg.rows import DictRow

from make_bridge.domain.jobs.messages import ListJobs
from make_bridge.kernel.ids import BatchId, JobId, OrganizationId, TeamId
from make_bridge.platform.database.transactions import ReadTx

_COLUMNS: Final = """
SELECT * FROM (
    SELECT j.id, j.organization_id, j.type, j.team_id, j.batch_id, j.tries, j.error, j.progress, j.note, j.result,
           j.cancel_requested, j.created_at, j.started_at, j.finished_at,
           CASE WHEN j.finished_at IS NULL AND q.lease_until IS NOT NULL THEN 'running' ELSE j.state END AS state
    FROM shard.jobs j LEFT JOIN shard.queue q ON q.id = j.id AND q.organization_id = j.organization_id) job
"""
_MINE: Final = " WHERE organization_id = %(organization)s AND (%(team)s::bigint IS NULL OR team_id = %(team)s)"
_FILTER: Final = """
  AND (%(state)s::text IS NULL OR state = %(state)s) AND (%(type)s::text IS NULL OR type = %(type)s)
  AND (%(batch)s::uuid IS NULL OR batch_id = %(batch)s::uuid)
"""
_NEWEST: Final = _COLUMNS + _MINE + _FILTER + " ORDER BY id DESC LIMIT %(limit)s OFFSET %(offset)s"
_OLDEST: Final = _COLUMNS + _MINE + _FILTER + " ORDER BY id LIMIT %(limit)s OFFSET %(offset)s"
_ONE: Final = _COLUMNS + _MINE + " AND id = %(id)s"
_BATCH: Final = """
SELECT b.id, b.total, b.pending, b.created_at, b.finished_at, n.completed, n.failed, n.cancelled
FROM shard.job_batches b CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE j.state = 'completed') AS completed,
           count(*) FILTER (WHERE j.state = 'failed') AS failed,
           count(*) FILTER (WHERE j.state = 'cancelled') AS cancelled
    FROM shard.jobs j WHERE j.batch_id = b.id AND j.organization_id = b.organization_id) n
WHERE b.organization_id = %(organization)s AND (%(team)s::bigint IS NULL OR b.team_id = %(team)s) AND b.id = %(id)s
"""


async def list_jobs(
    tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None, query: ListJobs
) -> list[DictRow]:
    """Return jobs by time."""
    parameters = {
        "organization": organization_id,
        "team": team_id,
        "state": query.state,
        "type": query.type,
        "batch": query.batch_id,
        "limit": query.limit,
        "offset": query.offset,
    }
    return await tx.all(_NEWEST if query.newest_first else _OLDEST, parameters)


async def get_job(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None, job_id: JobId) -> DictRow | None:
    """Return one job."""
    return await tx.one(_ONE, {"organization": organization_id, "team": team_id, "id": job_id})


async def get_batch(
    tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None, batch_id: BatchId
) -> DictRow | None:
    """Return one batch."""
    return await tx.one(_BATCH, {"organization": organization_id, "team": team_id, "id": batch_id})
