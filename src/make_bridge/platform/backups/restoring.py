"""Bringing a backup back into empty databases: ``make-bridge restore DIR``.

The files are held against the manifest first, and what came of them is counted and summed up before anything else
touches it. A database has no version until all of that is right, and the directory gets its version last: nothing
serves what is only half there. A restore that fails leaves its databases empty again.

What was only true of the installation that was backed up ends here: people's sessions, leases of processes that are
gone, addresses of shards that are elsewhere. Portal tokens that may have been used up after the snapshot are let in no
more (``TOKENS_FACT``).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow, dict_row

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import BridgeError, ConfigurationError, Conflict, InvalidInput
from make_bridge.platform.backups.manifest import Manifest, SavedDatabase, Summed, differing_files
from make_bridge.platform.backups.moment import Part
from make_bridge.platform.backups.sums import read_alike, sums_of
from make_bridge.platform.database.client_programs import programs_for_server, server_major, start_program
from make_bridge.platform.database.opening import occupied
from make_bridge.platform.database.roles import ensure_group_roles

Tell = Callable[[str], None]
TOKENS_FACT: Final = "portal_tokens_from"
"""The fact after which portal tokens are let in again: those before may have been used in what was lost."""
_SCHEMAS: Final = ("directory", "shard")
_TAIL: Final = 1000
_ERROR: Final = "pg_restore: error:"
# What a newer program says to an older server, which does without.
_HARMLESS: Final = "unrecognized configuration parameter"
_OTHERS: Final = """
SELECT count(*) AS number FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_DROP: Final = "DROP SCHEMA IF EXISTS {} CASCADE"
_NOTE_VERSION: Final = "INSERT INTO {0} SELECT * FROM jsonb_populate_record(NULL::{0}, %s::jsonb)"
_END_LEASES: Final = (
    "UPDATE shard.queue SET lease_until = now() WHERE lease_until > now()",
    "UPDATE shard.leaders SET until = now() WHERE until > now()",
)
_END_SESSIONS: Final = (
    "DELETE FROM directory.sessions",
    "UPDATE directory.shards SET address = NULL WHERE address IS NOT NULL",
    "UPDATE directory.moves SET leased_until = now() WHERE leased_until > now()",
)
_NOTE_FACT: Final = """
INSERT INTO directory.facts (name, value) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""

Connection = AsyncConnection[DictRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreConfig:
    """Processes that write into a database at once, how long all may take, and how long a used token is remembered."""

    jobs: int
    seconds: float
    token_life: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Restores:
    """See the module."""

    config: RestoreConfig
    clock: Clock
    tell: Tell

    async def restore(self, folder: Path, manifest: Manifest, parts: Sequence[Part], *, replace: bool) -> None:
        """Bring everything back; ``replace`` drops what the databases hold now."""
        began = self.clock.now()
        pairs = _paired(manifest, parts)
        self.tell("comparing the files with their checksums")
        if wrong := await differing_files(folder, manifest):
            message = f"The backup in {folder} is damaged: {' '.join(wrong[:5])}"
            raise InvalidInput(message)
        for saved, part in pairs:
            await _require_fit(saved, part, replace=replace)
        try:
            async with asyncio.timeout(self.config.seconds):
                await self._restore(folder, pairs, began)
        except BaseException as error:
            for _, part in pairs:
                await asyncio.shield(empty(part))
            if isinstance(error, TimeoutError):
                message = f"The restore took longer than {self.config.seconds:g} s: give it more --minutes."
                raise BridgeError(message) from None
            raise

    async def _restore(self, folder: Path, pairs: Sequence[tuple[SavedDatabase, Part]], began: datetime) -> None:
        for saved, part in pairs:
            await empty(part)
            self.tell(f"writing {saved.what}")
            await self._fill(folder, saved, part)
            self.tell(f"comparing {saved.what} with the backup")
            await _require_alike(saved, part)
        # The directory comes last: without it nobody finds a shard.
        for saved, part in sorted(pairs, key=lambda pair: pair[0].has_directory):
            await self._finish(saved, part, began)

    async def _fill(self, folder: Path, saved: SavedDatabase, part: Part) -> None:
        await asyncio.to_thread(_ensure_roles, part.dsn)
        programs = await programs_for_server(part.dsn, saved.dump_version)
        process = await start_program(
            programs / "pg_restore",
            part.dsn,
            "--format=directory",
            "--no-owner",
            "--no-tablespaces",
            f"--jobs={self.config.jobs}",
            str(folder / saved.folder),
        )
        try:
            _, complaint = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        errors = [line for line in complaint.decode(errors="replace").splitlines() if line.startswith(_ERROR)]
        if strange := [line for line in errors if _HARMLESS not in line]:
            message = f"{saved.what} could not be restored: {' '.join(strange)[:_TAIL]}"
            raise BridgeError(message)
        if process.returncode and not errors:
            message = f"{saved.what} could not be restored: {complaint.decode(errors='replace').strip()[-_TAIL:]}"
            raise BridgeError(message)

    async def _finish(self, saved: SavedDatabase, part: Part, began: datetime) -> None:
        """End what was of the installation that was backed up, and say which version the tables are at."""
        async with await _connect(part) as connection, connection.transaction():
            if saved.shard is not None:
                for statement in _END_LEASES:
                    await connection.execute(statement)
            if saved.has_directory:
                for statement in _END_SESSIONS:
                    await connection.execute(statement)
                until = began + self.config.token_life
                await connection.execute(_NOTE_FACT, (TOKENS_FACT, until.isoformat()))
            for tree, version in saved.versions.items():
                row = {"version_num": version.version, "serves_from": version.serves_from}
                noting = sql.SQL(_NOTE_VERSION).format(sql.Identifier(tree, "schema_version"))
                await connection.execute(noting, (msgspec.json.encode(row).decode(),))


async def empty(part: Part) -> None:
    """Drop everything of ours in a database."""
    async with await _connect(part) as connection:
        for schema in _SCHEMAS:
            dropping = sql.SQL(_DROP).format(sql.Identifier(schema))
            await connection.execute(dropping)


def _paired(manifest: Manifest, parts: Sequence[Part]) -> list[tuple[SavedDatabase, Part]]:
    """Return each saved database with where it goes; raises InvalidInput where the two are laid out differently."""
    there = {(part.has_directory, part.shard): part for part in parts}
    saved = {(database.has_directory, database.shard): database for database in manifest.databases}
    if there.keys() != saved.keys():
        wanted = ", ".join(database.what for database in manifest.databases)
        given = ", ".join(part.folder for part in parts)
        message = (
            f"The backup holds {wanted}, each in a database of its own, and the settings name other databases "
            f"({given}): name the same with MAKE_BRIDGE_DATABASE_URL and MAKE_BRIDGE_SHARD_URLS."
        )
        raise InvalidInput(message)
    return [(database, there[place]) for place, database in saved.items()]


async def _require_fit(saved: SavedDatabase, part: Part, *, replace: bool) -> None:
    major = await server_major(part.dsn)
    if major < saved.server_version:
        message = (
            f"{saved.what} was on PostgreSQL {saved.server_version}; it goes into the same or a newer one, not {major}."
        )
        raise ConfigurationError(message)
    async with await _connect(part) as connection:
        row = await (await connection.execute(_OTHERS)).fetchone()
    if row is not None and row["number"]:
        message = f"{row['number']} sessions are connected to the database of {saved.what}: stop every server first."
        raise Conflict(message)
    if not replace and not (await occupied(part.dsn)).is_free:
        message = f"The database of {saved.what} is not empty. --replace drops what it holds."
        raise Conflict(message)


async def _require_alike(saved: SavedDatabase, part: Part) -> None:
    """Raise BridgeError where what is in a database is not what was in it at the snapshot."""
    async with await _connect(part) as connection:
        await read_alike(connection)
        tables, organizations = await sums_of(connection)
    wrong = _differing(saved.tables, tables) or _differing(saved.organizations, organizations)
    if wrong:
        message = f"{saved.what} did not come back as it was saved: {', '.join(wrong[:10])} differ."
        raise BridgeError(message)


def _differing(saved: Mapping[str, Summed], found: Mapping[str, Summed]) -> list[str]:
    return sorted(name for name in saved.keys() | found.keys() if saved.get(name) != found.get(name))


def _ensure_roles(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
        ensure_group_roles(connection)


async def _connect(part: Part) -> Connection:
    try:
        return await AsyncConnection[DictRow].connect(
            part.dsn, autocommit=True, row_factory=dict_row, connect_timeout=10, application_name="make-bridge restore"
        )
    except psycopg.OperationalError as error:
        message = f"Cannot reach the database of {part.folder}: {error}"
        raise ConfigurationError(message) from error
