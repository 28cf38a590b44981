"""Every statement on reports and their parts; what reports tell of is read in ``sources_store``.

A report is written by one attempt of its job at a time: each begins with a number of its own and without parts, and
writes a part only while the report still carries that number. An attempt that slept past its lease, or whose report
was deleted, writes nothing more, so no row is doubled.
"""

from typing import Final

import msgspec
from psycopg.rows import DictRow

from make_bridge.domain.reports.messages import Report
from make_bridge.domain.reports.model import ReportOrder, ReportState
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import JobId, OrganizationId, TeamId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_SELECT: Final = """
SELECT r.id, r.team_id, r.wanted, r.rows, r.bytes, r.parts, r.created_at, r.finished_at, j.error,
       coalesce(j.cancel_requested, false) AS cancel_requested,
       CASE WHEN r.finished_at IS NOT NULL THEN 'completed'
            WHEN j.id IS NULL OR j.state = 'completed' THEN 'failed'
            WHEN j.state = 'waiting' AND q.lease_until IS NOT NULL THEN 'running' ELSE j.state END AS state,
       CASE WHEN r.finished_at IS NOT NULL THEN 100 ELSE least(coalesce(j.progress, 0), 99) END AS progress
FROM shard.reports r LEFT JOIN shard.jobs j ON j.id = r.id AND j.organization_id = r.organization_id
LEFT JOIN shard.queue q ON q.id = r.id AND q.organization_id = r.organization_id
WHERE r.organization_id = %(organization)s AND (%(team)s::bigint IS NULL OR r.team_id = %(team)s)
"""
_GET: Final = _SELECT + " AND r.id = %(id)s"
_NEWEST: Final = _SELECT + " ORDER BY r.id DESC LIMIT %(limit)s OFFSET %(offset)s"
_OLDEST: Final = _SELECT + " ORDER BY r.id LIMIT %(limit)s OFFSET %(offset)s"
# Held until the commit, so that two at once do not both find room for the last report.
_LOCK_COUNT: Final = "SELECT pg_advisory_xact_lock(hashtextextended('make_bridge.reports', %s))"
_COUNT: Final = "SELECT count(*) AS reports FROM shard.reports WHERE organization_id = %s"
_INSERT: Final = """
INSERT INTO shard.reports (id, organization_id, team_id, wanted) VALUES (%s, %s, %s, %s)
ON CONFLICT (id) DO NOTHING
"""
_IS_ENDING: Final = "SELECT cancel_requested FROM shard.jobs WHERE id = %s AND organization_id = %s"
_DELETE: Final = """
DELETE FROM shard.reports
WHERE id = %(id)s AND organization_id = %(organization)s AND (%(team)s::bigint IS NULL OR team_id = %(team)s)
"""
_BEGIN: Final = """
UPDATE shard.reports SET attempt = attempt + 1, rows = 0, bytes = 0, parts = 0
WHERE id = %s AND organization_id = %s AND finished_at IS NULL RETURNING attempt
"""
_EMPTY: Final = """
UPDATE shard.reports SET attempt = attempt + 1, rows = 0, bytes = 0, parts = 0
WHERE id = %s AND organization_id = %s AND attempt = %s AND finished_at IS NULL
"""
_DELETE_PARTS: Final = "DELETE FROM shard.report_parts WHERE report_id = %s AND organization_id = %s"
_ADD_PART: Final = """
WITH mine AS (
    UPDATE shard.reports SET parts = parts + 1, bytes = bytes + octet_length(%(content)s::bytea), rows = %(rows)s
    WHERE id = %(id)s AND organization_id = %(organization)s AND attempt = %(attempt)s AND finished_at IS NULL
    RETURNING id, organization_id, parts
)
INSERT INTO shard.report_parts (report_id, number, organization_id, content)
SELECT id, parts - 1, organization_id, %(content)s::bytea FROM mine
"""
_FINISH: Final = """
UPDATE shard.reports SET finished_at = now(), rows = %s
WHERE id = %s AND organization_id = %s AND attempt = %s AND finished_at IS NULL
"""
_PART: Final = """
SELECT p.content FROM shard.report_parts p JOIN shard.reports r ON r.id = p.report_id
WHERE p.report_id = %(id)s AND p.number = %(number)s AND p.organization_id = %(organization)s
  AND r.organization_id = %(organization)s AND r.finished_at IS NOT NULL
  AND (%(team)s::bigint IS NULL OR r.team_id = %(team)s)
"""
_FORGET: Final = """
DELETE FROM shard.reports WHERE id IN (
    SELECT id FROM shard.reports WHERE created_at < now() - make_interval(days => %s) ORDER BY created_at LIMIT %s)
"""
# A job that was given up, or ended while its holder was dead, leaves parts behind. The row's lock keeps a retry out.
_LOCK_LEFT_BEHIND: Final = """
SELECT r.id, r.organization_id FROM shard.reports r LEFT JOIN shard.jobs j ON j.id = r.id
WHERE r.finished_at IS NULL AND r.parts > 0 AND (j.id IS NULL OR j.finished_at IS NOT NULL)
ORDER BY r.id LIMIT %s FOR UPDATE OF r SKIP LOCKED
"""
_EMPTY_LEFT_BEHIND: Final = """
UPDATE shard.reports SET attempt = attempt + 1, rows = 0, bytes = 0, parts = 0 WHERE id = %s AND organization_id = %s
"""


