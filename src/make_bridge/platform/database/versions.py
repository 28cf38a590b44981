"""Which version a database is at, and the request that brings it forward.

Reading the version needs only the driver, so a start on an up-to-date database costs one query.
``_HEADS`` names the newest revision of each tree; a test compares it with the files.
"""

import asyncio
import sys
from typing import Literal

import msgspec
import psycopg

from make_bridge.kernel.errors import ConfigurationError

Tree = Literal["directory", "shard"]
HEADS: dict[Tree, str] = {"directory": "0006", "shard": "0020"}
_OLDEST_SERVER = 150000
_TABLE_EXISTS = "SELECT to_regclass(%s) IS NOT NULL AS present"


class MigrationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What one database should become."""

    owner_dsn: str
    trees: tuple[Tree, ...]
    shard_number: int = 0
    known_shards: tuple[int, ...] = (0,)
    serving_role: str | None = None
    serving_password: str = ""

    def __repr__(self) -> str:
        """Show no secret."""
        return f"MigrationRequest(trees={self.trees}, shard_number={self.shard_number})"


async def pending(dsn: str, trees: tuple[Tree, ...]) -> tuple[Tree, ...]:
    """Return the trees that are not at their newest version; refuses servers older than PostgreSQL 15."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=10) as connection:
        if connection.info.server_version < _OLDEST_SERVER:
            message = f"PostgreSQL {connection.info.server_version // 10000} is too old: 15 to 18 are supported."
            raise ConfigurationError(message)
        behind = []
        for tree in trees:
            cursor = await connection.execute(_TABLE_EXISTS, (f"{tree}.schema_version",))
            row = await cursor.fetchone()
            version = None
            if row is not None and row[0]:
                cursor = await connection.execute(f"SELECT version_num FROM {tree}.schema_version".encode())
                found = await cursor.fetchone()
                version = found[0] if found else None
            if version != HEADS[tree]:
                behind.append(tree)
        return tuple(behind)


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
