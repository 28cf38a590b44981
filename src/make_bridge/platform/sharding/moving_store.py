"""Every statement on moves in the directory: beginning, taking them over under a fence, and their states.

All act as ``bridge_directory``. A runner holds a lease under a number of its own; each change is made under that
number, so one that slept past its lease changes nothing, and the flip is one transaction with the placement. Numbers
rise over all moves, so that shards, which remember them too, never take an old one for a new one.
"""

from typing import Final

from make_bridge.kernel.errors import NotFound, Unavailable
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.database.transactions import Row
from make_bridge.platform.sharding.moving_model import FOLLOWING, Move, MoveTaken, Standing, State
from make_bridge.platform.sharding.moving_plan import Home

_PLACED: Final = "SELECT shard, epoch FROM directory.placements WHERE organization_id = %s"
_BEGIN: Final = """
INSERT INTO directory.moves (organization_id, source, target, epoch)
SELECT organization_id, shard, %(target)s, epoch FROM directory.placements
WHERE organization_id = %(organization)s AND shard <> %(target)s
ON CONFLICT (organization_id) WHERE finished_at IS NULL DO NOTHING
"""
_OPEN: Final = """
SELECT id, organization_id, source, target, state, epoch, copied, told, fence, pause_ms FROM directory.moves
WHERE organization_id = %s AND finished_at IS NULL
"""
_ALL_OPEN: Final = """
SELECT id, organization_id, source, target, state, epoch, copied, told, fence, pause_ms FROM directory.moves
WHERE finished_at IS NULL ORDER BY id LIMIT %s
"""
_TAKE: Final = """
UPDATE directory.moves SET owner = %(owner)s, fence = greatest(fence, id << 20) + 1,
    leased_until = now() + make_interval(secs => %(lease)s)
WHERE id = %(id)s AND finished_at IS NULL AND leased_until <= now()
RETURNING id, organization_id, source, target, state, epoch, copied, told, fence, pause_ms
"""
_BEAT: Final = """
UPDATE directory.moves SET leased_until = now() + make_interval(secs => %s)
WHERE id = %s AND fence = %s AND finished_at IS NULL
"""
_LEAVE: Final = "UPDATE directory.moves SET leased_until = now() WHERE id = %s AND fence = %s"
_CHANGE: Final = """
UPDATE directory.moves SET state = %(state)s, copied = %(copied)s, told = %(told)s,
    finished_at = CASE WHEN %(state)s IN ('finished', 'abandoned') THEN now() END
WHERE id = %(id)s AND fence = %(fence)s AND finished_at IS NULL
"""
_FLIP: Final = """
UPDATE directory.moves SET state = 'flipped', flipped_at = now(), pause_ms = %(pause)s
WHERE id = %(id)s AND fence = %(fence)s AND state = 'closing'
"""
_PLACE: Final = """
UPDATE directory.placements SET shard = %(target)s, epoch = epoch + 1
WHERE organization_id = %(organization)s AND shard = %(source)s
"""
_AGE: Final = """
SELECT extract(epoch FROM now() - started_at)::float8 AS begun,
    extract(epoch FROM now() - flipped_at)::float8 AS flipped
FROM directory.moves WHERE id = %s
"""
_STANDING: Final = """
SELECT count(*) FILTER (WHERE finished_at IS NULL AND leased_until > now()) AS running,
    count(*) FILTER (WHERE finished_at IS NULL AND leased_until <= now()) AS broken_off,
    count(*) FILTER (WHERE state = 'finished') AS finished, count(*) FILTER (WHERE state = 'abandoned') AS abandoned,
    coalesce(sum(pause_ms), 0)::float8 / 1000 AS paused,
    coalesce(max(pause_ms) FILTER (WHERE flipped_at > now() - interval '1 day'), 0)::float8 / 1000 AS longest
FROM directory.moves
"""
_HOMES: Final = """
SELECT p.organization_id, p.shard, p.pin
FROM directory.placements p JOIN directory.organizations o ON o.id = p.organization_id
WHERE %(shard)s::smallint IS NULL OR p.shard = %(shard)s
"""


async def placed(directory: Directory, organization_id: OrganizationId) -> int:
    """Return the shard an organization lives on; raises NotFound."""
    row = await directory.ask(lambda tx: tx.one(_PLACED, (organization_id,)))
    if row is None:
        raise NotFound("There is no such organization.")
    return int(row["shard"])


