"""How tries of jobs end: many in one transaction, each guarded by the fence of its claim.

Called by the runner's group commit. The rows of queue and job are locked first, so that whether somebody wanted the
job cancelled is known before anything is written. A try that ended in good order, however badly, takes back what the
row has counted: ``queue.attempts`` are claims that ended in silence, a job's ``tries`` are those that failed.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import msgspec
from psycopg.rows import DictRow

from make_bridge.kernel.ids import BatchId, JobId, OrganizationId
from make_bridge.platform.database.arrays import ByteaArray
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.queue import job_store
from make_bridge.platform.queue.job_messages import JobCompleted, JobFailed
from make_bridge.platform.queue.job_store import Told, plain

LONGEST_ERROR: Final = 2000
LONGEST_NOTE: Final = 500

_LOCK: Final = """
SELECT q.id, j.organization_id, j.team_id, j.type, j.tries, j.batch_id, j.is_counted, j.cancel_requested
FROM unnest(%s::uuid[], %s::bigint[]) AS mine(id, fence)
JOIN shard.queue q ON q.id = mine.id AND q.fence = mine.fence
JOIN shard.jobs j ON j.id = q.id AND j.finished_at IS NULL
ORDER BY q.id FOR UPDATE OF q, j
"""
_UNQUEUE: Final = "DELETE FROM shard.queue WHERE id = ANY(%s::uuid[])"
_PUT_OFF: Final = """
UPDATE shard.queue q SET lease_owner = NULL, lease_until = NULL, holds_slot = false, fence = q.fence + 1,
    attempts = 0, ready_at = now() + make_interval(secs => t.delay)
FROM unnest(%s::uuid[], %s::float8[]) AS t(id, delay) WHERE q.id = t.id
"""
_WRITE: Final = """
UPDATE shard.jobs j SET state = t.state, tries = t.tries, error = t.error, result = t.result, fence = t.fence,
    progress = coalesce(t.progress, j.progress), note = coalesce(t.note, j.note),
    started_at = now() - make_interval(secs => t.seconds),
    finished_at = CASE WHEN t.state = 'waiting' THEN NULL ELSE now() END,
    is_counted = j.is_counted OR (t.state <> 'waiting' AND j.batch_id IS NOT NULL)
FROM unnest(%(ids)s::uuid[], %(states)s::text[], %(tries)s::smallint[], %(errors)s::text[], %(results)s::bytea[],
            %(fences)s::bigint[], %(progress)s::smallint[], %(notes)s::text[], %(seconds)s::float8[])
    AS t(id, state, tries, error, result, fence, progress, note, seconds)
WHERE j.id = t.id
"""
# The same for jobs that are simply done, in one statement. Somebody who cancels holds the queue's row first, so whether
# it was wanted is read here after whoever came before has committed.
_COMPLETE: Final = """
WITH mine AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(fences)s::bigint[], %(tries)s::smallint[], %(results)s::bytea[],
                         %(seconds)s::float8[]) AS t(id, fence, tries, result, seconds)
), held AS (
    SELECT q.id FROM mine JOIN shard.queue q ON q.id = mine.id AND q.fence = mine.fence ORDER BY q.id FOR UPDATE OF q
), gone AS (
    DELETE FROM shard.queue q USING held WHERE q.id = held.id RETURNING q.id
)
UPDATE shard.jobs j SET tries = m.tries, error = '', fence = m.fence, progress = 100,
    state = CASE WHEN j.cancel_requested THEN 'cancelled' ELSE 'completed' END,
    result = CASE WHEN j.cancel_requested THEN '' ELSE m.result END,
    started_at = now() - make_interval(secs => m.seconds), finished_at = now()
FROM mine m JOIN gone USING (id) WHERE j.id = m.id AND j.finished_at IS NULL
RETURNING j.id, j.state
"""
_LETTERS: Final = """
INSERT INTO shard.dead_letters AS d (id, organization_id, team_id, kind, reason, attempts, last_node)
SELECT * FROM unnest(%(ids)s::uuid[], %(organizations)s::bigint[], %(teams)s::bigint[], %(kinds)s::text[],
                     %(reasons)s::text[], %(attempts)s::smallint[], %(nodes)s::text[])
ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, attempts = excluded.attempts,
    last_node = excluded.last_node, created_at = now(), replayed_at = NULL, replayed_as = NULL
"""
State = Literal["waiting", "completed", "failed", "cancelled"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How one try ended: with ``waiting`` the job goes on after ``delay`` seconds."""

    id: JobId
    fence: int
    state: State
    tells: bool
    delay: float = 0.0
    tries: int = 0
    """Failed tries of the job, this one included."""
    deaths: int = 0
    """Workers that died of it in a row; then the letter counts these."""
    error: str = ""
    result: bytes = b""
    progress: int | None = None
    note: str | None = None
    node: str | None = None
    seconds: float = 0.0
    """How long the try took."""
    is_alone: bool = False
    """The job is of no batch."""

    @property
    def is_plain(self) -> bool:
        """Whether nothing follows from it but that the job is done."""
        return self.is_alone and self.state == "completed" and not self.tells and self.note is None


