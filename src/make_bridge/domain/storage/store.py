"""Every statement on what runs take and how long they are kept.

What a tenant asks is a sum of its few rows. What goes is chosen here and removed by functions of the owner
(migration 0031), which spare whatever is not over.
"""

from datetime import date, datetime
from typing import Final

import msgspec

from make_bridge.domain.storage.messages import StorageLimits
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.transactions import ReadTx, Row, WriteTx

_LIMITS: Final = "SELECT days, bytes FROM shard.storage_limits WHERE organization_id = %s"
_SET_LIMITS: Final = """
INSERT INTO shard.storage_limits (organization_id, days, bytes) VALUES (%s, %s, %s)
ON CONFLICT (organization_id) DO UPDATE SET days = excluded.days, bytes = excluded.bytes, updated_at = now()
"""
_DROP_LIMITS: Final = "DELETE FROM shard.storage_limits WHERE organization_id = %s"
_STORED: Final = """
SELECT coalesce(sum(runs), 0)::bigint AS runs, coalesce(sum(bytes), 0)::bigint AS bytes,
       coalesce(sum(body_bytes), 0)::bigint AS body_bytes, min(day) AS oldest
FROM shard.storage_days WHERE organization_id = %s
"""

_CLASSES: Final = "SELECT retention FROM shard.storage_cursors ORDER BY retention"
_MEASURE: Final = """
SELECT shard.measure_runs(%(class)s::smallint,
    (lpad(to_hex(((extract(epoch FROM now()) - %(settle)s) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid,
    %(most)s) AS seen
"""
_DROP: Final = "SELECT partitions, bytes FROM shard.drop_runs(%s, %s)"
# Looked at lately and still there: something of it is not over. It is looked at again in an hour.
_PAST: Final = """
SELECT d.organization_id, d.day FROM shard.storage_days d
LEFT JOIN shard.storage_limits l ON l.organization_id = d.organization_id
WHERE d.day < (now() AT TIME ZONE 'UTC')::date - coalesce(l.days, %(days)s)
  AND d.looked_at < now() - interval '1 hour'
ORDER BY d.day, d.organization_id LIMIT %(most)s
"""
_OVER: Final = """
SELECT d.organization_id, (sum(d.bytes) - min(coalesce(l.bytes, %(bytes)s)))::bigint AS over
FROM shard.storage_days d LEFT JOIN shard.storage_limits l ON l.organization_id = d.organization_id
GROUP BY d.organization_id HAVING sum(d.bytes) > min(coalesce(l.bytes, %(bytes)s))
ORDER BY d.organization_id LIMIT %(most)s
"""
# Bodies first, whole runs when no body is left; the oldest day first.
_OLDEST: Final = """
SELECT day, body_bytes > 0 AS has_bodies FROM shard.storage_days
WHERE organization_id = %s AND looked_at < now() - interval '1 hour'
ORDER BY body_bytes > 0 DESC, day LIMIT 1
"""
_FORGET: Final = "SELECT runs, bytes, is_through FROM shard.forget_runs(%s, %s, %s, %s)"

_TABLES: Final = """
SELECT t.name, count(*) AS parts, sum(t.bytes)::bigint AS bytes, sum(t.rows)::bigint AS rows,
       sum(t.dead)::bigint AS dead, max(t.vacuumed_at) AS vacuumed_at
FROM (
    SELECT coalesce(p.relname, c.relname)::text AS name, coalesce(pg_total_relation_size(c.oid), 0) AS bytes,
           greatest(c.reltuples, 0) AS rows, coalesce(s.n_dead_tup, 0) AS dead,
           greatest(s.last_autovacuum, s.last_vacuum) AS vacuumed_at
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'shard'
    LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
    LEFT JOIN pg_class p ON p.oid = i.inhparent
    LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
    WHERE c.relkind = 'r'
) t GROUP BY t.name ORDER BY bytes DESC, t.name
"""
# One look into an index each: ids of runs begin with their time, positions of events and numbers of audit rows grow.
_OLDEST_ROWS: Final = """
SELECT 'executions' AS kind, created_at AS at FROM (
    SELECT created_at FROM shard.executions ORDER BY retention, id LIMIT 1) e
UNION ALL SELECT 'outcomes', finished_at FROM (SELECT finished_at FROM shard.outcomes ORDER BY retention, id LIMIT 1) o
UNION ALL SELECT 'payloads', to_timestamp(('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)
    FROM (SELECT id FROM shard.payloads ORDER BY retention, id LIMIT 1) p
UNION ALL SELECT 'logs', to_timestamp(('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)
    FROM (SELECT id FROM shard.execution_logs ORDER BY retention, id LIMIT 1) l
UNION ALL SELECT 'journal', intent_at FROM (
    SELECT intent_at FROM shard.journal ORDER BY retention, id, module_id, operation LIMIT 1) j
UNION ALL SELECT 'events', created_at FROM (
    SELECT created_at FROM shard.outbox WHERE position IS NOT NULL AND NOT is_history ORDER BY position LIMIT 1) b
UNION ALL SELECT 'audit', created_at FROM (SELECT created_at FROM shard.audit ORDER BY id LIMIT 1) a
"""
_LARGEST: Final = """
SELECT d.organization_id, sum(d.runs)::bigint AS runs, sum(d.bytes)::bigint AS bytes,
       sum(d.body_bytes)::bigint AS body_bytes, min(d.day) AS oldest,
       min(coalesce(l.days, %(days)s)) AS days, min(coalesce(l.bytes, %(bytes)s)) AS most_bytes,
       coalesce(sum(d.bytes) FILTER (
           WHERE d.day < (now() AT TIME ZONE 'UTC')::date - coalesce(l.days, %(days)s)), 0)::bigint AS past_bytes
FROM shard.storage_days d LEFT JOIN shard.storage_limits l ON l.organization_id = d.organization_id
GROUP BY d.organization_id ORDER BY sum(d.bytes) DESC, d.organization_id LIMIT %(most)s
"""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A day of an organization that it keeps no longer."""

    organization_id: OrganizationId
    day: date


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch came to; ``is_through`` says that nothing is left there that may go now."""

    runs: int
    bytes: int
    is_through: bool


