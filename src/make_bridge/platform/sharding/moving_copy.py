"""Copying an organization's rows from one shard to another, catching up with what changes, and comparing.

Rows go in the databases' own binary form from one COPY into another and are never looked at here. A table is copied as
a whole in one transaction of the target; what changes meanwhile stands by its key in ``shard.movement_changes``, and
catching up copies the rows of those keys as they are by then, so it may be done twice. Both sides are compared by
number and checksum of their rows as text, each table by itself, under one snapshot of the source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.sharding.moving_model import Move, MoveFailed
from make_bridge.platform.sharding.moving_tables import LATE, MovingTable

Connection = AsyncConnection[DictRow]
Sums = dict[str, tuple[int, int]]

_PARTITIONS: Final = """
SELECT c.relname AS name, p.relname AS parent, pg_get_expr(c.relpartbound, c.oid) AS bound
FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_class p ON p.oid = i.inhparent
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'shard' AND c.relispartition ORDER BY c.relname
"""
_CHANGES: Final = """
SELECT id, relation, key FROM shard.movement_changes WHERE organization_id = %s AND id > %s ORDER BY id LIMIT %s
"""
_CAUGHT_UP: Final = "DELETE FROM shard.movement_changes WHERE organization_id = %s AND id = ANY(%s)"
_FORGET: Final = "DELETE FROM shard.movement_changes WHERE organization_id = %s"
_COUNT: Final = "SELECT count(*) AS waiting FROM shard.movement_changes WHERE organization_id = %s"


@dataclass(slots=True)
class Changed:
    """Keys of changed rows by table, each once, and the log's rows that named them."""

    ids: list[int] = field(default_factory=list)
    keys: dict[str, dict[tuple[str, ...], None]] = field(default_factory=dict)


async def make_partitions(source: Connection, target: Connection) -> None:
    """Make the partitions that the source has and the target has not."""
    there = {row["name"] for row in await (await target.execute(_PARTITIONS)).fetchall()}
    for row in await (await source.execute(_PARTITIONS)).fetchall():
        if row["name"] in there:
            continue
        statement = sql.SQL("CREATE TABLE IF NOT EXISTS {} PARTITION OF {} " + row["bound"])
        async with target.transaction():
            await target.execute("SELECT pg_advisory_xact_lock(hashtext('make_bridge.partitions'))")
            await target.execute(
                statement.format(sql.Identifier("shard", row["name"]), sql.Identifier("shard", row["parent"]))
            )


async def copy_table(source: Connection, target: Connection, table: MovingTable, move: Move) -> int:
    """Copy what goes ahead of a table, in place of whatever an interrupted copy has left; return how many rows."""
    await clear(target, [table], move.organization_id)
    return await pour(source, target, table, table.ahead(move.told or 0), move.organization_id)


async def pour(
    source: Connection, target: Connection, table: MovingTable, condition: sql.Composable, organization_id: int
) -> int:
    """Copy the rows of a condition, from one COPY into another."""
    read = sql.SQL(
        "COPY (SELECT {} FROM {} AS t WHERE t.organization_id = {} AND {}) TO STDOUT (FORMAT BINARY)"
    ).format(table.selected("t"), table.relation, sql.Literal(organization_id), condition)
    write = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(table.relation, table.columns_list)
    return await _pipe(source, target, read, write)


async def pour_untold(
    source: Connection, target: Connection, outbox: MovingTable, told: int, organization_id: int
) -> int:
    """Copy the events behind a position, and those without one, in their order and without their positions."""
    columns = [column for column in outbox.columns if column not in {"position", "is_history"}]
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    read = sql.SQL(
        "COPY (SELECT {} FROM {} WHERE organization_id = {} AND (position IS NULL OR position > {})"
        " ORDER BY position NULLS LAST, sequence) TO STDOUT (FORMAT BINARY)"
    ).format(listed, outbox.relation, sql.Literal(organization_id), sql.Literal(told))
    write = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(outbox.relation, listed)
    return await _pipe(source, target, read, write)


async def _pipe(source: Connection, target: Connection, read: sql.Composed, write: sql.Composed) -> int:
    async with source.cursor() as reading, target.cursor() as writing:
        async with reading.copy(read) as out, writing.copy(write) as into:
            async for piece in out:
                await into.write(piece)
        return writing.rowcount


