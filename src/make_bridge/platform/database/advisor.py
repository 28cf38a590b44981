"""Which indexes a database could do with, and which without: proposals with their reasons, none carried out.

``make-bridge database advise`` calls it with an owner's address. Everything happens in one read-only transaction, under
time-outs; a statement of others is planned, never run: it is prepared by the protocol, which takes one statement only,
and its generic plan is read by plain EXPLAIN, so values are not needed. What would be proposed for a statement is tried
as a hypothetical index where the extension hypopg is installed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

Connection = psycopg.AsyncConnection[DictRow]
_OPTIONS: Final = (
    "-c default_transaction_read_only=on -c statement_timeout=10000 -c lock_timeout=500 "
    "-c plan_cache_mode=force_generic_plan"
)
_MOST_COLUMNS: Final = 3
_MOST: Final = 100
_GAIN: Final = 0.8
_STATEMENT: Final = b"make_bridge_advised"
_EQUAL: Final = re.compile(r"\(?\b([a-z_][a-z0-9_]*)\)?(?:::\w+)? = \$\d+")
_PARAMETER: Final = re.compile(r"\$(\d+)")
_EXPLAINED: Final = ("select", "insert", "update", "delete", "with")

_HAS: Final = """
SELECT to_regclass('pg_stat_statements') IS NOT NULL AS statements,
       to_regproc('hypopg_create_index') IS NOT NULL AS hypothetical,
       (SELECT extract(epoch FROM now() - coalesce(stats_reset, pg_postmaster_start_time())) / 86400
        FROM pg_stat_database WHERE datname = current_database())::float8 AS days
"""
_UNUSED: Final = """
SELECT s.schemaname AS schema, s.relname AS relation, s.indexrelname AS index,
       pg_relation_size(s.indexrelid)::float8 AS bytes
FROM pg_stat_user_indexes s JOIN pg_index i USING (indexrelid)
WHERE s.schemaname IN ('directory', 'shard') AND s.idx_scan = 0 AND NOT i.indisunique AND i.indisvalid
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
  AND NOT EXISTS (SELECT FROM pg_inherits p WHERE p.inhrelid = i.indexrelid)
  AND pg_relation_size(s.indexrelid) >= %(bytes)s
ORDER BY bytes DESC LIMIT %(most)s
"""
_DUPLICATE: Final = """
SELECT n.nspname AS schema, t.relname AS relation, d.relname AS index, k.relname AS kept,
       pg_relation_size(d.oid)::float8 AS bytes
FROM pg_index a JOIN pg_index b
  ON a.indrelid = b.indrelid AND a.indexrelid <> b.indexrelid AND a.indkey = b.indkey AND a.indclass = b.indclass
 AND a.indoption = b.indoption AND a.indcollation = b.indcollation
 AND pg_get_expr(a.indexprs, a.indrelid) IS NOT DISTINCT FROM pg_get_expr(b.indexprs, b.indrelid)
 AND pg_get_expr(a.indpred, a.indrelid) IS NOT DISTINCT FROM pg_get_expr(b.indpred, b.indrelid)
JOIN pg_class t ON t.oid = a.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_class d ON d.oid = a.indexrelid JOIN pg_class k ON k.oid = b.indexrelid
WHERE n.nspname IN ('directory', 'shard') AND NOT a.indisunique AND (b.indisunique OR b.indexrelid < a.indexrelid)
  AND NOT EXISTS (SELECT FROM pg_inherits p WHERE p.inhrelid = a.indexrelid)
ORDER BY bytes DESC LIMIT %(most)s
"""
_SCANNED: Final = """
SELECT schemaname AS schema, relname AS relation, seq_scan AS scans, n_live_tup AS rows,
       (seq_tup_read / seq_scan)::float8 AS rows_each
FROM pg_stat_user_tables
WHERE schemaname IN ('directory', 'shard') AND seq_scan >= %(scans)s AND n_live_tup >= %(rows)s
  AND seq_tup_read / seq_scan >= n_live_tup / 2
ORDER BY seq_tup_read DESC LIMIT %(most)s
"""
_STATEMENTS: Final = """
SELECT query, calls, mean_exec_time AS milliseconds FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND calls >= %(calls)s
  AND query NOT LIKE '<insufficient%%' AND length(query) <= 20000
