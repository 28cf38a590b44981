"""Every statement on what happened: events by position, and their counters."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from psycopg.rows import DictRow

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.event_store import envelope_of
from make_bridge.platform.bus.events import Envelope
from make_bridge.platform.database.transactions import ReadTx, WriteTx

Counted = tuple[OrganizationId, date, str]

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
