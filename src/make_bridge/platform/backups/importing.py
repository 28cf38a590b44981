"""Importing an organization from a file: ``make-bridge org import``, beside servers that run.

It keeps its ids: scenarios, hooks and connections name each other by them inside blueprints and sealed values, and the
addresses of its webhooks begin with the organization's. Where one of them is taken here, the whole import is refused.
The sequences that new ids come from are raised above those that came. All rows are written in one transaction of the
shard and one of the directory; the directory's is committed last, and what the shard has is deleted if that fails.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow

from make_bridge.kernel.errors import Conflict, InvalidInput
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.backups.archive import ArchiveManifest, Reading, SavedTable, opened, passphrase_key
from make_bridge.platform.backups.carried import DIRECTORY, carried_tables
from make_bridge.platform.backups.credentials import Refill
from make_bridge.platform.backups.exporting import Places, connected, directory_columns, version
from make_bridge.platform.security.key_wrapping import Wrapping, data_key_name, data_key_place
from make_bridge.platform.security.sealing import SealBroken, Sealed, SealingKey
from make_bridge.platform.sharding.moving_copy import clear

Connection = AsyncConnection[DictRow]
_BIRTHS: Final = 1024
_LARGEST_ID: Final = 2**50
_MOST_KEYS: Final = 1000
_FIRST: Final = 1
_ROOT: Final = "SELECT value FROM directory.facts WHERE name = 'root_key_check' FOR SHARE"
_KEY: Final = "INSERT INTO directory.data_keys (organization_id, version, wrapped) VALUES (%s, %s, %s)"
_PLACE: Final = "INSERT INTO directory.placements (organization_id, shard) VALUES (%s, %s)"
_RENAME: Final = "UPDATE directory.organizations SET name = %s WHERE id = %s"
_RAISE: Final = "SELECT setval(%s::regclass, greatest((SELECT last_value FROM {}), %s))"
_STRANGE_TEAM: Final = """
SELECT 1 AS found FROM {} t JOIN shard.teams o ON o.id = t.team_id
WHERE t.organization_id = %s AND o.organization_id <> t.organization_id LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imports:
    """See the module. ``shard`` is the number of the shard that the places name."""

    places: Places
    shard: int
    others: tuple[str, ...]
    """The owners' addresses of all other shards: ids that came may have been born with their numbers."""
    roots: Wrapping
    most_bytes: int
    refill: Refill

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Imports(shard={self.shard})"

    async def bring(self, file: Path, passphrase: bytes | None, *, name: str | None = None) -> ArchiveManifest:
        """Import an archive; raises InvalidInput for one that is wrong, Conflict where something of it is here.

        The passphrase is that of the archive's credentials; one without them gets new ones here.
        """
        with opened(file, self.most_bytes) as reading:
            manifest = reading.manifest
            keys = await _data_keys(manifest, passphrase)
            async with await connected(self.places.directory) as directory, await connected(self.places.shard) as shard:
                await _require_same_versions(manifest, directory, shard)
                await self._bring(reading, keys, directory, shard, name)
        return manifest

    async def _bring(
        self, reading: Reading, keys: Mapping[int, bytes], directory: Connection, shard: Connection, name: str | None
    ) -> None:
        organization_id = OrganizationId(reading.manifest.organization_id)
        arrived = False
        try:
            async with directory.transaction():
                async with shard.transaction():
                    refilling = None if reading.manifest.data_keys else _Refilling(self.refill, organization_id, keys)
                    highest = await _Filling(directory, shard, organization_id, refilling).fill(reading)
                    await _raise_ids(shard, "shard.ids", highest["shard"])
                arrived = True
                await _raise_ids(directory, "directory.ids", highest["directory"])
                await directory.execute(_PLACE, (organization_id, self.shard))
                await self._wrap(directory, organization_id, keys)
                if name is not None:
                    await directory.execute(_RENAME, (name, organization_id))
        except BaseException as error:
            if arrived:
                await asyncio.shield(self._clear(organization_id))
            if isinstance(error, psycopg.errors.UniqueViolation):
                message = (
                    "An id, webhook address, key or token of this organization is taken in this installation: import "
                    f"it into one that has no other organization with the same ids. ({error.diag.constraint_name})"
                )
                raise Conflict(message) from None
            if isinstance(error, psycopg.DataError | psycopg.IntegrityError):
                message = f"The archive holds rows that cannot be: {error.diag.message_primary}"
                raise InvalidInput(message) from None
            raise
        for other in self.others:
            async with await connected(other) as connection:
                await _raise_ids(connection, "shard.ids", highest["shard"])

    async def _wrap(self, directory: Connection, organization_id: OrganizationId, keys: Mapping[int, bytes]) -> None:
        row = await (await directory.execute(_ROOT)).fetchone()
        for number, material in keys.items():
            place = data_key_place(organization_id, number)
            wrapped = await self.roots.wrap(place, material, None if row is None else row["value"])
            await directory.execute(_KEY, (organization_id, number, wrapped.text))

    async def _clear(self, organization_id: OrganizationId) -> None:
        async with await connected(self.places.shard) as shard, shard.transaction():
            await clear(shard, await carried_tables(shard), organization_id)