class TableSize(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One table with its partitions: bytes with indexes and what stands apart, rows as PostgreSQL estimates them."""

    name: str
    parts: int
    bytes: int
    rows: int
    dead: int
    vacuumed_at: datetime | None


class Taken(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the runs of one organization take, as it was measured, and what is kept; ``past_bytes`` are about to go."""

    organization_id: OrganizationId
    runs: int
    bytes: int
    body_bytes: int
    oldest: date
    days: int
    most_bytes: int
    past_bytes: int

    @property
    def to_free(self) -> int:
        """Bytes that the next rounds free, by age or by size."""
        return max(self.past_bytes, self.bytes - self.most_bytes, 0)


async def limits_of(tx: ReadTx, organization_id: OrganizationId) -> StorageLimits:
    """Return what an organization was given itself."""
    row = await tx.one(_LIMITS, (organization_id,))
    return StorageLimits() if row is None else StorageLimits(**row)


async def set_limits(tx: WriteTx, organization_id: OrganizationId, limits: StorageLimits) -> None:
    """Write what an organization is given."""
    if limits == StorageLimits():
        await tx.execute(_DROP_LIMITS, (organization_id,))
        return
    await tx.execute(_SET_LIMITS, (organization_id, limits.days, limits.bytes))


async def stored(tx: ReadTx, organization_id: OrganizationId) -> Row:
    """Return the sums of what was measured of an organization."""
    [row] = await tx.all(_STORED, (organization_id,))
    return row


async def classes(tx: ReadTx) -> list[int]:
    """Return the retention classes that are measured."""
    return [row["retention"] for row in await tx.all(_CLASSES)]


async def measure(tx: WriteTx, retention: int, *, settle_seconds: float, most: int) -> int:
    """Measure the next runs of a class that were accepted longer ago than that; return how many there were."""
    row = await tx.one(_MEASURE, {"class": retention, "settle": settle_seconds, "most": most})
    return 0 if row is None else int(row["seen"])


async def drop_partitions(tx: WriteTx, default_days: int, most: int) -> tuple[int, int]:
    """Drop what no organization of the shard keeps any more; return how many partitions and bytes went."""
    row = await tx.one(_DROP, (default_days, most))
    return (0, 0) if row is None else (int(row["partitions"]), int(row["bytes"]))


async def past(tx: ReadTx, default_days: int, most: int) -> list[Past]:
    """Return the days that organizations keep no longer, the oldest first."""
    return [Past(**row) for row in await tx.all(_PAST, {"days": default_days, "most": most})]


async def over(tx: ReadTx, default_bytes: int, most: int) -> dict[OrganizationId, int]:
    """Return by how many bytes organizations are over what they may take."""
    rows = await tx.all(_OVER, {"bytes": default_bytes, "most": most})
    return {row["organization_id"]: row["over"] for row in rows}


async def oldest(tx: ReadTx, organization_id: OrganizationId) -> tuple[date, bool] | None:
    """Return the day of which bytes are freed next, and whether bodies are left there; None where nothing may go."""
    row = await tx.one(_OLDEST, (organization_id,))
    return None if row is None else (row["day"], row["has_bodies"])


async def forget(tx: WriteTx, chosen: Past, most: int, *, bodies_only: bool) -> Forgotten:
    """Remove runs of a day that are over, or their bodies alone."""
    [row] = await tx.all(_FORGET, (chosen.organization_id, chosen.day, most, bodies_only))
    return Forgotten(**row)


async def tables(tx: ReadTx) -> list[TableSize]:
    """Return all tables of the shard, the largest first."""
    return [TableSize(**row) for row in await tx.all(_TABLES)]


async def oldest_rows(tx: ReadTx) -> dict[str, datetime]:
    """Return when the oldest row was made, of kinds that have one and keep them by time."""
    return {row["kind"]: row["at"] for row in await tx.all(_OLDEST_ROWS)}


async def largest(tx: ReadTx, default_days: int, default_bytes: int, most: int) -> list[Taken]:
    """Return the organizations whose runs take most."""
    parameters = {"days": default_days, "bytes": default_bytes, "most": most}
    return [Taken(**row) for row in await tx.all(_LARGEST, parameters)]