async def begin(directory: Directory, organization_id: OrganizationId, target: int) -> Move | None:
    """Begin a move, or return the one that is under way; None where the organization lives there already."""
    async with directory.write() as tx:
        await tx.execute(_BEGIN, {"organization": organization_id, "target": target})
        row = await tx.one(_OPEN, (organization_id,))
    return None if row is None else _move(row)


async def of(directory: Directory, organization_id: OrganizationId) -> Move | None:
    """Return the move of an organization that is not finished, None where there is none."""
    row = await directory.ask(lambda tx: tx.one(_OPEN, (organization_id,)))
    return None if row is None else _move(row)


async def under_way(directory: Directory, most: int = 1000) -> list[Move]:
    """Return the moves that are not finished, oldest first."""
    return [_move(row) for row in await directory.ask(lambda tx: tx.all(_ALL_OPEN, (most,)))]


async def take(directory: Directory, move: Move, owner: str, lease: float) -> Move:
    """Take a move over under the next number; raises MoveTaken while another process has it."""
    async with directory.write() as tx:
        row = await tx.one(_TAKE, {"id": move.id, "owner": owner, "lease": lease})
    if row is None:
        raise MoveTaken
    return _move(row)


async def beat(directory: Directory, move: Move, lease: float) -> None:
    """Keep the lease; raises MoveTaken when somebody else has the move."""
    async with directory.write() as tx:
        if not await tx.execute(_BEAT, (lease, move.id, move.fence)):
            raise MoveTaken


async def leave(directory: Directory, move: Move) -> None:
    """Let another process go on at once."""
    async with directory.write() as tx:
        await tx.execute(_LEAVE, (move.id, move.fence))


async def change(directory: Directory, move: Move, state: State, *, copied: tuple[str, ...], told: int | None) -> Move:
    """Write a state and how far it came; raises MoveTaken when somebody else has the move."""
    if state != move.state and state not in FOLLOWING[move.state]:
        message = f"A move goes from {move.state} to {' or '.join(FOLLOWING[move.state])}, not to {state}."
        raise ValueError(message)
    async with directory.write() as tx:
        facts = {"id": move.id, "fence": move.fence, "state": state, "copied": list(copied), "told": told}
        if not await tx.execute(_CHANGE, facts):
            raise MoveTaken
        row = await tx.one(_OPEN, (move.organization_id,))
    return move if row is None else _move(row)


async def flip(directory: Directory, move: Move, pause_ms: int) -> Move:
    """Let the organization live at the target: placement and move in one transaction; raises MoveTaken."""
    async with directory.write() as tx:
        if not await tx.execute(_FLIP, {"id": move.id, "fence": move.fence, "pause": pause_ms}):
            raise MoveTaken
        facts = {"organization": move.organization_id, "source": move.source, "target": move.target}
        if not await tx.execute(_PLACE, facts):
            raise MoveTaken("The organization's placement was changed by somebody else.")
        row = await tx.one(_OPEN, (move.organization_id,))
    return move if row is None else _move(row)


async def ages(directory: Directory, move: Move) -> tuple[float, float]:
    """Return how many seconds ago a move began and was flipped, by the directory's clock."""
    row = await directory.ask(lambda tx: tx.one(_AGE, (move.id,)))
    return (0.0, 0.0) if row is None else (row["begun"], row["flipped"] or 0.0)


async def standing(directory: Directory) -> Standing:
    """Return how moves stand, for the metrics: also those whose runner is gone."""
    row = await directory.ask(lambda tx: tx.one(_STANDING))
    if row is None:
        raise Unavailable
    states = ("running", "broken_off", "finished", "abandoned")
    return Standing(
        counts={state: row[state] for state in states}, paused_seconds=row["paused"], longest_pause=row["longest"]
    )


async def homes(directory: Directory, shard: int | None = None) -> dict[OrganizationId, Home]:
    """Return where organizations live: all, or those of one shard."""
    rows = await directory.ask(lambda tx: tx.all(_HOMES, {"shard": shard}))
    return {OrganizationId(row["organization_id"]): Home(shard=row["shard"], pin=row["pin"]) for row in rows}


def _move(row: Row) -> Move:
    return Move(
        id=row["id"],
        organization_id=OrganizationId(row["organization_id"]),
        source=row["source"],
        target=row["target"],
        state=row["state"],
        epoch=row["epoch"],
        copied=tuple(row["copied"]),
        told=row["told"],
        fence=row["fence"],
        pause_ms=row["pause_ms"],
    )