class _Refilling:
    """Puts into rows what an archive without credentials lacks, sealed by the organization's new key."""

    def __init__(self, refill: Refill, organization_id: OrganizationId, keys: Mapping[int, bytes]) -> None:
        self._refill = refill
        self._organization_id = organization_id
        self._key = SealingKey(data_key_name(_FIRST), keys[_FIRST])

    def row(self, name: str, columns: tuple[str, ...], cells: list[str | None]) -> list[str | None]:
        filled = self._refill.refill(name, dict(zip(columns, cells, strict=True)), self._organization_id, self._key)
        return [filled[column] for column in columns]


class _Filling:
    """Writes rows of an archive, each held to be the organization's own."""

    def __init__(
        self,
        directory: Connection,
        shard: Connection,
        organization_id: OrganizationId,
        refilling: _Refilling | None,
    ) -> None:
        self._refilling = refilling
        self._directory = directory
        self._shard = shard
        self._owner = str(int(organization_id))
        self._highest = {"directory": 0, "shard": 0}

    async def fill(self, reading: Reading) -> dict[str, int]:
        """Write all tables; return the highest ids that came. Parents come late in the archive, so keys wait."""
        known = {f"shard.{table.name}": table for table in await carried_tables(self._shard)}
        parts: dict[str, list[list[str | None]]] = {}
        for name, table, rows in reading.tables():
            schema, _, relation = name.partition(".")
            if name in known:
                columns = list(known[name].columns)
            elif schema == "directory" and relation in DIRECTORY:
                columns = await directory_columns(self._directory, relation)
            else:
                message = (
                    f"The archive holds a table that does not go from one installation to another: {name[:100]!r}."
                )
                raise InvalidInput(message)
            if list(table.columns) != columns:
                message = f"The archive has other columns of {name} than this program."
                raise InvalidInput(message)
            await self._stage(name, columns, self._checked(name, table, rows))
            parts[name] = []
        for name in [*(f"directory.{one}" for one in DIRECTORY), *known]:
            if name in parts:
                await self._take_over(name)
        for name, moving in known.items():
            if "team_id" in moving.columns:
                await self._require_own_teams(name, moving.relation)
        return self._highest

    def _checked(self, name: str, table: SavedTable, rows: Iterator[list[str | None]]) -> Iterator[list[str | None]]:
        schema = name.partition(".")[0]
        owner = table.columns.index("id" if name == "directory.organizations" else "organization_id")
        number = table.columns.index("id") if "id" in table.columns else None
        for row in rows:
            if row[owner] != self._owner:
                message = f"The archive holds a row of {name} that belongs to another organization."
                raise InvalidInput(message)
            value = None if number is None else row[number]
            if value is not None and value.isascii() and value.isdecimal():
                if int(value) > _LARGEST_ID:
                    message = f"The archive holds an id that no installation has given: {value[:30]}."
                    raise InvalidInput(message)
                self._highest[schema] = max(self._highest[schema], int(value))
            yield row if self._refilling is None else self._refilling.row(name, table.columns, row)

    async def _stage(self, name: str, columns: list[str], rows: Iterator[list[str | None]]) -> None:
        """Write rows beside their table: the archive's order is not that of keys."""
        connection = self._of(name)
        relation, staged = _names(name)
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        made = sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA")
        making = made.format(staged, listed, relation)
        await connection.execute(making)
        write = sql.SQL("COPY {} ({}) FROM STDIN").format(staged, listed)
        async with connection.cursor() as cursor, cursor.copy(write) as into:
            for row in rows:
                await into.write_row(row)

    async def _take_over(self, name: str) -> None:
        relation, staged = _names(name)
        connection = self._of(name)
        columns = await (
            await connection.execute(
                "SELECT attname AS name FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0",
                (f'pg_temp."{_staged(name)}"',),
            )
        ).fetchall()
        listed = sql.SQL(", ").join(sql.Identifier(row["name"]) for row in columns)
        statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}")
        inserting = statement.format(relation, listed, listed, staged)
        await connection.execute(inserting)

    async def _require_own_teams(self, name: str, relation: sql.Composable) -> None:
        statement = sql.SQL(_STRANGE_TEAM).format(relation)
        if await (await self._shard.execute(statement, (int(self._owner),))).fetchone() is not None:
            message = f"The archive holds a row of {name} for a team of another organization."
            raise InvalidInput(message)

    def _of(self, name: str) -> Connection:
        return self._directory if name.startswith("directory.") else self._shard


