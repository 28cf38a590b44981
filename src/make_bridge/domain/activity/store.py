"""Every statement on what happened: events by position, their counters, and those put aside."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import msgspec
from psycopg.rows import DictRow

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.event_store import envelope_of
from make_bridge.platform.bus.events import Envelope
from make_bridge.platform.database.transactions import ReadTx, WriteTx

Counted = tuple[OrganizationId, date, str]


class ParkedOfShard(msgspec.Struct, frozen=True, kw_only=True):
    """Which parked events an operator wants; None is any."""

    organization: OrganizationId | None
    consumer: str | None
    ids: tuple[str, ...] | None
    limit: int


_LIST: Final = """
SELECT id, position, organization_id, type, subject, payload, trace, created_at FROM shard.outbox
WHERE organization_id = %(organization)s AND position > %(after)s
  AND (%(types)s::text[] IS NULL OR type = ANY(%(types)s::text[]))
ORDER BY position LIMIT %(limit)s
"""
_COUNT: Final = """
INSERT INTO shard.event_counts AS c (organization_id, day, type, events)
SELECT * FROM unnest(%s::bigint[], %s::date[], %s::text[], %s::bigint[])
ON CONFLICT (organization_id, day, type) DO UPDATE SET events = c.events + excluded.events
"""
_COUNTS: Final = """
SELECT day, type, events FROM shard.event_counts
WHERE organization_id = %s AND day > (now() AT TIME ZONE 'UTC')::date - 30 ORDER BY day, type
"""
_PARKED: Final = """
SELECT id AS parked_id, event_id AS id, position, organization_id, type, subject, payload, trace, created_at,
    consumer, error, replays, replay_at, parked_at
FROM shard.parked_events WHERE organization_id = %(organization)s
ORDER BY parked_at DESC, id DESC LIMIT %(limit)s OFFSET %(offset)s
"""
_PARKED_EVERYWHERE: Final = """
SELECT id AS parked_id, event_id AS id, position, organization_id, type, subject, payload, trace, created_at,
    consumer, error, replays, replay_at, parked_at
FROM shard.parked_events
WHERE (%(organization)s::bigint IS NULL OR organization_id = %(organization)s)
  AND (%(consumer)s::text IS NULL OR consumer = %(consumer)s)
  AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s::uuid[]))
ORDER BY parked_at DESC, id DESC LIMIT %(limit)s
"""
_ASK: Final = """
UPDATE shard.parked_events SET replay_at = coalesce(replay_at, now()) WHERE organization_id = %s AND id = %s
"""


async def list_events(
    tx: ReadTx, organization_id: OrganizationId, after: int, types: Sequence[str] | None, limit: int
) -> list[Envelope]:
    """Return an organization's events after a position, oldest first."""
    wanted = None if types is None else list(types)
    parameters = {"organization": organization_id, "after": after, "types": wanted, "limit": limit}
    return [envelope_of(row) for row in await tx.all(_LIST, parameters)]


async def count(tx: WriteTx, counted: Mapping[Counted, int]) -> None:
    """Add to the counters."""
    rows = sorted((*key, events) for key, events in counted.items())
    await tx.execute(_COUNT, [list(column) for column in zip(*rows, strict=True)])


async def counts(tx: ReadTx, organization_id: OrganizationId) -> list[DictRow]:
    """Return thirty days of counters."""
    return await tx.all(_COUNTS, (organization_id,))


async def list_parked(tx: ReadTx, organization_id: OrganizationId, limit: int, offset: int) -> list[DictRow]:
    """Return an organization's parked events, the newest first."""
    return await tx.all(_PARKED, {"organization": organization_id, "limit": limit, "offset": offset})


async def list_parked_everywhere(tx: ReadTx, wanted: ParkedOfShard) -> list[DictRow]:
    """Return a shard's parked events, the newest first: for the engine's role only, which sees all organizations."""
    return await tx.all(
        _PARKED_EVERYWHERE, {**msgspec.structs.asdict(wanted), "ids": None if wanted.ids is None else list(wanted.ids)}
    )


async def ask_for(tx: WriteTx, organization_id: OrganizationId, parked_id: str) -> bool:
    """Have a parked event tried again; return whether there is one."""
    return await tx.execute(_ASK, (organization_id, parked_id)) > 0
