"""Exporting one organization to a file: ``make-bridge org export``, beside servers that run.

Read in one snapshot of its shard and one of the directory. Nothing changes where it is; whoever wants it to work in the
other installation only switches it off here.
"""

import asyncio
import hashlib
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow, dict_row

from make_bridge import __version__
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import Gone, NotFound
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.backups.archive import (
    FORMAT,
    SALT_BYTES,
    ArchiveManifest,
    SavedTable,
    pack,
    passphrase_key,
)
from make_bridge.platform.backups.carried import DIRECTORY, LEFT_BEHIND, carried_tables
from make_bridge.platform.backups.credentials import COLUMNS, ROWS
from make_bridge.platform.backups.sums import read_alike
from make_bridge.platform.security.key_wrapping import Wrapping, data_key_place
from make_bridge.platform.security.sealing import Sealed, SealingKey

Connection = AsyncConnection[DictRow]
_SNAPSHOT: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_NAME: Final = "SELECT name, shredded_at FROM directory.organizations WHERE id = %s"
_KEYS: Final = "SELECT version, wrapped FROM directory.data_keys WHERE organization_id = %s ORDER BY version"
_COLUMNS: Final = """
SELECT a.attname AS name FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0
AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = '' ORDER BY a.attname
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where an organization is, or is to be: the owners' addresses of the directory and of its shard."""

    directory: str
    shard: str

    def __repr__(self) -> str:
        """Show no secret."""
        return "Places(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exports:
    """See the module."""

    places: Places
    roots: Wrapping
    clock: Clock

    async def export(self, organization_id: OrganizationId, passphrase: bytes | None, target: Path) -> ArchiveManifest:
        """Write an organization's archive; raises NotFound, Gone for one whose keys were destroyed, InvalidInput.

        Without a passphrase it is written without credentials (``credentials``).
        """
        salt = secrets.token_bytes(SALT_BYTES)
        key = None if passphrase is None else await asyncio.to_thread(passphrase_key, passphrase, salt)
        with tempfile.TemporaryDirectory(prefix="make-bridge-export-", dir=target.parent) as place:
            async with await connected(self.places.directory) as directory, await connected(self.places.shard) as shard:
                for connection in (directory, shard):
                    await connection.execute(_SNAPSHOT)
                name = await self._name(directory, organization_id)
                sealed = {} if key is None else await self._keys(directory, organization_id, key)
                tables = await _write_all(
                    directory, shard, organization_id, Path(place), with_credentials=key is not None
                )
                manifest = ArchiveManifest(
                    format=FORMAT,
                    organization_id=organization_id,
                    name=name,
                    program_version=__version__,
                    directory_version=await version(directory, "directory"),
                    shard_version=await version(shard, "shard"),
                    exported_at=self.clock.now().isoformat(),
                    salt=salt.hex(),
                    data_keys=sealed,
                    tables=tables,
                    left_behind={table: await _count(shard, table, organization_id) for table in LEFT_BEHIND},
                )
            await asyncio.to_thread(pack, Path(place), manifest, target)
        return manifest

    async def _keys(self, directory: Connection, organization_id: OrganizationId, key: SealingKey) -> dict[str, str]:
        """Return the organization's data keys, sealed by the passphrase's."""
        sealed = {}
        for row in await (await directory.execute(_KEYS, (organization_id,))).fetchall():
            there = data_key_place(organization_id, row["version"])
            material = await self.roots.unwrap(there, Sealed(row["wrapped"]))
            sealed[str(row["version"])] = key.seal(there, material).text
        return sealed

    async def _name(self, directory: Connection, organization_id: OrganizationId) -> str:
        row = await (await directory.execute(_NAME, (organization_id,))).fetchone()
        if row is None:
            raise NotFound("There is no such organization.")
        if row["shredded_at"] is not None:
            raise Gone("The keys of this organization were destroyed: there is nothing to take along.")
        return str(row["name"])


async def connected(dsn: str) -> Connection:
    """Connect as an owner, reading and writing rows as texts that mean the same everywhere."""
    connection = await AsyncConnection[DictRow].connect(
        dsn, autocommit=True, row_factory=dict_row, connect_timeout=10, application_name="make-bridge organization"
    )
    await read_alike(connection)
    return connection


async def version(connection: Connection, tree: str) -> str:
    """Return which version a tree's tables are at."""
    statement = sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(tree, "schema_version"))
    row = await (await connection.execute(statement)).fetchone()
    return "" if row is None else str(row["version_num"])


async def directory_columns(connection: Connection, table: str) -> list[str]:
    """Return the columns of a table of the directory that are written."""
    rows = await (await connection.execute(_COLUMNS, (f"directory.{table}",))).fetchall()
    return [row["name"] for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """One table, and the column that says whose its rows are."""

    schema: str
    name: str
    columns: tuple[str, ...]
    key: str = "organization_id"
    with_credentials: bool = True

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def cells(self) -> sql.Composable:
        """What is read of each row, as texts."""
        return sql.SQL(", ").join(self._cell(column) for column in self.columns)

    @property
    def condition(self) -> sql.Composable:
        """Which rows go along, beside being the organization's."""
        return sql.SQL("true" if self.with_credentials or self.full_name not in ROWS else "false")

    def _cell(self, column: str) -> sql.Composable:
        instead = None if self.with_credentials else COLUMNS.get((self.full_name, column))
        return sql.SQL("{}::text").format(sql.Identifier(column)) if instead is None else sql.SQL(instead)


async def _write_all(
    directory: Connection,
    shard: Connection,
    organization_id: OrganizationId,
    folder: Path,
    *,
    with_credentials: bool,
) -> dict[str, SavedTable]:
    found: dict[str, SavedTable] = {}
    for name in DIRECTORY:
        columns = tuple(await directory_columns(directory, name))
        key = "id" if name == "organizations" else "organization_id"
        table = _Table(schema="directory", name=name, columns=columns, key=key, with_credentials=with_credentials)
        found[table.full_name] = await _write(directory, table, organization_id, folder)
    for carried in await carried_tables(shard):
        table = _Table(schema="shard", name=carried.name, columns=carried.columns, with_credentials=with_credentials)
        found[table.full_name] = await _write(shard, table, organization_id, folder)
    return found


async def _write(connection: Connection, table: _Table, organization_id: OrganizationId, folder: Path) -> SavedTable:
    statement = sql.SQL("SELECT ARRAY[{}] AS cells FROM {} WHERE {} = {} AND {}").format(
        table.cells,
        sql.Identifier(table.schema, table.name),
        sql.Identifier(table.key),
        sql.Literal(int(organization_id)),
        table.condition,
    )
    digest, rows, size = hashlib.sha256(), 0, 0
    with (folder / table.full_name).open("wb") as file:
        async with connection.cursor(name="exported") as cursor:
            await cursor.execute(statement)
            async for row in cursor:
                line = msgspec.json.encode(row["cells"]) + b"\n"
                digest.update(line)
                rows, size = rows + 1, size + len(line)
                file.write(line)
    return SavedTable(columns=table.columns, rows=rows, bytes=size, sha256=digest.hexdigest())


async def _count(shard: Connection, table: str, organization_id: OrganizationId) -> int:
    statement = sql.SQL("SELECT count(*) AS number FROM {} WHERE organization_id = %s").format(
        sql.Identifier("shard", table)
    )
    row = await (await shard.execute(statement, (organization_id,))).fetchone()
    return 0 if row is None else int(row["number"])