def _staged(name: str) -> str:
    return f"imported_{name.replace('.', '_')}"


def _names(name: str) -> tuple[sql.Composable, sql.Composable]:
    schema, _, relation = name.partition(".")
    return sql.Identifier(schema, relation), sql.Identifier("pg_temp", _staged(name))


async def _data_keys(manifest: ArchiveManifest, passphrase: bytes | None) -> dict[int, bytes]:
    """Open the data keys, or make the first one; raises InvalidInput for a wrong passphrase."""
    if len(manifest.data_keys) > _MOST_KEYS or not 0 < manifest.organization_id <= _LARGEST_ID:
        raise InvalidInput("The archive's manifest is not one that an export has written.")
    if not manifest.data_keys:
        return {_FIRST: SealingKey.new_material()}
    if passphrase is None:
        raise InvalidInput("The archive holds credentials: give its passphrase.")
    try:
        key = await asyncio.to_thread(passphrase_key, passphrase, bytes.fromhex(manifest.salt))
        return {
            int(number): key.open(data_key_place(OrganizationId(manifest.organization_id), int(number)), Sealed(sealed))
            for number, sealed in manifest.data_keys.items()
        }
    except SealBroken:
        raise InvalidInput("The passphrase does not open this archive.") from None
    except ValueError:
        raise InvalidInput("The archive's manifest is not one that an export has written.") from None


async def _require_same_versions(manifest: ArchiveManifest, directory: Connection, shard: Connection) -> None:
    here = await version(directory, "directory"), await version(shard, "shard")
    if here != (manifest.directory_version, manifest.shard_version):
        message = (
            f"The archive is of version {manifest.program_version} of Make Bridge (tables {manifest.directory_version} "
            f"and {manifest.shard_version}), and this installation has tables {here[0]} and {here[1]}: upgrade the "
            "older one, then export again."
        )
        raise InvalidInput(message)


async def _raise_ids(connection: Connection, sequence: str, highest: int) -> None:
    statement = sql.SQL(_RAISE).format(sql.Identifier(*sequence.split(".")))
    await connection.execute(statement, (sequence, highest // _BIRTHS + 1))
