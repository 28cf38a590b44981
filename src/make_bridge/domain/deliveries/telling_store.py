"""What the consumer and the hourly care do over all organizations, as ``bridge_engine``."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from make_bridge.domain.deliveries.messages import EndpointId, MessageId
from make_bridge.domain.deliveries.model import EndpointState, MessageState
from make_bridge.kernel.ids import JobId, OrganizationId
from make_bridge.platform.database.arrays import ByteaArray
from make_bridge.platform.database.transactions import WriteTx

# Shared, so that who pauses or resumes waits for this transaction, and this one for them.
_LISTENING: Final = """
SELECT id, organization_id, events, state FROM shard.webhook_endpoints
WHERE organization_id = ANY(%s::bigint[]) ORDER BY id FOR SHARE
"""
_KEPT: Final = """
SELECT count(*) AS kept FROM (
    SELECT FROM shard.webhook_messages WHERE endpoint_id = %s AND state = ANY(%s::text[]) LIMIT %s) AS first_ones
"""
_INSERT: Final = """
INSERT INTO shard.webhook_messages
    (id, organization_id, endpoint_id, event_id, type, body, state, error, finished_at)
SELECT t.*, CASE WHEN t.state = 'failed' THEN now() END
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bytea[], %s::text[], %s::text[])
    AS t(id, organization_id, endpoint_id, event_id, type, body, state, error)
ON CONFLICT (id) DO NOTHING RETURNING id
"""
_NAME_JOBS: Final = """
UPDATE shard.webhook_messages m SET job_id = t.job FROM unnest(%s::uuid[], %s::uuid[]) AS t(id, job) WHERE m.id = t.id
"""
_DROP: Final = """
UPDATE shard.webhook_endpoints e SET dropped = e.dropped + t.messages
FROM unnest(%s::bigint[], %s::bigint[]) AS t(id, messages) WHERE e.id = t.id
"""
_FORGET: Final = """
DELETE FROM shard.webhook_messages WHERE id IN (
    SELECT id FROM shard.webhook_messages WHERE finished_at < now() - make_interval(days => %s) LIMIT 1000)
"""
_FORGET_ORPHANS: Final = """
DELETE FROM shard.webhook_messages WHERE id IN (
    SELECT m.id FROM shard.webhook_messages m
    WHERE NOT EXISTS (SELECT FROM shard.webhook_endpoints e WHERE e.id = m.endpoint_id) LIMIT 1000)
"""
# A job that was cancelled, or died with its workers, leaves a message behind that nobody sends.
_MEND: Final = """
UPDATE shard.webhook_messages SET state = 'failed', finished_at = now(), error = %s WHERE id IN (
    SELECT m.id FROM shard.webhook_messages m LEFT JOIN shard.jobs j ON j.id = m.job_id
    WHERE m.state = 'waiting' AND m.created_at < now() - interval '1 minute'
      AND (j.id IS NULL OR j.finished_at < now() - interval '1 minute') LIMIT 1000)
"""
_LOST: Final = "Its job was cancelled or given up before it could be delivered: replay it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """An endpoint as the consumer needs it."""

    id: EndpointId
    organization_id: OrganizationId
    events: tuple[str, ...]
    state: EndpointState


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """An event for an endpoint, about to be stored."""

    id: MessageId
    organization_id: OrganizationId
    endpoint_id: EndpointId
    event_id: str
    type: str
    body: bytes = field(repr=False)
    state: MessageState
    error: str = ""
    trace_context: str | None = None
    """Of the event; its job goes on with the trace."""


async def listening(tx: WriteTx, organizations: Collection[OrganizationId]) -> list[Listening]:
    """Return the endpoints of these organizations."""
    rows = await tx.all(_LISTENING, (sorted(organizations),))
    return [
        Listening(
            id=row["id"],
            organization_id=row["organization_id"],
            events=tuple(row["events"]),
            state=EndpointState(row["state"]),
        )
        for row in rows
    ]


async def kept(tx: WriteTx, endpoint_id: EndpointId, states: Sequence[MessageState], most: int) -> int:
    """Count what an endpoint has in these states, up to ``most``."""
    [row] = await tx.all(_KEPT, (endpoint_id, [state.value for state in states], most))
    return int(row["kept"])


async def insert(tx: WriteTx, messages: Sequence[NewMessage]) -> set[MessageId]:
    """Write messages; return those that were not there already."""
    rows = await tx.all(
        _INSERT,
        (
            [message.id for message in messages],
            [message.organization_id for message in messages],
            [message.endpoint_id for message in messages],
            [message.event_id for message in messages],
            [message.type for message in messages],
            ByteaArray([message.body for message in messages]),
            [message.state.value for message in messages],
            [message.error for message in messages],
        ),
    )
    return {MessageId(row["id"].hex) for row in rows}


async def name_jobs(tx: WriteTx, jobs: Mapping[MessageId, JobId]) -> None:
    """Say which jobs send which messages."""
    await tx.execute(_NAME_JOBS, (list(jobs), list(jobs.values())))


async def count_dropped(tx: WriteTx, dropped: Mapping[EndpointId, int]) -> None:
    """Count messages that there was no room for."""
    if dropped:
        rows = sorted(dropped.items())
        await tx.execute(_DROP, ([endpoint for endpoint, _ in rows], [messages for _, messages in rows]))


async def forget(tx: WriteTx, days: int) -> int:
    """Drop what ended so many days ago, and what belonged to deleted endpoints; return how much."""
    return await tx.execute(_FORGET, (days,)) + await tx.execute(_FORGET_ORPHANS)


async def mend(tx: WriteTx) -> int:
    """Put messages down as failed that nobody will send; return how many."""
    return await tx.execute(_MEND, (_LOST,))
