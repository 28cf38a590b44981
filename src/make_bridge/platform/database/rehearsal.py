"""A rehearsal of an upgrade: the pending migrations on a copy, with what each costs and whom it holds up.

``make-bridge upgrade --rehearse`` calls it. The copy is a database beside the one that is served, made by ``pg_dump``
and ``pg_restore`` and dropped at the end, or one that the operator gives. Of each migration the time is measured, and
the strongest lock on each table that was there before, from the statement that took it until the end of the
transaction: so long everybody would wait who needs the table otherwise.
"""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Connection, event

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.platform.database.client_programs import programs_for_server, start_program
from make_bridge.platform.database.migration_steps import MIGRATIONS, upgrade
from make_bridge.platform.database.versions import LockPatience, Tree

# From the weakest to the strongest; what a reading takes holds nobody up.
_MODES: Final = (
    "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock",
    "ExclusiveLock", "AccessExclusiveLock",
)  # fmt: skip
_FIRST_THAT_STOPS_WRITING: Final = _MODES.index("ShareLock")
_LOCKS: Final = """
SELECT c.oid, n.nspname || '.' || c.relname AS name, l.mode FROM pg_locks l
JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_backend_pid() AND l.granted AND l.locktype = 'relation' AND c.relkind IN ('r', 'p')
  AND n.nspname IN ('directory', 'shard')
"""
_TABLES: Final = "SELECT oid FROM pg_class WHERE relkind IN ('r', 'p')"
_STATE: Final = "SELECT version_num, to_jsonb(v) ->> 'serves_from' FROM {}.schema_version v"
_COUNTED: Final = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('directory', 'shard')
"""
_TAIL: Final = 1000


class HeldLock(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The strongest lock of a migration on one table."""

    table: str
    mode: str
    seconds: float

    @property
    def meaning(self) -> str:
        """Say who waits for it."""
        if self.mode == _MODES[-1]:
            return "nobody reads or writes"
        return "nobody writes" if _MODES.index(self.mode) >= _FIRST_THAT_STOPS_WRITING else "nobody waits"


class RehearsedStep(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One migration on the copy. ``beside`` says what servers of the version before do when it is applied."""

    tree: Tree
    revision: str
    seconds: float
    locks: tuple[HeldLock, ...]
    beside: str


class _Watcher:
    """Looks at the locks of a migration after each of its statements."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.steps: list[RehearsedStep] = []
        self._before: str | None = None

    def begun(self, connection: Connection, _revision: str) -> None:
        self._began = self._statement = time.monotonic()
        self._old = {row[0] for row in _raw(connection).execute(_TABLES)}
        self._held: dict[str, tuple[str, float]] = {}
        version, self._floor = self._state(connection)
        self._before = self._before or version
        event.listen(connection, "before_cursor_execute", self._note_time)
        event.listen(connection, "after_cursor_execute", self._note_locks)

    def ended(self, connection: Connection, revision: str) -> None:
        now = time.monotonic()
        locks = [
            HeldLock(table=table, mode=mode, seconds=round(now - since, 4))
            for table, (mode, since) in self._held.items()
        ]
        self.steps.append(
            RehearsedStep(
                tree=self.tree,
                revision=revision,
                seconds=round(now - self._began, 4),
                locks=tuple(sorted(locks, key=lambda lock: (-_MODES.index(lock.mode), lock.table))),
                beside=self._beside(connection),
            )
        )

    def _beside(self, connection: Connection) -> str:
        _, floor = self._state(connection)
        if self._floor is None:
            return "those that run go on, none starts anew"
        if floor is not None and self._before is not None and floor > self._before:
            return "have to have ended"
        return "go on, and start anew"

    def _state(self, connection: Connection) -> tuple[str | None, str | None]:
        row = _raw(connection).execute(sql.SQL(_STATE).format(sql.Identifier(self.tree))).fetchone()
        return (None, None) if row is None else (row[0], row[1])

    def _note_time(self, *_told: object) -> None:
        self._statement = time.monotonic()

    def _note_locks(self, connection: Connection, *_told: object) -> None:
        for oid, table, mode in _raw(connection).execute(_LOCKS):
            if oid not in self._old or mode not in _MODES or table.endswith(".schema_version"):
                continue
            known, since = self._held.get(table, (None, self._statement))
            if known is None or _MODES.index(mode) > _MODES.index(known):
                self._held[table] = (mode, self._statement)
            else:
                self._held[table] = (known, since)


def rehearse(
    copy_dsn: str, trees: tuple[Tree, ...], patience: LockPatience, *, folder: Path = MIGRATIONS
) -> list[RehearsedStep]:
    """Apply what is pending to a copy, and return what each step cost."""
    steps: list[RehearsedStep] = []
    for tree in trees:
        watcher = _Watcher(tree)
        upgrade(copy_dsn, tree, patience, folder=folder, begun=watcher.begun, ended=watcher.ended)
        steps += watcher.steps
    return steps


@asynccontextmanager
async def copy_of(owner_dsn: str, *, seconds: float) -> AsyncIterator[str]:
    """Copy a database beside itself and give the copy's address; it is dropped at the end, whatever happened."""
    name = f"{str(conninfo_to_dict(owner_dsn).get('dbname') or 'bridge')[:40]}_rehearsal_{secrets.token_hex(4)}"
    await _run(owner_dsn, sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        copy = make_conninfo(owner_dsn, dbname=name)
        async with asyncio.timeout(seconds):
            complaint = await _copy(owner_dsn, copy)
        if await _size(owner_dsn) != await _size(copy):
            message = f"The copy of the database is not complete: {complaint.strip()[-_TAIL:]}"
            raise ConfigurationError(message)
        yield copy
    except TimeoutError:
        raise ConfigurationError(
            f"Copying the database took longer than {seconds:g} s: give a copy of your own with --copy."
        ) from None
    finally:
        await _run(owner_dsn, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def _copy(source: str, target: str) -> str:
    """Pipe a dump into the copy; return what was complained of, such as settings that an older server does not know."""
    programs = await programs_for_server(source)
    reading, writing = os.pipe()
    try:
        dump = await start_program(programs / "pg_dump", source, "--format=custom", "--compress=0", stdout=writing)
        restore = await start_program(programs / "pg_restore", target, stdin=reading)
    finally:
        os.close(reading)
        os.close(writing)
    try:
        (_, said), (_, more) = await asyncio.gather(dump.communicate(), restore.communicate())
    finally:
        for process in (dump, restore):
            if process.returncode is None:
                process.kill()
                await process.wait()
    if dump.returncode:
        message = f"The database could not be copied: {said.decode(errors='replace').strip()[-_TAIL:]}"
        raise ConfigurationError(message)
    return more.decode(errors="replace")


async def _run(owner_dsn: str, statement: sql.Composed) -> None:
    async with await psycopg.AsyncConnection.connect(owner_dsn, autocommit=True, connect_timeout=10) as connection:
        await connection.execute(statement)


async def _size(dsn: str) -> int:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=10) as connection:
        row = await (await connection.execute(_COUNTED)).fetchone()
        return int(row[0]) if row else 0


def _raw(connection: Connection) -> psycopg.Connection:
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(driver)
    return driver