async def get(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None, report_id: JobId) -> Report:
    """Return one report; raises NotFound."""
    row = await _row(tx, organization_id, team_id, report_id)
    if row is None:
        raise NotFound("There is no such report, or it is not kept any more.")
    return _report(row)


async def find_ordered(tx: ReadTx, organization_id: OrganizationId, report_id: JobId) -> tuple[Report, bool] | None:
    """Return the report of a job that was just enqueued or found, and whether that job is asked to end."""
    row = await _row(tx, organization_id, None, report_id)
    return None if row is None else (_report(row), bool(row["cancel_requested"]))


async def is_ending(tx: ReadTx, organization_id: OrganizationId, report_id: str) -> bool:
    """Say whether the job of a report is asked to end."""
    row = await tx.one(_IS_ENDING, (report_id, organization_id))
    return row is not None and bool(row["cancel_requested"])


async def list_reports(
    tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None, *, newest_first: bool, page: tuple[int, int]
) -> list[Report]:
    """Return reports by time; ``page`` is limit and offset."""
    parameters = {"organization": organization_id, "team": team_id, "limit": page[0], "offset": page[1]}
    return [_report(row) for row in await tx.all(_NEWEST if newest_first else _OLDEST, parameters)]


async def count(tx: WriteTx, organization_id: OrganizationId) -> int:
    """Return how many reports an organization has; until the commit nobody else adds one."""
    await tx.one(_LOCK_COUNT, (organization_id,))
    row = await tx.one(_COUNT, (organization_id,))
    return 0 if row is None else int(row["reports"])


async def add(
    tx: WriteTx, organization_id: OrganizationId, team_id: TeamId | None, report_id: JobId, order: ReportOrder
) -> None:
    """Write a report that is to be made; one that is there stays."""
    await tx.execute(_INSERT, (report_id, organization_id, team_id, msgspec.json.encode(order)))


async def delete(tx: WriteTx, organization_id: OrganizationId, team_id: TeamId | None, report_id: JobId) -> None:
    """Drop a report, its parts with it; raises NotFound."""
    if not await tx.execute(_DELETE, {"organization": organization_id, "team": team_id, "id": report_id}):
        raise NotFound("There is no such report, or it is not kept any more.")


async def begin(tx: WriteTx, organization_id: OrganizationId, report_id: JobId) -> int | None:
    """Begin an attempt without parts and return its number; None when the report is gone or finished."""
    row = await tx.one(_BEGIN, (report_id, organization_id))
    if row is None:
        return None
    await tx.execute(_DELETE_PARTS, (report_id, organization_id))
    return int(row["attempt"])


async def add_part(
    tx: WriteTx, organization_id: OrganizationId, report_id: JobId, attempt: int, content: bytes, *, rows: int
) -> bool:  # fmt: skip
    """Write the next part; False when the report is gone, or another attempt's."""
    parameters = {
        "organization": organization_id, "id": report_id, "attempt": attempt, "content": content, "rows": rows
    }  # fmt: skip
    return await tx.execute(_ADD_PART, parameters) > 0


async def finish(tx: WriteTx, organization_id: OrganizationId, report_id: JobId, attempt: int, rows: int) -> bool:
    """Say that the report is whole; False when it is gone, or another attempt's."""
    return await tx.execute(_FINISH, (rows, report_id, organization_id, attempt)) > 0


async def empty(tx: WriteTx, organization_id: OrganizationId, report_id: JobId, attempt: int) -> None:
    """Take an attempt's parts back; those of another attempt stay."""
    if await tx.execute(_EMPTY, (report_id, organization_id, attempt)):
        await tx.execute(_DELETE_PARTS, (report_id, organization_id))


async def part(
    tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None, report_id: JobId, number: int
) -> bytes:
    """Return a part of a finished report; raises NotFound."""
    parameters = {"organization": organization_id, "team": team_id, "id": report_id, "number": number}
    row = await tx.one(_PART, parameters)
    if row is None:
        raise NotFound("There is no such report, or it is not kept any more.")
    return bytes(row["content"])


async def forget(tx: WriteTx, days: int, most: int) -> int:
    """Drop up to so many reports that are older than this; return how many."""
    return await tx.execute(_FORGET, (days, most))


async def clear_left_behind(tx: WriteTx, most: int) -> int:
    """Drop the parts of up to so many reports that nobody makes any more; return how many reports."""
    left = await tx.all(_LOCK_LEFT_BEHIND, (most,))
    for row in left:
        await tx.execute(_DELETE_PARTS, (row["id"], row["organization_id"]))
        await tx.execute(_EMPTY_LEFT_BEHIND, (row["id"], row["organization_id"]))
    return len(left)


async def _row(
    tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None, report_id: JobId
) -> DictRow | None:  # fmt: skip
    return await tx.one(_GET, {"organization": organization_id, "team": team_id, "id": report_id})


def _report(row: DictRow) -> Report:
    state = ReportState(row["state"])
    error = row["error"] or ("It was not finished." if state is ReportState.FAILED else "")
    return Report(
        id=JobId(row["id"].hex),
        team_id=row["team_id"],
        order=msgspec.json.decode(bytes(row["wanted"]), type=ReportOrder),
        state=state,
        progress=row["progress"],
        error="" if state is ReportState.COMPLETED else error,
        rows=row["rows"],
        bytes=row["bytes"],
        parts=row["parts"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )
