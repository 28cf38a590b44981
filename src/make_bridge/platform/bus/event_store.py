"""Every statement on events: giving positions, reading by position, consumers' positions, and what is let go.

All act as ``bridge_engine``. Positions are given to committed rows only, by the holder of the lead, whose row is locked
meanwhile; so a reader that has seen position n never finds a smaller one later, which ``id > n`` could not promise.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
from psycopg.rows import DictRow

from make_bridge.kernel.ids import OrganizationId
from make_bridge.kernel.messages import Event
from make_bridge.platform.bus.events import Envelope
from make_bridge.platform.database.transactions import ReadTx, WriteTx
from make_bridge.platform.observability.tracing.spans import carried

_STAMP: Final = """
WITH leader AS MATERIALIZED (
    SELECT 1 AS holds FROM shard.leaders WHERE name = %(name)s AND owner = %(owner)s AND fence = %(fence)s FOR SHARE
), waiting AS MATERIALIZED (
    SELECT id, sequence FROM shard.outbox WHERE position IS NULL AND EXISTS (SELECT FROM leader)
    ORDER BY sequence LIMIT %(most)s
), numbered AS (
    SELECT id, row_number() OVER (ORDER BY sequence) AS number FROM waiting
), moved AS (
    UPDATE shard.event_positions SET last = last + (SELECT count(*) FROM waiting)
    WHERE EXISTS (SELECT FROM waiting) RETURNING last
)
UPDATE shard.outbox o SET position = moved.last - (SELECT count(*) FROM waiting) + n.number
FROM numbered n, moved WHERE o.id = n.id AND o.position IS NULL
"""
_LOOK: Final = """
SELECT last, EXISTS (SELECT FROM shard.outbox WHERE position IS NULL) AS waiting FROM shard.event_positions
"""
_READ: Final = """
SELECT id, position, organization_id, type, subject, payload, trace, trace_context, created_at FROM shard.outbox
WHERE position > %(after)s AND position <= %(upto)s AND NOT is_history
  AND (%(types)s::text[] IS NULL OR type = ANY(%(types)s::text[]))
ORDER BY position
"""
_CARRY: Final = """
SELECT id, position, organization_id, type, subject, trace, created_at,
    CASE WHEN octet_length(payload) <= %(most)s THEN payload ELSE ''::bytea END AS payload
FROM shard.outbox WHERE position > %(after)s AND position <= %(upto)s ORDER BY position
"""
_JOIN: Final = """
INSERT INTO shard.event_consumers (name, position) SELECT %s, trimmed FROM shard.event_positions
ON CONFLICT DO NOTHING
"""
_PEEK: Final = """
SELECT p.last - c.position AS behind, c.retry_at > now() AS waits,
    EXISTS (SELECT FROM shard.parked_events e WHERE e.consumer = c.name AND e.replay_at IS NOT NULL) AS asked
FROM shard.event_consumers c CROSS JOIN shard.event_positions p WHERE c.name = %s
"""
_HOLD: Final = """
SELECT c.position, c.tries, c.retry_at > now() AS waits, p.last, p.trimmed
FROM shard.event_consumers c CROSS JOIN shard.event_positions p WHERE c.name = %s FOR UPDATE OF c SKIP LOCKED
"""
_MOVE: Final = """
UPDATE shard.event_consumers
SET position = %(position)s, tries = %(tries)s, retry_at = now() + make_interval(secs => %(pause)s), updated_at = now()
WHERE name = %(name)s
"""
_TRIM: Final = """
WITH leader AS MATERIALIZED (
    SELECT 1 AS holds FROM shard.leaders WHERE name = %(name)s AND owner = %(owner)s AND fence = %(fence)s FOR SHARE
), oldest AS MATERIALIZED (
    (SELECT id, position, created_at FROM shard.outbox
     WHERE position IS NOT NULL AND NOT is_history AND EXISTS (SELECT FROM leader) ORDER BY position LIMIT %(batch)s)
    UNION ALL
    (SELECT id, position, created_at FROM shard.outbox
     WHERE is_history AND EXISTS (SELECT FROM leader) ORDER BY position LIMIT %(batch)s)
), gone AS (
    DELETE FROM shard.outbox o USING oldest
    WHERE o.id = oldest.id
      AND (oldest.created_at < now() - make_interval(days => %(days)s)
           OR oldest.position <= (SELECT last - %(most)s FROM shard.event_positions))
    RETURNING o.position, o.is_history
)
UPDATE shard.event_positions SET trimmed = greatest(trimmed, (SELECT max(position) FROM gone WHERE NOT is_history))
WHERE EXISTS (SELECT FROM gone) RETURNING (SELECT count(*) FROM gone) AS gone
"""
_ADD: Final = """
INSERT INTO shard.outbox (organization_id, type, subject, payload, trace_context) VALUES (%s, %s, %s, %s, %s)
"""
_NOTIFY: Final = "SELECT pg_notify(%s, %s)"


class Lead(msgspec.Struct, frozen=True, kw_only=True):
    """The proof that somebody leads: name of the duty, holder, fence."""

    name: str
    owner: str
    fence: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far a consumer has come: ``tries`` of the event after its position, ``waits`` until it may be tried again."""

    position: int
    tries: int
    waits: bool
    last: int
    trimmed: int