ORDER BY total_exec_time DESC LIMIT %(most)s
"""
_TABLE: Final = """
WITH named AS (
    SELECT c.oid, coalesce(pg_partition_root(c.oid)::oid, c.oid) AS root FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %(schema)s AND c.relname = %(relation)s
)
SELECT n.nspname AS schema, r.relname AS relation, r.relkind = 'p' AS partitioned, c.reltuples::float8 AS rows,
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = r.oid AND attnum > 0 AND NOT attisdropped)
           AS columns,
       ARRAY(SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = r.oid) AS indexes
FROM named JOIN pg_class c ON c.oid = named.oid JOIN pg_class r ON r.oid = named.root
JOIN pg_namespace n ON n.oid = r.relnamespace
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviceLimits:
    """From which size on something is worth a word."""

    rows: int = 10_000
    scans: int = 50
    bytes: int = 8 * 1024 * 1024
    calls: int = 10
    days: float = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One proposal: what, why, and the statement that a person may run."""

    kind: str
    relation: str
    reason: str
    statement: str


@dataclass(slots=True, kw_only=True)
class Advice:
    """What was found in one database, and what could not be looked at."""

    proposals: list[Proposal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


async def advise(dsn: str, limits: AdviceLimits) -> Advice:
    """Look at one database as its owner; raises psycopg.Error when it can not be reached."""
    advice = Advice()
    options = f"{conninfo_to_dict(dsn).get('options') or ''} {_OPTIONS}"
    async with await psycopg.AsyncConnection.connect(
        dsn, options=options, connect_timeout=10, row_factory=dict_row
    ) as connection:
        has = await _one(connection, _HAS, {})
        await _indexes(connection, advice, limits, days=has["days"])
        if has["statements"]:
            await _statements(connection, advice, limits, tries=has["hypothetical"])
        else:
            advice.notes.append(
                "pg_stat_statements is not installed here, so only counts of scans are known: add it to "
                "shared_preload_libraries and run CREATE EXTENSION pg_stat_statements."
            )
        if not has["hypothetical"]:
            advice.notes.append("hypopg is not installed here: proposed indexes were not tried against the planner.")
        await _scans(connection, advice, limits)
        await connection.rollback()
    return advice


async def _indexes(connection: Connection, advice: Advice, limits: AdviceLimits, *, days: float) -> None:
    given = {"bytes": limits.bytes, "most": _MOST}
    for row in await _all(connection, _DUPLICATE, given):
        reason = f"is the same as {row['kept']}, costs {_mib(row)} and a write for each row"
        advice.proposals.append(_drop("duplicate index", row, reason))
    if days < limits.days:
        advice.notes.append(
            f"Statistics are {days:.1f} days old: which indexes nobody uses is said from {limits.days:g} days on."
        )
        return
    for row in await _all(connection, _UNUSED, given):
        reason = f"was not used in {days:.0f} days on this server (its standbys may use it), costs {_mib(row)}"
        advice.proposals.append(_drop("unused index", row, reason))


async def _scans(connection: Connection, advice: Advice, limits: AdviceLimits) -> None:
    known = {proposal.relation for proposal in advice.proposals if proposal.kind == "missing index"}
    for row in await _all(connection, _SCANNED, {"scans": limits.scans, "rows": limits.rows, "most": _MOST}):
        relation = f"{row['schema']}.{row['relation']}"
        if relation not in known:
            advice.notes.append(
                f"{relation} was read from end to end {row['scans']} times, {row['rows_each']:.0f} of its "
                f"{row['rows']} rows each: 'make-bridge database slow' may show by which statement."
            )


async def _statements(connection: Connection, advice: Advice, limits: AdviceLimits, *, tries: bool) -> None:
    found: dict[str, Proposal] = {}
    for row in await _all(connection, _STATEMENTS, {"calls": limits.calls, "most": _MOST}):
        query = str(row["query"])
        if not query.lower().lstrip("( \n").startswith(_EXPLAINED):
            continue
        plan = await _generic_plan(connection, query)
        for node in _full_scans(plan):
            proposal = await _missing(connection, node, row, limits)
            if proposal is None or proposal.statement in found:
                continue
            if tries and not await _helps(connection, proposal, query, float(plan["Total Cost"])):
                continue
            found[proposal.statement] = proposal
    advice.proposals += found.values()


async def _missing(
    connection: Connection, node: Mapping[str, Any], row: DictRow, limits: AdviceLimits
) -> Proposal | None:
    """Propose an index for a scan that reads a whole table to keep the rows that equal something."""
    table = await _one(connection, _TABLE, {"schema": node.get("Schema", ""), "relation": node["Relation Name"]})
    if not table or table["schema"] not in {"directory", "shard"} or table["rows"] < limits.rows:
        return None
    named = dict.fromkeys(_EQUAL.findall(str(node.get("Filter", ""))))
    columns = [column for column in named if column in table["columns"]][:_MOST_COLUMNS]
    if not columns or any(f"({', '.join(columns)}" in index for index in table["indexes"]):
        return None
    relation = f"{table['schema']}.{table['relation']}"
    # A table in partitions takes no index beside what writes to it: a person has to choose the moment.
    how = "CREATE INDEX" if table["partitioned"] else "CREATE INDEX CONCURRENTLY"
    return Proposal(
        kind="missing index",
        relation=relation,
        reason=(
            f"{row['calls']} statements of {row['milliseconds']:.1f} ms read all of its {table['rows']:.0f} rows to "
            f"find those that equal {', '.join(columns)}"
        ),
        statement=f"{how} ON {relation} ({', '.join(columns)});",
    )


async def _generic_plan(connection: Connection, query: str) -> Mapping[str, Any]:
    """Return how a statement would be carried out with any values; nothing of what can not be planned."""
    number = max(map(int, _PARAMETER.findall(query)), default=0)
    values = b"(" + b", ".join([b"NULL"] * number) + b")" if number else b""
    await connection.execute("SAVEPOINT planning")
    try:
        # Sent by the extended protocol, which takes one statement, whatever the text holds.
        await connection.execute(b"PREPARE " + _STATEMENT + b" AS " + query.encode(), binary=True)
        plan = await _explain(connection, values)
        await connection.execute(b"DEALLOCATE " + _STATEMENT)
    except psycopg.Error:
        await connection.execute("ROLLBACK TO SAVEPOINT planning")
        await connection.execute("DEALLOCATE ALL")
        return {}
    await connection.execute("RELEASE SAVEPOINT planning")
    return plan


async def _explain(connection: Connection, values: bytes) -> Mapping[str, Any]:
    cursor = await connection.execute(b"EXPLAIN (FORMAT JSON, VERBOSE) EXECUTE " + _STATEMENT + values)
    row = await cursor.fetchone()
    plan: Mapping[str, Any] = next(iter(row.values()))[0]["Plan"] if row else {}
    return plan


async def _helps(connection: Connection, proposal: Proposal, query: str, before: float) -> bool:
    """Say whether the planner would take the index, and how much it would win by it; the index is hypothetical."""
    made = proposal.statement.replace(" CONCURRENTLY", "").rstrip(";")
    try:
        await connection.execute("SELECT indexrelid FROM hypopg_create_index(%s)", (made,))
        plan = await _generic_plan(connection, query)
        await connection.execute("SELECT hypopg_reset()")
    except psycopg.Error:
        return True
    return bool(plan) and float(plan["Total Cost"]) < before * _GAIN


def _full_scans(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if plan.get("Node Type") == "Seq Scan" and "Filter" in plan:
        yield plan
    below: Sequence[Mapping[str, Any]] = plan.get("Plans", ())
    for inner in below:
        yield from _full_scans(inner)


def _drop(kind: str, row: DictRow, reason: str) -> Proposal:
    index = f"{row['schema']}.{row['index']}"
    return Proposal(
        kind=kind,
        relation=f"{row['schema']}.{row['relation']}",
        reason=f"{row['index']} {reason}",
        statement=f"DROP INDEX CONCURRENTLY {index};",
    )


def _mib(row: DictRow) -> str:
    return f"{row['bytes'] / 1024**2:.0f} MiB"


async def _one(connection: Connection, statement: LiteralString, given: Mapping[str, object]) -> DictRow:
    return await (await connection.execute(statement, given)).fetchone() or {}


async def _all(connection: Connection, statement: LiteralString, given: Mapping[str, object]) -> list[DictRow]:
    return await (await connection.execute(statement, given)).fetchall()
