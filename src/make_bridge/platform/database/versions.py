"""Which version a database is at, and the request that brings it forward.

Reading the version needs only the driver, so a start on an up-to-date database costs one query.
``_HEADS`` names the newest revision of each tree; a test compares it with the files.
"""

import asyncio
import sys
from typing import Any, Literal

import msgspec
import psycopg

from make_bridge.kernel.errors import ConfigurationError

Tree = Literal["directory", "shard"]
HEADS: dict[Tree, str] = {"directory": "0011", "shard": "0032"}
_OLDEST_SERVER = 150000
# The column is missing in databases of versions that knew of no other.
_VERSION = "SELECT version_num, to_jsonb(v) ->> 'serves_from' FROM tree.schema_version v"
_TABLE_EXISTS = "SELECT to_regclass(%s) IS NOT NULL AS present"


class LockPatience(msgspec.Struct, frozen=True, kw_only=True):
    """How a migration waits for locks: shortly, and again."""

    seconds: float = 1.0
    tries: int = 30


class MigrationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What one database should become."""

    owner_dsn: str
    trees: tuple[Tree, ...]
    shard_number: int = 0
    known_shards: tuple[int, ...] = (0,)
    serving_role: str | None = None
    serving_password: str = ""
    patience: LockPatience = LockPatience()

    def __repr__(self) -> str:
        """Show no secret."""
        return f"MigrationRequest(trees={self.trees}, shard_number={self.shard_number})"


async def pending(dsn: str, trees: tuple[Tree, ...]) -> tuple[Tree, ...]:
    """Return the trees that are older than this program; refuses servers older than PostgreSQL 15.

    A tree that is newer is none of them where it takes this program (``migrations/phases``): so the version before goes
    on, and may be started anew, beside servers of the next one. Where it does not, ConfigurationError says so.
    """
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=10) as connection:
        if connection.info.server_version < _OLDEST_SERVER:
            message = f"PostgreSQL {connection.info.server_version // 10000} is too old: 15 to 18 are supported."
            raise ConfigurationError(message)
        behind = []
        for tree in trees:
            version, serves_from = await _version(connection, tree)
            if version is None or version < HEADS[tree]:
                behind.append(tree)
            elif serves_from > HEADS[tree]:
                message = (
                    f"The database is at version {version} of its {tree} tables and takes programs from {serves_from} "
                    f"on; this one knows {HEADS[tree]}: start the newer version of Make Bridge."
                )
                raise ConfigurationError(message)
        return tuple(behind)


async def _version(connection: psycopg.AsyncConnection[Any], tree: Tree) -> tuple[str | None, str]:
    """Return a tree's version, and the version from which on programs may serve it."""
    row = await (await connection.execute(_TABLE_EXISTS, (f"{tree}.schema_version",))).fetchone()
    if row is None or not row[0]:
        return None, ""
    cursor = await connection.execute(_VERSION.replace("tree", tree).encode())
    found = await cursor.fetchone()
    return (None, "") if found is None else (str(found[0]), str(found[1] or ""))


async def run_migration(request: MigrationRequest) -> list[str]:
    """Apply a request in a process of its own; return its lines, raise ConfigurationError with its complaint."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "make_bridge.platform.database.migrate",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaint = await process.communicate(msgspec.json.encode(request))
    if process.returncode != 0:
        raise ConfigurationError(complaint.decode(errors="replace").strip()[-2000:] or "The migration failed.")
    return out.decode().splitlines()
