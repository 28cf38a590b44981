"""The statements on runs that wait for a limit: how many there are, under a lock, and until when they wait."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from make_bridge.domain.usage.model import Scope
from make_bridge.kernel.ids import ExecutionId
from make_bridge.platform.database.transactions import WriteTx

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('make_bridge.deferring', %s::bigint))"
_COUNT = """
SELECT count(*) AS waiting FROM (
    SELECT FROM shard.queue WHERE class = 3 AND organization_id = %(organization)s
      AND (%(team)s::bigint = 0 OR team_id = %(team)s::bigint) LIMIT %(most)s) q
"""
_PUT_OFF = """
UPDATE shard.queue q SET ready_at = t.until
FROM unnest(%(ids)s::uuid[], %(untils)s::timestamptz[]) AS t(id, until) WHERE q.id = t.id
"""


async def room(tx: WriteTx, scopes: Iterable[Scope], most: int) -> dict[Scope, int]:
    """Say how many more may wait for each limit; the order of the locks lets no two processes wait for each other."""
    ordered = sorted(scopes)
    for organization_id in sorted({scope[0] for scope in ordered}):
        await tx.one(_LOCK, (organization_id,))
    found = {}
    for organization_id, team_id in ordered:
        row = await tx.one(_COUNT, {"organization": organization_id, "team": team_id, "most": most})
        found[organization_id, team_id] = most - (0 if row is None else int(row["waiting"]))
    return found


async def put_off(tx: WriteTx, untils: Mapping[ExecutionId, datetime]) -> None:
    """Write until when runs wait that this transaction has just stored."""
    await tx.execute(_PUT_OFF, {"ids": list(untils), "untils": list(untils.values())})
