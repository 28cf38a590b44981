"""Which tables of a shard move with an organization, in which order, and how: read from the catalogue, not from a list.

So a table that a later version adds moves by itself. ``STAYING`` names those that do not, each with its reason, and
``LATE`` those that go over in the last moment only, because processes of the target would act on their rows; a test
holds that every table of a shard is one or the other, or has an organization and a key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow

STAYING: Final[Mapping[str, str]] = {
    "identity": "says which shard this is",
    "schema_version": "says which version it is at",
    "leaders": "who leads on this shard",
    "claim_turns": "whose turn it is among those who are here",
    "event_positions": "how many events this shard has told",
    "event_consumers": "how far this shard's consumers have come",
    "usage_looks": "when this shard's usage was looked at",
    "storage_cursors": "how far this shard's runs were measured",
    "gap_looks": "when this shard's webhooks were looked at",
    "gap_outages": "when nobody looked here",
    "movements": "who leaves, has left and arrives here",
    "movement_changes": "what changes here while somebody leaves",
}
LATE: Final[Mapping[str, str]] = {
    "queue": "false",
    "parked_events": "false",
    "audit_heads": "false",
    "audit_checkpoints": "false",
    "audit": "seal IS NOT NULL",
    "outbox": "position <= {told}",
}
"""Table → which of its rows go over ahead; the others in the last moment."""
# What a row says at the target instead of what it says here.
_INSTEAD: Final[Mapping[tuple[str, str], str]] = {("outbox", "is_history"): "true"}
# What differs between two sides that hold the same.
_UNLIKE: Final[Mapping[str, frozenset[str]]] = {"outbox": frozenset({"is_history"})}

_TABLES: Final = """
SELECT c.relname AS name, c.relkind = 'p' AS is_partitioned,
    ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
          AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = '' ORDER BY a.attname) AS columns,
    ARRAY(SELECT a.attname::text FROM pg_index i CROSS JOIN unnest(i.indkey::smallint[])
          WITH ORDINALITY AS k(number, place) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
          WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY k.place) AS key,
    ARRAY(SELECT format_type(a.atttypid, a.atttypmod)
          FROM pg_index i CROSS JOIN unnest(i.indkey::smallint[]) WITH ORDINALITY AS k(number, place)
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
          WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY k.place) AS key_types,
    ARRAY(SELECT f.confrelid::regclass::text FROM pg_constraint f
          WHERE f.conrelid = c.oid AND f.contype = 'f') AS parents
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'shard' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname
"""
_VERSION: Final = "SELECT version_num FROM shard.schema_version"


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingTable:
    """One table that moves: what is copied of it, by which key, and after which others."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    key_types: tuple[str, ...]
    parents: frozenset[str]
    is_partitioned: bool

    @property
    def relation(self) -> sql.Composable:
        """The table's name."""
        return sql.Identifier("shard", self.name)

    @property
    def is_own_parent(self) -> bool:
        """Whether its rows refer to rows of its own, so that they go all at once."""
        return self.name in self.parents

    @property
    def goes_ahead(self) -> bool:
        """Whether any of its rows are copied before the last moment."""
        return LATE.get(self.name) != "false"

    def ahead(self, told: int) -> sql.Composable:
        """Return the condition on rows that go over ahead."""
        return sql.SQL(LATE.get(self.name, "true").format(told=int(told)))

    @property
    def columns_list(self) -> sql.Composable:
        """The columns that are written."""
        return sql.SQL(", ").join(map(sql.Identifier, self.columns))

    def selected(self, alias: str) -> sql.Composable:
        """Return what is read for the columns that are written."""
        return sql.SQL(", ").join(
            sql.SQL(instead) if (instead := _INSTEAD.get((self.name, column))) else sql.Identifier(alias, column)
            for column in self.columns
        )

    def compared(self, alias: str) -> sql.Composable:
        """Return the row as text, without what may differ."""
        unlike = _UNLIKE.get(self.name, frozenset())
        cells = sql.SQL(", ").join(sql.Identifier(alias, column) for column in self.columns if column not in unlike)
        return sql.SQL("ROW({})::text").format(cells)

    def same_key(self, one: str, other: str) -> sql.Composable:
        """Return the condition that two rows have one key; the other side's columns are texts named k0, k1, ..."""
        pairs = [
            sql.SQL("{} = {}::{}").format(sql.Identifier(one, column), sql.Identifier(other, f"k{n}"), sql.SQL(kind))
            for n, (column, kind) in enumerate(zip(self.key, self.key_types, strict=True))
        ]
        return sql.SQL(" AND ").join(pairs)

    @property
    def key_of_row(self) -> str:
        """The key as texts, of the row that a trigger is called for: ``$1``."""
        return f"ARRAY[{', '.join(f'($1).{column}::text' for column in self.key)}]"


async def moving_tables(connection: AsyncConnection[DictRow]) -> list[MovingTable]:
    """Return the tables that move, those that others refer to first."""
    rows = await (await connection.execute(_TABLES)).fetchall()
    found = {
        row["name"]: MovingTable(
            name=row["name"],
            columns=tuple(row["columns"]),
            key=tuple(row["key"]),
            key_types=tuple(row["key_types"]),
            parents=frozenset(parent.removeprefix("shard.") for parent in row["parents"]),
            is_partitioned=row["is_partitioned"],
        )
        for row in rows
        if row["name"] not in STAYING
    }
    ordered: list[MovingTable] = []
    placed: set[str] = set()
    while len(ordered) < len(found):
        ready = [t for t in found.values() if t.name not in placed and t.parents - {t.name} <= placed]
        if not ready:
            message = "The tables of a shard refer to each other in a circle."
            raise ValueError(message)
        ordered += ready
        placed |= {table.name for table in ready}
    return ordered


async def version_of(connection: AsyncConnection[DictRow]) -> str:
    """Return the version of a shard's tables."""
    row = await (await connection.execute(_VERSION)).fetchone()
    return "" if row is None else str(row["version_num"])
