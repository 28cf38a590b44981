"""The scheduler's statements: what is due, and a tick's run with the schedule moved on.

Both act as ``bridge_engine`` in one transaction, under the leader's fence. The database's clock says what is due, so
clocks of nodes that disagree neither fire early nor twice. A leader that falls asleep in between keeps the leaders' row
for three seconds and no longer, so that who follows it need not wait. Each statement touches at most one batch, found
by an index that holds switched-on schedules only.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from make_bridge.kernel.ids import ExecutionId, OrganizationId, ScenarioId, TeamId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_DUE: Final = """
WITH leader AS MATERIALIZED (
    SELECT 1 AS holds, set_config('idle_in_transaction_session_timeout', '3s', true)
    FROM shard.leaders WHERE name = %(name)s AND owner = %(owner)s AND fence = %(fence)s FOR SHARE
)
SELECT s.id, s.organization_id, s.team_id, s.blueprint_version, s.scheduling, s.next_run_at, s.schedule_anchor,
       s.is_sequential, s.ordering_key, s.ticks_missed, s.ticks_skipped, now() AS now,
       (SELECT q.lease_until IS NOT NULL FROM shard.queue q WHERE q.id = s.last_tick_run) AS last_is_going
FROM shard.scenarios s
WHERE s.next_run_at <= now() AND s.state = 'active' AND NOT s.is_paused AND NOT s.is_invalid
  AND EXISTS (SELECT FROM leader)
ORDER BY s.next_run_at LIMIT %(most)s
FOR NO KEY UPDATE OF s SKIP LOCKED
"""
_MOVE_ON: Final = """
UPDATE shard.scenarios s
SET next_run_at = t.next_run_at, last_tick_run = coalesce(t.run, s.last_tick_run), ticks_missed = t.missed,
    ticks_skipped = t.skipped
FROM unnest(%(ids)s::bigint[], %(nexts)s::timestamptz[], %(runs)s::uuid[], %(missed)s::integer[],
            %(skipped)s::integer[]) AS t(id, next_run_at, run, missed, skipped)
WHERE s.id = t.id
"""
_WAIT: Final = """
SELECT extract(epoch FROM min(next_run_at) - now())::float8 AS seconds FROM shard.scenarios
WHERE next_run_at IS NOT NULL AND state = 'active' AND NOT is_paused AND NOT is_invalid
"""


class DueScenario(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario whose time has come.

    ``last_is_going`` tells of its last tick's run: None when that has ended, True while it runs, False while it waits.
    """

    id: ScenarioId
    organization_id: OrganizationId
    team_id: TeamId
    blueprint_version: int
    scheduling: bytes
    next_run_at: datetime
    schedule_anchor: datetime
    is_sequential: bool
    ticks_missed: int
    ticks_skipped: int
    now: datetime
    last_is_going: bool | None
    ordering_key: str | None = None


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a schedule: its next tick, the run that was started, and what that run has not told yet."""

    id: ScenarioId
    next_run_at: datetime | None
    run: ExecutionId | None
    missed: int = 0
    skipped: int = 0


async def due(tx: WriteTx, *, name: str, owner: str, fence: int, most: int) -> list[DueScenario]:
    """Return and lock what is due, the longest due first; nothing when the fence is not the leader's any more."""
    rows = await tx.all(_DUE, {"name": name, "owner": owner, "fence": fence, "most": most})
    return [DueScenario(**{**row, "scheduling": bytes(row["scheduling"])}) for row in rows]


async def move_on(tx: WriteTx, moved: Sequence[Moved]) -> None:
    """Write where the schedules stand now."""
    parameters = {
        "ids": [m.id for m in moved],
        "nexts": [m.next_run_at for m in moved],
        "runs": [m.run for m in moved],
        "missed": [m.missed for m in moved],
        "skipped": [m.skipped for m in moved],
    }
    await tx.execute(_MOVE_ON, parameters)


async def wait_seconds(tx: ReadTx) -> float | None:
    """Return how long it is until something is due; None when no schedule is on."""
    row = await tx.one(_WAIT)
    return None if row is None or row["seconds"] is None else float(row["seconds"])
