"""What is in a database at a moment: rows and checksums, of each table and of each organization.

Taken in a backup's own snapshot, and again of what a restore has made of it, before anything else touches it. A table
is read once, row by row as text; a sum of hashes does not depend on their order. Rows of tables that belong to nobody
count for no organization.
"""

from collections import defaultdict
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow

from make_bridge.platform.backups.manifest import Summed

UNSAVED: Final = frozenset({
    "directory.schema_version", "shard.schema_version", "directory.servers", "directory.shard_views",
})  # fmt: skip
"""Tables without saved rows: versions stand in the manifest, and the others say who serves at the moment."""

_TABLES: Final = """
SELECT n.nspname AS schema, c.relname AS name,
    EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'organization_id'
            AND NOT a.attisdropped) AS has_owner
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('directory', 'shard') AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY n.nspname, c.relname
"""
# Rows as text have to read alike on both sides, whatever the servers are set to.
_ALIKE: Final = (
    "SET TimeZone = 'UTC'", "SET DateStyle = 'ISO, YMD'", "SET IntervalStyle = 'postgres'", "SET bytea_output = 'hex'",
    "SET extra_float_digits = 1", "SET statement_timeout = 0", "SET idle_in_transaction_session_timeout = 0",
)  # fmt: skip

Connection = AsyncConnection[DictRow]


async def read_alike(connection: Connection) -> None:
    """Have a session read rows as every other one does that compares."""
    for statement in _ALIKE:
        await connection.execute(statement)


async def sums_of(connection: Connection) -> tuple[dict[str, Summed], dict[str, Summed]]:
    """Return what is in each table, and of each organization over all tables."""
    tables: dict[str, Summed] = {}
    owned: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for table in await (await connection.execute(_TABLES)).fetchall():
        name = f"{table['schema']}.{table['name']}"
        if name in UNSAVED:
            continue
        rows, checksum = 0, 0
        for row in await _sums(connection, table):
            rows += row["number"]
            checksum += int(row["checksum"])
            if row["owner"] is not None:
                owned[str(row["owner"])][0] += row["number"]
                owned[str(row["owner"])][1] += int(row["checksum"])
        tables[name] = Summed(rows=rows, checksum=str(checksum))
    return tables, {owner: Summed(rows=rows, checksum=str(checksum)) for owner, (rows, checksum) in owned.items()}


async def _sums(connection: Connection, table: DictRow) -> list[DictRow]:
    owner = sql.SQL("t.organization_id" if table["has_owner"] else "NULL::bigint")
    statement = sql.SQL(
        "SELECT {} AS owner, count(*) AS number, sum(hashtextextended(t::text, 0)::numeric)::text AS checksum"
        " FROM {} AS t GROUP BY 1"
    ).format(owner, sql.Identifier(table["schema"], table["name"]))
    return await (await connection.execute(statement)).fetchall()
