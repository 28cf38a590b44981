"""The guard on a shard's tables: laid while an organization leaves or arrives, and for good where one has left.

Made by the database's owner, one table after the other, each in a transaction of its own with a short wait for its lock
and many tries: nobody who writes waits longer than that. What the guard does stands in the migration 0027; the triggers
name the organizations, so that rows of others cost one comparison, and a shard without such organizations has none.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.sharding.moving_model import Move, MoveFailed, MoveTaken
from make_bridge.platform.sharding.moving_tables import MovingTable

# Shorter than PostgreSQL waits before it looks for deadlocks (deadlock_timeout, 1 s): of two that wait for each other
# this one gives way, and never a request, or another move that reads the same tables.
_LOCK_PATIENCE: Final = "SET LOCAL lock_timeout = '500ms'"
_LOCK_TRIES: Final = 100
_LOCK_PAUSE: Final = 0.2
_NAMES: Final = ("moving_guard_new", "moving_guard_old", "moving_log_new", "moving_log_old")
_ENTER: Final = """
INSERT INTO shard.movements AS m (organization_id, state, fence) VALUES (%(organization)s, %(state)s, %(fence)s)
ON CONFLICT (organization_id) DO UPDATE SET fence = excluded.fence, changed_at = now(),
    state = CASE WHEN %(state)s = 'leaving' THEN m.state ELSE excluded.state END
WHERE m.fence <= excluded.fence
"""
_STATE: Final = "SELECT state FROM shard.movements WHERE organization_id = %s"
_HOLD: Final = "SELECT 1 AS holds FROM shard.movements WHERE organization_id = %s AND fence = %s FOR SHARE"
_FORGET: Final = "DELETE FROM shard.movements WHERE organization_id = %s AND fence = %s"
_CLOSE: Final = """
UPDATE shard.movements SET state = 'closed', changed_at = now(),
    closed_until = clock_timestamp() + make_interval(secs => %(pause)s)
WHERE organization_id = %(organization)s AND fence = %(fence)s AND state IN ('leaving', 'closed')
"""
_REOPEN: Final = """
UPDATE shard.movements SET state = 'leaving', closed_until = NULL, changed_at = now()
WHERE organization_id = %s AND fence = %s AND state = 'closed'
"""
_LEFT: Final = """
UPDATE shard.movements SET state = 'left', closed_until = NULL, changed_at = now()
WHERE organization_id = %s AND fence = %s AND state = 'closed' AND closed_until > clock_timestamp()
"""
_GUARDED: Final = "SELECT organization_id FROM shard.movements ORDER BY organization_id"
_GUARDED_HERE: Final = """
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = ANY(%s) AND NOT tgisinternal
"""
_ONE_AT_A_TIME: Final = "SELECT pg_advisory_lock(hashtext('make_bridge.moving_guard'))"
_NEXT_MAY: Final = "SELECT pg_advisory_unlock(hashtext('make_bridge.moving_guard'))"


async def enter(connection: AsyncConnection[DictRow], move: Move, state: str) -> None:
    """Write that an organization leaves or arrives here, under the runner's number; one that has left stays so."""
    facts = {"organization": move.organization_id, "state": state, "fence": move.fence}
    if not (await connection.execute(_ENTER, facts)).rowcount:
        raise MoveTaken


async def state_of(connection: AsyncConnection[DictRow], move: Move) -> str | None:
    """Return what this shard says of the organization, None where it says nothing."""
    row = await (await connection.execute(_STATE, (move.organization_id,))).fetchone()
    return None if row is None else str(row["state"])


async def require_ours(connection: AsyncConnection[DictRow], move: Move) -> None:
    """Keep other runners from taking over until the transaction ends; raises MoveTaken where one has."""
    if await (await connection.execute(_HOLD, (move.organization_id, move.fence))).fetchone() is None:
        raise MoveTaken


async def become_mover(connection: AsyncConnection[DictRow], organization_id: OrganizationId) -> None:
    """Pass by the guard until the transaction ends."""
    await connection.execute("SELECT set_config('make_bridge.mover', %s, true)", (str(int(organization_id)),))


