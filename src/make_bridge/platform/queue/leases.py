"""Claiming work and keeping it: leases with a fencing number, heartbeats, the sweep.

The database's clock decides every lease, so machines whose clocks disagree cannot both hold one.
A claim raises the row's fence; whoever settles must present the fence of the claim, so a holder
that slept past its lease is refused (and counted). A sweep by any worker frees leases whose holder
fell silent; it asks nothing of the holder.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from make_bridge.kernel.ids import ExecutionId, OrganizationId, ScenarioId, TeamId
from make_bridge.platform.database.pools import Shard

LEASE = timedelta(seconds=15)
HEARTBEAT_SECONDS = 5.0
SWEEP_SECONDS = 4.0

_CLAIM = """
WITH candidates AS (
    SELECT q.id FROM shard.queue q
    WHERE q.lease_until IS NULL AND q.ready_at <= now()
      AND (q.ordering_key IS NULL OR (
            NOT EXISTS (
                SELECT FROM shard.queue o
                WHERE o.scenario_id = q.scenario_id AND o.ordering_key = q.ordering_key
                  AND (o.holds_slot OR (o.id < q.id AND (q.kind <> 'scenario.retry' OR o.kind = q.kind))))
            AND (q.kind = 'scenario.retry' OR NOT EXISTS (
                SELECT FROM shard.incomplete_executions u WHERE u.scenario_id = q.scenario_id AND NOT u.resolved))))
    ORDER BY q.class, q.ready_at, q.id
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
)
UPDATE shard.queue q
SET lease_owner = %(owner)s, lease_until = now() + %(lease)s, fence = q.fence + 1, attempts = q.attempts + 1,
    holds_slot = q.ordering_key IS NOT NULL
FROM candidates c WHERE q.id = c.id
RETURNING q.id, q.organization_id, q.team_id, q.scenario_id, q.kind, q.fence, q.attempts, q.reply_to
"""
_BEAT = """
WITH held AS (
    SELECT q.id FROM unnest(%(ids)s::uuid[], %(fences)s::bigint[]) AS mine(id, fence)
    JOIN shard.queue q ON q.id = mine.id AND q.fence = mine.fence
    ORDER BY q.id FOR UPDATE OF q
)
UPDATE shard.queue q SET lease_until = now() + %(lease)s
FROM held WHERE q.id = held.id
RETURNING q.id
"""
_SWEEP = """
WITH silent AS (
    SELECT id FROM shard.queue WHERE lease_until < now() LIMIT 1000 FOR UPDATE SKIP LOCKED
)
UPDATE shard.queue q SET lease_owner = NULL, lease_until = NULL, holds_slot = false, fence = q.fence + 1
FROM silent s WHERE q.id = s.id
"""
_HAND_BACK = """
UPDATE shard.queue q SET lease_owner = NULL, lease_until = NULL, holds_slot = false, fence = q.fence + 1
FROM unnest(%(ids)s::uuid[], %(fences)s::bigint[]) AS held(id, fence)
WHERE q.id = held.id AND q.fence = held.fence
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A claimed queue row: the right to settle it, as long as ``fence`` is still the row's."""

    id: ExecutionId
    organization_id: OrganizationId
    team_id: TeamId
    scenario_id: ScenarioId | None
    kind: str
    fence: int
    attempts: int
    reply_to: str | None


async def claim(shard: Shard, owner: str, most: int) -> list[Lease]:
    """Lease up to ``most`` ready rows to ``owner``."""
    async with shard.engine_write() as tx:
        rows = await tx.all(_CLAIM, {"most": most, "owner": owner, "lease": LEASE})
    return [
        Lease(
            id=ExecutionId(row["id"].hex),
            organization_id=row["organization_id"],
            team_id=row["team_id"],
            scenario_id=row["scenario_id"],
            kind=row["kind"],
            fence=row["fence"],
            attempts=row["attempts"],
            reply_to=row["reply_to"],
        )
        for row in rows
    ]


async def beat(shard: Shard, held: Sequence[tuple[ExecutionId, int]]) -> set[ExecutionId]:
    """Extend the leases still held; an id that is not returned was lost to somebody else."""
    parameters = {"ids": [h[0] for h in held], "fences": [h[1] for h in held], "lease": LEASE}
    async with shard.engine_write() as tx:
        return {ExecutionId(row["id"].hex) for row in await tx.all(_BEAT, parameters)}


async def sweep(shard: Shard) -> int:
    """Free leases whose holder fell silent; return how many."""
    async with shard.engine_write() as tx:
        return await tx.execute(_SWEEP, {})


async def hand_back(shard: Shard, held: Sequence[tuple[ExecutionId, int]]) -> int:
    """Give leases back unfinished (a drain), so that another worker starts at once."""
    async with shard.engine_write() as tx:
        return await tx.execute(_HAND_BACK, {"ids": [h[0] for h in held], "fences": [h[1] for h in held]})
