"""One moment in all databases of an installation: a snapshot of each, taken while no organization changes its place.

Organizations are made in the directory first and on their shard second, and a move ends with a change of the directory.
So the directory's table of placements is held for the few milliseconds in which every shard's snapshot is taken: what
the directory says of a shard is then true in that shard's snapshot. The writes of webhooks, runs and pages hold nothing
of that and go on; only making or moving an organization waits. The last steps of a move, in which an organization is at
two places, are waited for.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow, dict_row

from make_bridge.kernel.errors import ConfigurationError, Conflict
from make_bridge.platform.backups.sums import read_alike

_HOLD: Final = (
    "SET LOCAL lock_timeout = '1s'",
    "LOCK TABLE directory.placements, directory.moves IN SHARE MODE",
)
_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SNAPSHOT: Final = "SELECT pg_export_snapshot() AS name, clock_timestamp() AS taken_at"
_HAS_TREES: Final = """
SELECT to_regclass('directory.schema_version') IS NOT NULL AS directory,
    to_regclass('shard.schema_version') IS NOT NULL AS shard
"""
_CLOSING: Final = "SELECT organization_id FROM directory.moves WHERE state = 'closing' AND finished_at IS NULL LIMIT 1"
_SHARDS: Final = "SELECT number FROM directory.shards WHERE state <> 'removed' ORDER BY number"
_VERSION: Final = "SELECT version_num, to_jsonb(v) ->> 'serves_from' AS serves_from FROM {} AS v"
_SIZE: Final = """
SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint AS bytes FROM pg_class c JOIN pg_namespace n
ON n.oid = c.relnamespace WHERE n.nspname IN ('directory', 'shard') AND c.relkind = 'r'
"""
_ROOT: Final = "SELECT value FROM directory.facts WHERE name = 'root_key_check'"
_TRIES: Final = 60
_PAUSE_SECONDS: Final = 1.0

Connection = AsyncConnection[DictRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One database of an installation, by its owner's address; ``shard`` is the shard it is, if it is one."""

    dsn: str
    has_directory: bool
    shard: int | None

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Part(shard={self.shard}, has_directory={self.has_directory})"

    @property
    def trees(self) -> tuple[str, ...]:
        """Which trees of tables it carries."""
        return ("directory",) * self.has_directory + ("shard",) * (self.shard is not None)

    @property
    def folder(self) -> str:
        """What its dump is called in a backup."""
        return "directory" if self.shard is None else f"shard-{self.shard}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A part as it was at the moment; ``connection`` keeps it so while it is open."""

    part: Part
    connection: Connection
    name: str
    taken_at: datetime


@asynccontextmanager
async def moment_of(parts: Sequence[Part]) -> AsyncIterator[list[Snapshot]]:
    """Take the snapshots; raises Conflict where a move does not end, ConfigurationError for shards nobody named."""
    async with AsyncExitStack() as stack:
        opened = [(part, await stack.enter_async_context(_opened(part))) for part in parts]
        holder = await stack.enter_async_context(_opened(next(part for part in parts if part.has_directory)))
        await _require_all_shards(holder, parts)
        for _ in range(_TRIES):
            snapshots = await _try(holder, opened)
            if snapshots is not None:
                yield snapshots
                return
            await asyncio.sleep(_PAUSE_SECONDS)
    raise Conflict(
        "An organization is at the end of a move between shards, or is being made, and does not come to an end: look "
        "at 'make-bridge shards moves', and begin the backup again."
    )


async def _try(holder: Connection, opened: list[tuple[Part, Connection]]) -> list[Snapshot] | None:
    try:
        async with holder.transaction():
            for statement in _HOLD:
                await holder.execute(statement)
            if await (await holder.execute(_CLOSING)).fetchone() is not None:
                return None
            return [await _snapshot(part, connection) for part, connection in opened]
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        return None


async def _snapshot(part: Part, connection: Connection) -> Snapshot:
    await connection.execute(_BEGIN)
    row = await (await connection.execute(_SNAPSHOT)).fetchone()
    if row is None:
        raise TypeError
    return Snapshot(part=part, connection=connection, name=row["name"], taken_at=row["taken_at"])


async def _require_all_shards(holder: Connection, parts: Sequence[Part]) -> None:
    there = {int(row["number"]) for row in await (await holder.execute(_SHARDS)).fetchall()}
    if missing := sorted(there - {part.shard for part in parts}):
        message = (
            f"Only what serves is known of shard {missing[0]}, not its owner's address, which a backup needs: give it "
            f"with --owner-file {missing[0]}=FILE."
        )
        raise ConfigurationError(message)


@asynccontextmanager
async def _opened(part: Part) -> AsyncIterator[Connection]:
    try:
        connection = await AsyncConnection[DictRow].connect(
            part.dsn, autocommit=True, row_factory=dict_row, connect_timeout=10, application_name="make-bridge backup"
        )
    except psycopg.OperationalError as error:
        message = f"Cannot reach the database of {part.folder}: {error}"
        raise ConfigurationError(message) from error
    async with connection:
        await read_alike(connection)
        there = await (await connection.execute(_HAS_TREES)).fetchone()
        if there is None or not all(there[tree] for tree in part.trees):
            message = f"There is nothing to back up in the database of {part.folder}: it was never migrated."
            raise ConfigurationError(message)
        yield connection


async def version_of(snapshot: Snapshot, tree: str) -> tuple[str, str]:
    """Return which version a tree's tables are at, and from which on programs may serve it."""
    statement = sql.SQL(_VERSION).format(sql.Identifier(tree, "schema_version"))
    row = await (await snapshot.connection.execute(statement)).fetchone()
    return ("", "") if row is None else (str(row["version_num"]), str(row["serves_from"] or ""))


async def size_of(snapshot: Snapshot) -> int:
    """Return how many bytes the tables have, which is more than a dump of them."""
    row = await (await snapshot.connection.execute(_SIZE)).fetchone()
    return 0 if row is None else int(row["bytes"])


async def root_key_check(snapshot: Snapshot) -> str:
    """Return what tells the root key in force; empty where nothing was ever sealed."""
    row = await (await snapshot.connection.execute(_ROOT)).fetchone()
    return "" if row is None else str(row["value"])