async def close(connection: AsyncConnection[DictRow], move: Move, pause: float) -> None:
    """Refuse writes of an organization for a while; returns when all that were under way have ended."""
    if not (await connection.execute(_CLOSE, _facts(move, pause))).rowcount:
        raise MoveTaken


async def reopen(connection: AsyncConnection[DictRow], move: Move) -> None:
    """Take writes again."""
    await connection.execute(_REOPEN, (move.organization_id, move.fence))


async def close_for_good(connection: AsyncConnection[DictRow], move: Move) -> bool:
    """Refuse writes for good: the point of no return. False when the time of the pause was over before."""
    return (await connection.execute(_LEFT, (move.organization_id, move.fence))).rowcount == 1


async def forget(connection: AsyncConnection[DictRow], move: Move) -> None:
    """Let the organization be one like all others here."""
    if not (await connection.execute(_FORGET, (move.organization_id, move.fence))).rowcount:
        raise MoveTaken


async def lay(connection: AsyncConnection[DictRow], tables: Sequence[MovingTable]) -> None:
    """Give every table the guard for the organizations that this shard's ``movements`` name, or none."""
    await connection.execute(_ONE_AT_A_TIME)
    try:
        rows = await (await connection.execute(_GUARDED)).fetchall()
        listed = [int(row["organization_id"]) for row in rows]
        for table in tables:
            await _patiently(partial(_lay_on, connection, table, listed), table.name)
    finally:
        await connection.execute(_NEXT_MAY)


async def _lay_on(connection: AsyncConnection[DictRow], table: MovingTable, listed: Sequence[int]) -> None:
    found = await (await connection.execute(_GUARDED_HERE, (f"shard.{table.name}", list(_NAMES)))).fetchone()
    async with connection.transaction():
        await connection.execute(_LOCK_PATIENCE)
        if found is not None and found["triggers"]:
            for removal in _removals(table):
                await connection.execute(removal)
        if listed:
            for trigger in _triggers(table, listed):
                await connection.execute(trigger)


def _removals(table: MovingTable) -> list[sql.Composed]:
    """Return what takes a table's four triggers away, whichever of them are there."""
    statement = sql.SQL("DROP TRIGGER IF EXISTS {} ON {}")
    return [statement.format(sql.Identifier(name), table.relation) for name in _NAMES]


def _triggers(table: MovingTable, listed: Sequence[int]) -> list[sql.Composed]:
    """Return what makes a table's four triggers: before and after, for rows that come and rows that were there."""
    array = sql.SQL("ARRAY[{}]::bigint[]").format(sql.SQL(",").join(map(sql.Literal, listed)))
    made: list[sql.Composed] = []
    for name, moment, act, row, function in (
        ("moving_guard_new", "BEFORE", "INSERT", "NEW", "moving_guard"),
        ("moving_guard_old", "BEFORE", "UPDATE OR DELETE", "OLD", "moving_guard"),
        ("moving_log_new", "AFTER", "INSERT", "NEW", "moving_log"),
        ("moving_log_old", "AFTER", "UPDATE OR DELETE", "OLD", "moving_log"),
    ):
        statement = sql.SQL(
            f"CREATE TRIGGER {name} {moment} {act} ON {{}} FOR EACH ROW"
            f" WHEN ({row}.organization_id = ANY ({{}})) EXECUTE FUNCTION shard.{function}({{}}, {{}})"
        )
        key = sql.Literal(table.key_of_row)
        made.append(statement.format(table.relation, array, sql.Literal(table.name), key))
    return made


async def _patiently(act: Callable[[], Awaitable[None]], name: str) -> None:
    for _ in range(_LOCK_TRIES):
        try:
            await act()
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            await asyncio.sleep(_LOCK_PAUSE)
        else:
            return
    message = f"The table {name} is locked by somebody who does not let go: see pg_stat_activity, then repeat this."
    raise MoveFailed(message)


def _facts(move: Move, pause: float) -> dict[str, object]:
    return {"organization": move.organization_id, "fence": move.fence, "pause": pause}