async def settle(shard: Shard, verdicts: Sequence[Verdict]) -> dict[JobId, State]:
    """Write how tries ended; return the state of each. One that is not returned was refused as stale."""
    if all(verdict.is_plain for verdict in verdicts):
        async with shard.engine_statement() as tx:
            return {JobId(row["id"].hex): row["state"] for row in await tx.all(_COMPLETE, _plain(verdicts))}
    async with shard.engine_write() as tx:
        rows = await tx.all(_LOCK, ([v.id for v in verdicts], [v.fence for v in verdicts]))
        given = {verdict.id: verdict for verdict in verdicts}
        ended = [(row, _as_wanted(given[JobId(row["id"].hex)], row)) for row in rows]
        if ended:
            await _write(tx, [verdict for _, verdict in ended])
            await _bury(tx, [(row, verdict) for row, verdict in ended if verdict.state == "failed"])
            await job_store.tell(tx, [*_told(ended), *await _count_batches(tx, ended)])
        return {verdict.id: verdict.state for _, verdict in ended}


def _as_wanted(verdict: Verdict, row: DictRow) -> Verdict:
    """Return the verdict, or that the job is cancelled when somebody asked for it before this was written."""
    return msgspec.structs.replace(verdict, state="cancelled", result=b"") if row["cancel_requested"] else verdict


def _plain(verdicts: Sequence[Verdict]) -> dict[str, object]:
    return {
        "ids": _list(v.id for v in verdicts),
        "fences": _list(v.fence for v in verdicts),
        "tries": _list(v.tries for v in verdicts),
        "results": ByteaArray([v.result for v in verdicts]),
        "seconds": _list(v.seconds for v in verdicts),
    }


def _list(values: Iterable[str | float]) -> str:
    """Return ids or numbers as the array that PostgreSQL reads: the driver would look at each in Python."""
    return "{" + ",".join(map(str, values)) + "}"


async def _write(tx: WriteTx, verdicts: Sequence[Verdict]) -> None:
    over = [verdict.id for verdict in verdicts if verdict.state != "waiting"]
    later = [verdict for verdict in verdicts if verdict.state == "waiting"]
    if over:
        await tx.execute(_UNQUEUE, (over,))
    if later:
        await tx.execute(_PUT_OFF, ([v.id for v in later], [v.delay for v in later]))
    columns = {
        "ids": [v.id for v in verdicts],
        "states": [v.state for v in verdicts],
        "tries": [v.tries for v in verdicts],
        "errors": [plain(v.error, LONGEST_ERROR) for v in verdicts],
        "results": ByteaArray([v.result for v in verdicts]),
        "fences": [v.fence for v in verdicts],
        "progress": [v.progress for v in verdicts],
        "notes": [None if v.note is None else plain(v.note, LONGEST_NOTE) for v in verdicts],
        "seconds": [v.seconds for v in verdicts],
    }
    await tx.execute(_WRITE, columns)


async def _bury(tx: WriteTx, failed: Sequence[tuple[DictRow, Verdict]]) -> None:
    if not failed:
        return
    columns = {
        "ids": [verdict.id for _, verdict in failed],
        "organizations": [row["organization_id"] for row, _ in failed],
        "teams": [row["team_id"] for row, _ in failed],
        "kinds": [row["type"] for row, _ in failed],
        "reasons": [plain(verdict.error, LONGEST_ERROR) for _, verdict in failed],
        "attempts": [verdict.deaths or verdict.tries for _, verdict in failed],
        "nodes": [verdict.node for _, verdict in failed],
    }
    await tx.execute(_LETTERS, columns)


def _told(ended: Sequence[tuple[DictRow, Verdict]]) -> list[Told]:
    told: list[Told] = []
    for row, verdict in ended:
        if not verdict.tells:
            continue
        batch = "" if row["batch_id"] is None else row["batch_id"].hex
        subject = f"job/{verdict.id}"
        if verdict.state == "completed":
            done = JobCompleted(job_id=verdict.id, type=row["type"], batch_id=batch)
            told.append((row["organization_id"], subject, done))
        elif verdict.state == "failed":
            error = plain(verdict.error, LONGEST_ERROR)
            failed = JobFailed(job_id=verdict.id, type=row["type"], tries=verdict.tries, error=error, batch_id=batch)
            told.append((row["organization_id"], subject, failed))
    return told


async def _count_batches(tx: WriteTx, ended: Sequence[tuple[DictRow, Verdict]]) -> list[Told]:
    """Count down the batches whose jobs have ended for the first time, in the order of their ids."""
    counted: dict[tuple[str, OrganizationId], int] = {}
    for row, verdict in ended:
        if row["batch_id"] is not None and not row["is_counted"] and verdict.state != "waiting":
            key = (row["batch_id"].hex, row["organization_id"])
            counted[key] = counted.get(key, 0) + 1
    told: list[Told] = []
    for (batch_id, organization_id), jobs in sorted(counted.items()):
        told += await job_store.count_down(tx, BatchId(batch_id), organization_id, jobs)
    return told