async def clear(target: Connection, tables: Sequence[MovingTable], organization_id: OrganizationId) -> None:
    """Delete an organization's rows, those that refer to others first."""
    for table in reversed(tables):
        statement = sql.SQL("DELETE FROM {} WHERE organization_id = %s").format(table.relation)
        await target.execute(statement, (organization_id,))


async def delete_some(connection: Connection, table: MovingTable, organization_id: OrganizationId, most: int) -> int:
    """Delete at most so many rows of a table; of one whose rows refer to each other all."""
    key = sql.SQL(", ").join(map(sql.Identifier, table.key))
    bound = sql.SQL("") if table.is_own_parent else sql.SQL(" LIMIT {}").format(sql.Literal(most))
    statement = sql.SQL(
        "DELETE FROM {} WHERE organization_id = {} AND ({}) IN (SELECT {} FROM {} WHERE organization_id = {}{})"
    )
    owner = sql.Literal(int(organization_id))
    made = statement.format(table.relation, owner, key, key, table.relation, owner, bound)
    return (await connection.execute(made)).rowcount


async def read_changes(source: Connection, organization_id: OrganizationId, most: int) -> Changed:
    """Return the oldest changes that are not caught up with."""
    changed = Changed()
    for row in await (await source.execute(_CHANGES, (organization_id, 0, most))).fetchall():
        changed.ids.append(row["id"])
        changed.keys.setdefault(row["relation"], {})[tuple(row["key"])] = None
    return changed


async def count_changes(source: Connection, organization_id: OrganizationId) -> int:
    """Return how many changes are not caught up with."""
    row = await (await source.execute(_COUNT, (organization_id,))).fetchone()
    return 0 if row is None else int(row["waiting"])


async def forget_changes(source: Connection, organization_id: OrganizationId, ids: Sequence[int] | None = None) -> None:
    """Let changes go that were caught up with; all of them without ``ids``."""
    if ids is None:
        await source.execute(_FORGET, (organization_id,))
    else:
        await source.execute(_CAUGHT_UP, (organization_id, list(ids)))


async def apply(
    source: Connection, target: Connection, tables: Sequence[MovingTable], changed: Changed, move: Move
) -> None:
    """Bring the target's rows of these keys to what the source's are now, inside the caller's transactions."""
    concerned = [table for table in tables if table.goes_ahead and table.name in changed.keys]
    for table in concerned:
        await _stage(source, target, table, list(changed.keys[table.name]), move)
    try:
        async with target.transaction():
            for table in reversed(concerned):
                await _drop_gone(target, table)
            for table in concerned:
                await _take_over(target, table)
    except psycopg.IntegrityError:
        # A name or a parent went from a row that is gone to one that stays: then the other way round.
        try:
            async with target.transaction():
                for table in concerned:
                    await _take_over(target, table)
                for table in reversed(concerned):
                    await _drop_gone(target, table)
        except psycopg.IntegrityError as error:
            message = f"What changed at the source does not fit what the target has: {error}"
            raise MoveFailed(message, code="move_differs") from error


async def _stage(
    source: Connection, target: Connection, table: MovingTable, keys: Sequence[tuple[str, ...]], move: Move
) -> None:
    """Put the source's rows of these keys, and the keys themselves, beside the target's table."""
    names = _Names(table)
    columns = [list(column) for column in zip(*keys, strict=True)]
    arrays = sql.SQL(", ").join(sql.SQL("{}::text[]").format(sql.Literal(column)) for column in columns)
    given = sql.SQL(", ").join(sql.Identifier(f"k{n}") for n in range(len(columns)))
    await target.execute(sql.SQL("DROP TABLE IF EXISTS {}, {}").format(names.rows, names.keys))
    made = sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA")
    await target.execute(made.format(names.rows, table.columns_list, table.relation))
    made = sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT * FROM unnest({}) AS k({})")
    await target.execute(made.format(names.keys, arrays, given))
    read = sql.SQL(
        "COPY (SELECT {} FROM unnest({}) AS k({}) JOIN {} AS t ON {} WHERE t.organization_id = {} AND {})"
        " TO STDOUT (FORMAT BINARY)"
    ).format(
        table.selected("t"), arrays, given, table.relation, table.same_key("t", "k"),
        sql.Literal(int(move.organization_id)), table.ahead(move.told or 0),
    )  # fmt: skip
    write = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(names.rows, table.columns_list)
    await _pipe(source, target, read, write)


