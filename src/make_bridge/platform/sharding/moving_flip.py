"""The last moment of a move: no writes, the last changes, and the other shard owns the organization.

Whatever leads on the source for all organizations (relay, scheduler, sealer, consumers, the look at usage) stands still
meanwhile, because the rows that say who leads are locked. Then the organization is closed, for a bounded time: closing
waits for every write under way. All that is still to go over is written at the target in one transaction that stays
open; closing for good is one row at the source, and is refused when the bounded time is over. Only then that
transaction is committed, and the placement changed. Before closing for good everything can be given up, and the source
takes writes again by itself; after it every runner can only go on.
"""

import time
from typing import Final

import psycopg
import structlog
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow

from make_bridge.platform.database.pools import Directory
from make_bridge.platform.sharding import moving_copy, moving_guard, moving_store
from make_bridge.platform.sharding.moving_model import Move, MoveFailed, MovingConfig
from make_bridge.platform.sharding.moving_tables import LATE, MovingTable

_STAND_STILL: Final = (
    "SELECT name FROM shard.leaders ORDER BY name FOR UPDATE",
    "SELECT name FROM shard.event_consumers ORDER BY name FOR UPDATE",
    "SELECT single FROM shard.usage_looks FOR UPDATE",
)
_SHORT: Final = "SET LOCAL lock_timeout = '400ms'"
_TOLD: Final = """
SELECT coalesce((SELECT min(position) FROM shard.event_consumers), 0) AS all_were,
    coalesce((SELECT max(position) FROM shard.event_consumers), 0) AS some_were,
    (SELECT last FROM shard.event_positions) AS last
"""
_TOLD_TO_SOME: Final = """
SELECT 1 AS is_there FROM shard.outbox WHERE organization_id = %s AND position > %s AND position <= %s LIMIT 1
"""
_RAISE: Final = "UPDATE shard.event_positions SET last = greatest(last, %s)"
# What the source's processes would still act on, for themselves, while its rows are kept.
_QUIET: Final = (
    "DELETE FROM shard.queue WHERE organization_id = %s AND lease_until IS NULL",
    """DELETE FROM shard.outbox WHERE organization_id = %s AND (position IS NULL OR position >
       (SELECT coalesce(min(position), 0) FROM shard.event_consumers))""",
    "DELETE FROM shard.parked_events WHERE organization_id = %s",
    "DELETE FROM shard.audit WHERE organization_id = %s AND seal IS NULL",
    "DELETE FROM shard.usage_limits WHERE organization_id = %s",
    "DELETE FROM shard.usage_states WHERE organization_id = %s",
    "UPDATE shard.scenarios SET schedule_anchor = NULL WHERE organization_id = %s AND schedule_anchor IS NOT NULL",
    "UPDATE shard.customers SET operations_limit = NULL WHERE organization_id = %s AND operations_limit IS NOT NULL",
    """UPDATE shard.teams SET operations_limit = NULL, transfer_limit = NULL WHERE organization_id = %s
       AND (operations_limit IS NOT NULL OR transfer_limit IS NOT NULL)""",
)
_log = structlog.get_logger(__name__)


class NotNow(Exception):
    """The organization could not be closed in the time there is; it takes writes again."""


async def told_to_all(source: AsyncConnection[DictRow]) -> int:
    """Return up to which event all consumers of a shard have come."""
    row = await (await source.execute(_TOLD)).fetchone()
    return 0 if row is None else int(row["all_were"])


async def quiet(source: AsyncConnection[DictRow], move: Move) -> None:
    """Take away at the source what its processes would act on; its other rows stay for the time of grace."""
    await moving_guard.become_mover(source, move.organization_id)
    for statement in _QUIET:
        await source.execute(statement, (move.organization_id,))


