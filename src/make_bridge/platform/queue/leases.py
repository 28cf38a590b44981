"""Claiming work and keeping it: leases with a fencing number, heartbeats, the sweep.

The database's clock decides every lease, so machines whose clocks disagree cannot both hold one.
A claim raises the row's fence; whoever settles must present the fence of the claim, so a holder
that slept past its lease is refused (and counted). A sweep by any worker frees leases whose holder
fell silent; it asks nothing of the holder. A row that has outlived ``MOST_ATTEMPTS`` holders is not
freed again: the sweeping worker takes it and ends it as a dead letter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from make_bridge.kernel.ids import ExecutionId, OrganizationId, ScenarioId, TeamId
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.transactions import Row

LEASE = timedelta(seconds=15)
HEARTBEAT_SECONDS = 5.0
SWEEP_SECONDS = 4.0
MOST_ATTEMPTS = 3
# The classes of the queue: what somebody waits for, what arrives, what can wait.
HIGH, DEFAULT, LOW = 0, 1, 2
# A fourth that no claim serves: what waits until its team may use more.
DEFERRED = 3

# The function stands in the migration 0008: it takes turns between teams and classes, and says how.
_CLAIM = """
SELECT id, organization_id, team_id, scenario_id, kind, fence, attempts, reply_to
FROM shard.claim(%(owner)s, %(most)s, %(lease)s, %(cap)s, %(ageing)s)
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
_ANY_SILENT = "SELECT EXISTS (SELECT FROM shard.queue WHERE lease_until < now()) AS found"
# Without it a moment of a full queue and old statistics reads a million rows to find none.
_BY_INDEX = "SET LOCAL enable_seqscan = off"
_SWEEP = """
WITH silent AS (
    SELECT id FROM shard.queue WHERE lease_until < now() AND attempts < %(attempts)s LIMIT 1000 FOR UPDATE SKIP LOCKED
)
UPDATE shard.queue q SET lease_owner = NULL, lease_until = NULL, holds_slot = false, fence = q.fence + 1
FROM silent s WHERE q.id = s.id
"""
_TAKE_POISON = """
WITH silent AS (
    SELECT id, lease_owner FROM shard.queue WHERE lease_until < now() AND attempts >= %(attempts)s
    LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
UPDATE shard.queue q SET lease_owner = %(owner)s, lease_until = now() + %(lease)s, fence = q.fence + 1
FROM silent s WHERE q.id = s.id
RETURNING q.id, q.organization_id, q.team_id, q.scenario_id, q.kind, q.fence, q.attempts, q.reply_to,
          s.lease_owner AS last_node
"""
# Whoever stops in good order has not failed: the attempt does not count.
_HAND_BACK = """
UPDATE shard.queue q SET lease_owner = NULL, lease_until = NULL, holds_slot = false, fence = q.fence + 1,
    attempts = greatest(q.attempts - 1, 0), ready_at = greatest(q.ready_at, now() + %(pause)s)
FROM unnest(%(ids)s::uuid[], %(fences)s::bigint[]) AS held(id, fence)
WHERE q.id = held.id AND q.fence = held.fence
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRules:
    """How claims are shared out.

    A team has at most ``team_cap`` rows of the default and the low class in flight (the high class is exempt: there
    stand children that a held parent waits for). A row waits at most ``ageing`` longer than one of the class above.
    """

    team_cap: int = 150
    ageing: timedelta = timedelta(seconds=10)


_RULES = ClaimRules()


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
    last_node: str | None = None
    """Of a row taken as poison: who held it last."""


async def claim(shard: Shard, owner: str, most: int, rules: ClaimRules = _RULES) -> list[Lease]:
    """Lease up to ``most`` ready rows to ``owner``: classes in order, in a class each team in its turn."""
    parameters = {"most": most, "owner": owner, "lease": LEASE, "cap": rules.team_cap, "ageing": rules.ageing}
    async with shard.engine_statement() as tx:
        return [_lease(row) for row in await tx.all(_CLAIM, parameters)]


async def beat(shard: Shard, held: Sequence[tuple[ExecutionId, int]]) -> set[ExecutionId]:
    """Extend the leases still held; an id that is not returned was lost to somebody else."""
    parameters = {"ids": [h[0] for h in held], "fences": [h[1] for h in held], "lease": LEASE}
    async with shard.engine_write() as tx:
        return {ExecutionId(row["id"].hex) for row in await tx.all(_BEAT, parameters)}


async def is_any_silent(shard: Shard) -> bool:
    """Say whether any lease has run out: hardly ever one has, and then neither freeing nor burying has to look."""
    async with shard.engine_write() as tx:
        await tx.execute(_BY_INDEX)
        row = await tx.one(_ANY_SILENT)
        return row is not None and bool(row["found"])


async def sweep(shard: Shard, most_attempts: int = MOST_ATTEMPTS) -> int:
    """Free leases whose holder fell silent; return how many. Poison stays where it is."""
    async with shard.engine_write() as tx:
        await tx.execute(_BY_INDEX)
        return await tx.execute(_SWEEP, {"attempts": most_attempts})


async def take_poison(shard: Shard, owner: str, most: int = 20, most_attempts: int = MOST_ATTEMPTS) -> list[Lease]:
    """Lease rows that have outlived as many holders as they may, to be ended without another attempt."""
    parameters = {"attempts": most_attempts, "most": most, "owner": owner, "lease": LEASE}
    async with shard.engine_write() as tx:
        await tx.execute(_BY_INDEX)
        return [_lease(row) for row in await tx.all(_TAKE_POISON, parameters)]


async def hand_back(shard: Shard, held: Sequence[tuple[ExecutionId, int]], pause: timedelta = timedelta(0)) -> int:
    """Give leases back unfinished (a drain), so that another worker starts at once, or after a ``pause``."""
    parameters = {"ids": [h[0] for h in held], "fences": [h[1] for h in held], "pause": pause}
    async with shard.engine_write() as tx:
        return await tx.execute(_HAND_BACK, parameters)


def _lease(row: Row) -> Lease:
    return Lease(
        id=ExecutionId(row["id"].hex),
        organization_id=row["organization_id"],
        team_id=row["team_id"],
        scenario_id=row["scenario_id"],
        kind=row["kind"],
        fence=row["fence"],
        attempts=row["attempts"],
        reply_to=row["reply_to"],
        last_node=row.get("last_node"),
    )