async def _drop_gone(target: Connection, table: MovingTable) -> None:
    names = _Names(table)
    same = [sql.SQL("r.{} = t.{}").format(sql.Identifier(c), sql.Identifier(c)) for c in table.key]
    statement = sql.SQL("DELETE FROM {} AS t USING {} AS k WHERE {} AND NOT EXISTS (SELECT FROM {} AS r WHERE {})")
    await target.execute(
        statement.format(table.relation, names.keys, table.same_key("t", "k"), names.rows, sql.SQL(" AND ").join(same))
    )


async def _take_over(target: Connection, table: MovingTable) -> None:
    names = _Names(table)
    others = [column for column in table.columns if column not in table.key]
    sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in others)
    act = sql.SQL("DO UPDATE SET {}").format(sets) if others else sql.SQL("DO NOTHING")
    key = sql.SQL(", ").join(map(sql.Identifier, table.key))
    statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT ({}) {}")
    columns = table.columns_list
    await target.execute(statement.format(table.relation, columns, columns, names.rows, key, act))


async def sums(connection: Connection, tables: Sequence[MovingTable], move: Move, *, at_target: bool = False) -> Sums:
    """Return number and checksum of the rows that went ahead, by table."""
    found: Sums = {}
    for table in tables:
        if not table.goes_ahead:
            continue
        condition = sql.SQL("true") if at_target else table.ahead(move.told or 0)
        found[table.name] = await _sum(connection, table, condition, move.organization_id)
    return found


async def sums_of_late(connection: Connection, tables: Sequence[MovingTable], move: Move) -> Sums:
    """Return number and checksum of what went over in the last moment, but for events, whose positions change."""
    found: Sums = {}
    for table in tables:
        if table.name in LATE and table.name != "outbox":
            condition = sql.SQL("true") if table.name != "audit" else sql.SQL("seal IS NULL")
            found[table.name] = await _sum(connection, table, condition, move.organization_id)
    return found


async def sums_of_changed(connection: Connection, tables: Sequence[MovingTable], changed: Changed, move: Move) -> Sums:
    """Return number and checksum of the rows of changed keys that go ahead, by table."""
    found: Sums = {}
    for table in tables:
        if not table.goes_ahead or table.name not in changed.keys:
            continue
        columns = [list(column) for column in zip(*changed.keys[table.name], strict=True)]
        arrays = sql.SQL(", ").join(sql.SQL("{}::text[]").format(sql.Literal(column)) for column in columns)
        given = sql.SQL(", ").join(sql.Identifier(f"k{n}") for n in range(len(columns)))
        rows = sql.SQL("unnest({}) AS k({}) JOIN {} AS t ON {}").format(
            arrays, given, table.relation, table.same_key("t", "k")
        )
        found[table.name] = await _sum(connection, table, table.ahead(move.told or 0), move.organization_id, rows)
    return found


async def _sum(
    connection: Connection,
    table: MovingTable,
    condition: sql.Composable,
    organization_id: OrganizationId,
    rows: sql.Composable | None = None,
) -> tuple[int, int]:
    statement = sql.SQL(
        "SELECT count(*) AS number, coalesce(sum(hashtextextended({}, 0)::numeric), 0)::text AS checksum"
        " FROM {} WHERE t.organization_id = {} AND {}"
    ).format(
        table.compared("t"), rows or sql.SQL("{} AS t").format(table.relation), sql.Literal(int(organization_id)),
        condition,
    )  # fmt: skip
    row = await (await connection.execute(statement)).fetchone()
    return (0, 0) if row is None else (int(row["number"]), int(row["checksum"]))


def differing(here: Mapping[str, tuple[int, int]], there: Mapping[str, tuple[int, int]]) -> list[str]:
    """Return the tables whose two sides are not alike."""
    return sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))


class _Names:
    """The places beside a table that changed rows and their keys are put into."""

    __slots__ = ("keys", "rows")

    def __init__(self, table: MovingTable) -> None:
        self.rows = sql.Identifier("pg_temp", f"moving_rows_{table.name}")
        self.keys = sql.Identifier("pg_temp", f"moving_keys_{table.name}")
