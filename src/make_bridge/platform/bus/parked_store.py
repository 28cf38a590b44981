"""Every statement on parked events that their consumers need: putting aside, trying again, letting go.

All act as ``bridge_engine``, in the transaction of the consumer's work. Who may see and ask is said in
``domain/activity``.
"""

from typing import Final
from uuid import UUID

import msgspec

from make_bridge.platform.bus.event_store import envelope_of
from make_bridge.platform.bus.events import Envelope
from make_bridge.platform.database.transactions import WriteTx

_PARK: Final = """
INSERT INTO shard.parked_events
    (consumer, event_id, organization_id, position, type, subject, payload, trace, error, created_at)
SELECT %s, id, organization_id, position, type, subject, payload, trace, %s, created_at FROM shard.outbox WHERE id = %s
ON CONFLICT DO NOTHING
"""
_ASKED: Final = """
SELECT id AS parked_id, event_id AS id, position, organization_id, type, subject, payload, trace, created_at
FROM shard.parked_events WHERE consumer = %s AND replay_at IS NOT NULL
ORDER BY replay_at, position LIMIT %s FOR UPDATE SKIP LOCKED
"""
_TAKEN: Final = "DELETE FROM shard.parked_events WHERE id = %s"
_FAILED: Final = """
UPDATE shard.parked_events SET error = %s, replays = replays + 1, replay_at = NULL WHERE id = %s
"""
_FORGET: Final = """
DELETE FROM shard.parked_events WHERE (consumer, event_id) IN (
    SELECT consumer, event_id FROM shard.parked_events WHERE parked_at < now() - make_interval(days => %s) LIMIT %s)
"""


class AskedFor(msgspec.Struct, frozen=True, kw_only=True):
    """A parked event that somebody wants to be tried again."""

    parked_id: UUID
    envelope: Envelope


async def park(tx: WriteTx, name: str, envelope: Envelope, error: str) -> None:
    """Put an event aside that a consumer could not take."""
    await tx.execute(_PARK, (name, error, envelope.id))


async def asked_for(tx: WriteTx, name: str, most: int) -> list[AskedFor]:
    """Lock what a consumer is to try again, the first asked for first."""
    rows = await tx.all(_ASKED, (name, most))
    return [AskedFor(parked_id=row["parked_id"], envelope=envelope_of(row)) for row in rows]


async def taken(tx: WriteTx, parked_id: UUID) -> None:
    """Let one go that its consumer has taken after all."""
    await tx.execute(_TAKEN, (parked_id,))


async def failed_again(tx: WriteTx, parked_id: UUID, error: str) -> None:
    """Leave one aside, with what went wrong this time, until somebody asks again."""
    await tx.execute(_FAILED, (error, parked_id))


async def forget(tx: WriteTx, *, days: int, batch: int) -> int:
    """Let parked events go that nobody cared for; return how many."""
    return await tx.execute(_FORGET, (days, batch))
