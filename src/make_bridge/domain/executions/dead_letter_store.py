"""Every statement on dead letters: kept when a poisoned row ends, read by people, replayed once."""

from datetime import datetime

from psycopg.rows import DictRow

from make_bridge.domain.executions.dead_letter_messages import ListDeadLetters, ReplayDeadLetters
from make_bridge.domain.executions.dead_letter_messages import ReplayRangeOfDeadLetters as Range
from make_bridge.domain.executions.incomplete import RETRY, TIMER
from make_bridge.domain.executions.model import DeadLetter
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.ids import ExecutionId, OrganizationId, ScenarioId, TeamId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_KEEP = """
INSERT INTO shard.dead_letters AS d
    (id, organization_id, team_id, scenario_id, kind, reason, attempts, last_node)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, attempts = excluded.attempts,
    last_node = excluded.last_node, created_at = now(), replayed_at = NULL, replayed_as = NULL
"""
_LIST = """
SELECT id, team_id, scenario_id, kind, reason, attempts, last_node, created_at, replayed_at, replayed_as
FROM shard.dead_letters
WHERE organization_id = %(organization)s AND (%(team)s::bigint IS NULL OR team_id = %(team)s)
  AND (%(scenario)s::bigint IS NULL OR scenario_id = %(scenario)s) AND (%(replayed)s OR replayed_at IS NULL)
ORDER BY id DESC LIMIT %(limit)s OFFSET %(offset)s
"""
_CHOOSE = """
SELECT id, team_id, scenario_id, kind, replayed_at FROM shard.dead_letters
WHERE organization_id = %(organization)s AND (%(team)s::bigint IS NULL OR team_id = %(team)s)
  AND (%(scenario)s::bigint IS NULL OR scenario_id = %(scenario)s)
  AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s::uuid[]))
  AND (%(ids)s::uuid[] IS NOT NULL OR (replayed_at IS NULL AND kind <> ALL (%(records)s::text[])))
  AND (%(after)s::uuid IS NULL OR id > %(after)s::uuid)
  AND created_at >= coalesce(%(since)s::timestamptz, '-infinity')
  AND created_at < coalesce(%(until)s::timestamptz, 'infinity')
ORDER BY id LIMIT %(limit)s FOR UPDATE
"""
_MEASURE = """
SELECT count(*) AS letters, now() AS until FROM shard.dead_letters
WHERE organization_id = %(organization)s AND (%(team)s::bigint IS NULL OR team_id = %(team)s)
  AND (%(scenario)s::bigint IS NULL OR scenario_id = %(scenario)s)
  AND replayed_at IS NULL AND kind <> ALL (%(records)s::text[])
  AND created_at >= coalesce(%(since)s::timestamptz, '-infinity')
  AND created_at < coalesce(%(until)s::timestamptz, 'infinity')
"""
_REPLAYED = """
UPDATE shard.dead_letters SET replayed_at = now(), replayed_as = %s WHERE organization_id = %s AND id = %s
"""
_FORGET = """
DELETE FROM shard.dead_letters WHERE id IN (
    SELECT id FROM shard.dead_letters WHERE created_at < now() - interval '30 days' LIMIT 1000)
"""

# Of these the record waits for a person; there is no run of their own to begin anew.
_RECORDS = [TIMER, RETRY]


async def keep(
    tx: WriteTx, job_id: ExecutionId, place: tuple[OrganizationId, TeamId, ScenarioId | None], letter: DeadLetter
) -> None:
    """Write a letter, in the transaction that takes the row out of the queue."""
    facts = (letter.kind, letter.reason, letter.attempts, letter.last_node)
    await tx.execute(_KEEP, (job_id, *place, *facts))


async def list_letters(
    tx: ReadTx, organization_id: OrganizationId, team_id: TeamId | None, query: ListDeadLetters, limit: int
) -> list[DictRow]:
    """Return letters, the newest execution first."""
    parameters = {
        "organization": organization_id,
        "team": team_id,
        "scenario": query.scenario_id,
        "replayed": query.with_replayed,
        "limit": limit,
        "offset": query.offset,
    }
    return await tx.all(_LIST, parameters)


async def choose(
    tx: WriteTx, organization_id: OrganizationId, team_id: TeamId | None, command: ReplayDeadLetters, limit: int
) -> list[DictRow]:
    """Return the letters of a replay and hold them; without ``ids`` those that can be replayed and were not."""
    parameters = {
        "organization": organization_id,
        "team": team_id,
        "scenario": command.scenario_id,
        "ids": None if command.ids is None else list(command.ids),
        "since": command.since,
        "until": command.until,
        "after": command.after,
        "records": _RECORDS,
        "limit": limit,
    }
    return await tx.all(_CHOOSE, parameters)


async def measure(
    tx: WriteTx, organization_id: OrganizationId, team_id: TeamId | None, command: Range
) -> tuple[int, datetime]:
    """Return how many letters a range has, and the moment after which letters are none of it."""
    parameters = {
        "organization": organization_id,
        "team": team_id,
        "scenario": command.scenario_id,
        "since": command.since,
        "until": command.until,
        "records": _RECORDS,
    }
    row = await tx.one(_MEASURE, parameters)
    if row is None:
        raise Unavailable
    now: datetime = row["until"]
    return row["letters"], now if command.until is None else min(now, command.until)


async def replayed(tx: WriteTx, organization_id: OrganizationId, letter_id: str, execution_id: ExecutionId) -> None:
    """Note as what a letter was replayed."""
    await tx.execute(_REPLAYED, (execution_id, organization_id, letter_id))


async def forget(tx: WriteTx) -> int:
    """Drop letters of a month ago; return how many."""
    return await tx.execute(_FORGET)