class LastMoment:
    """One try at closing, carrying over and flipping."""

    def __init__(
        self,
        directory: Directory,
        source: AsyncConnection[DictRow],
        still: AsyncConnection[DictRow],
        target: AsyncConnection[DictRow],
        tables: list[MovingTable],
        config: MovingConfig,
    ) -> None:
        """``still`` is another connection to the source: it holds what stands still, until the flip."""
        self._directory = directory
        self._source = source
        self._still = still
        self._target = target
        self._tables = tables
        self._config = config

    async def flip(self, move: Move, *, strictly: bool) -> Move:
        """Move the last, and flip; raises NotNow when it takes too long. ``strictly`` wants no event told twice."""
        try:
            async with self._still.transaction():
                await self._still.execute(_SHORT)
                for statement in _STAND_STILL:
                    await self._still.execute(statement)
                flipped = await self._closed(move, strictly=strictly)
                await quiet(self._still, move)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            raise NotNow from error
        return flipped

    async def _closed(self, move: Move, *, strictly: bool) -> Move:
        has_left = await moving_guard.state_of(self._source, move) == "left"
        began = time.monotonic()
        try:
            if not has_left:
                async with self._source.transaction():
                    await self._source.execute(_SHORT)
                    await moving_guard.close(self._source, move, self._config.pause)
            async with self._target.transaction():
                await moving_guard.require_ours(self._target, move)
                await moving_guard.become_mover(self._target, move.organization_id)
                await self._carry(move, strictly=strictly)
                await moving_guard.forget(self._target, move)
                if not has_left:
                    await self._leave(move)
                has_left = True
        except BaseException:
            if not has_left:
                await moving_guard.reopen(self._source, move)
            raise
        pause = round((time.monotonic() - began) * 1000)
        return await moving_store.flip(self._directory, move, pause)

    async def _leave(self, move: Move) -> None:
        """Pass the point of no return, if there is still time."""
        if not await moving_guard.close_for_good(self._source, move):
            raise NotNow

    async def _carry(self, move: Move, *, strictly: bool) -> None:
        """Bring over what changed and what was left for the last moment, and compare it."""
        async with self._source.transaction():
            await self._source.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            changed = await moving_copy.read_changes(self._source, move.organization_id, self._config.batch * 10)
            if len(changed.ids) == self._config.batch * 10:
                raise NotNow
            await moving_copy.apply(self._source, self._target, self._tables, changed, move)
            here = await moving_copy.sums_of_changed(self._source, self._tables, changed, move)
            there = await moving_copy.sums_of_changed(self._target, self._tables, changed, move)
            for table in self._tables:
                if table.name in LATE and table.name != "outbox":
                    condition = sql.SQL("NOT ({})").format(table.ahead(move.told or 0))
                    await moving_copy.pour(self._source, self._target, table, condition, move.organization_id)
            await self._carry_events(move, strictly=strictly)
            here |= await moving_copy.sums_of_late(self._source, self._tables, move)
            there |= await moving_copy.sums_of_late(self._target, self._tables, move)
        if wrong := moving_copy.differing(here, there):
            message = f"The two sides differ in {', '.join(wrong)} after the last changes."
            raise MoveFailed(message, code="move_differs")

    async def _carry_events(self, move: Move, *, strictly: bool) -> None:
        """Bring events: those that all consumers have heard as they are, the others to be told at the target."""
        row = await (await self._source.execute(_TOLD)).fetchone()
        all_were, some_were, last = (0, 0, 0) if row is None else (row["all_were"], row["some_were"], row["last"])
        if strictly and some_were > all_were:
            parameters = (move.organization_id, all_were, some_were)
            if await (await self._source.execute(_TOLD_TO_SOME, parameters)).fetchone() is not None:
                raise NotNow
        outbox = next(table for table in self._tables if table.name == "outbox")
        heard = sql.SQL("t.position > {} AND t.position <= {}").format(
            sql.Literal(move.told or 0), sql.Literal(all_were)
        )
        await moving_copy.pour(self._source, self._target, outbox, heard, move.organization_id)
        await moving_copy.pour_untold(self._source, self._target, outbox, all_were, move.organization_id)
        await self._target.execute(_RAISE, (last,))