class Glance(msgspec.Struct, frozen=True, kw_only=True):
    """How many events a consumer is behind, whether it waits before its next try, and is asked for parked ones."""

    behind: int
    waits: bool
    asked: bool


async def add(tx: WriteTx, organization_id: OrganizationId, event: Event, subject: str) -> None:
    """Tell a fact that no command caused."""
    await tx.execute(_ADD, (organization_id, event.wire_name, subject, msgspec.json.encode(event), carried()))


async def stamp(tx: WriteTx, lead: Lead, most: int) -> int:
    """Give the next positions to what is committed; return to how many, none for who does not lead any more."""
    return await tx.execute(_STAMP, {**msgspec.structs.asdict(lead), "most": most})


async def look(tx: ReadTx) -> tuple[int, bool]:
    """Return the newest position there is, and whether events wait for theirs; without a lock, so at no cost."""
    row = await tx.one(_LOOK)
    return (0, False) if row is None else (int(row["last"]), bool(row["waiting"]))


async def read(tx: ReadTx, after: int, upto: int, types: Sequence[str] | None) -> list[Envelope]:
    """Return events between two positions, in order."""
    wanted = None if types is None else list(types)
    return [envelope_of(row) for row in await tx.all(_READ, {"after": after, "upto": upto, "types": wanted})]


async def carry(tx: ReadTx, after: int, upto: int, most: int) -> list[Envelope]:
    """Return all events between two positions, in order; those of more than ``most`` bytes without their data."""
    return [envelope_of(row) for row in await tx.all(_CARRY, {"after": after, "upto": upto, "most": most})]


def envelope_of(row: DictRow) -> Envelope:
    """Return a stored event in its envelope."""
    return Envelope(
        id=str(row["id"]),
        position=row["position"],
        organization_id=OrganizationId(row["organization_id"]),
        type=row["type"],
        subject=row["subject"],
        time=row["created_at"],
        data=bytes(row["payload"]),
        trace=row["trace"],
        trace_context=row.get("trace_context"),
    )


async def join(tx: WriteTx, name: str) -> None:
    """Let a consumer begin, at the oldest event that is kept; one that began before goes on where it stands."""
    await tx.execute(_JOIN, (name,))


async def peek(tx: ReadTx, name: str) -> Glance:
    """Return whether there is anything to do for a consumer; without a lock."""
    row = await tx.one(_PEEK, (name,))
    return Glance(behind=0, waits=False, asked=False) if row is None else msgspec.convert(row, Glance)


async def hold(tx: WriteTx, name: str) -> Standing | None:
    """Lock a consumer's position until the transaction ends; None while another process has it."""
    row = await tx.one(_HOLD, (name,))
    return None if row is None else msgspec.convert(row, Standing)


async def move(tx: WriteTx, name: str, position: int, tries: int, pause: float) -> None:
    """Write how far a consumer has come, and how long it waits before its next try."""
    await tx.execute(_MOVE, {"name": name, "position": position, "tries": tries, "pause": pause})


async def trim(tx: WriteTx, lead: Lead, *, days: int, most: int, batch: int) -> int:
    """Let the oldest events go that are beyond age or number; return how many."""
    bounds = {"days": days, "most": most, "batch": batch}
    row = await tx.one(_TRIM, {**msgspec.structs.asdict(lead), **bounds})
    return 0 if row is None else int(row["gone"])


async def notify(tx: WriteTx, channel: str, word: str) -> None:
    """Say a word to all who listen on this database."""
    await tx.execute(_NOTIFY, (channel, word))
