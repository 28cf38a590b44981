"""What sending reads and writes: a place among an endpoint's few, the log, and what attempts say about the endpoint.

Everything acts as the tenant. The endpoint's row is locked for the moments before and after a call, never during it.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from make_bridge.domain.deliveries.messages import EndpointId, MessageId
from make_bridge.domain.deliveries.model import Ending, EndpointState, Meaning, MessageState
from make_bridge.kernel.ids import JobId, OrganizationId
from make_bridge.platform.database.transactions import WriteTx

_LOCK_ENDPOINT: Final = """
SELECT url, state, secret_sealed, CASE WHEN previous_until > now() THEN previous_sealed END AS previous_sealed
FROM shard.webhook_endpoints WHERE organization_id = %s AND id = %s FOR UPDATE
"""
_LOCK_MESSAGE: Final = """
SELECT body, state FROM shard.webhook_messages
WHERE organization_id = %s AND id = %s AND job_id = %s FOR UPDATE
"""
_BUSY: Final = """
SELECT count(*) AS places FROM shard.webhook_messages
WHERE endpoint_id = %s AND organization_id = %s AND sending_until > now() AND id <> %s
"""
_LINE: Final = """
SELECT count(*) AS waiting FROM (
    SELECT FROM shard.webhook_messages WHERE endpoint_id = %s AND organization_id = %s AND state = 'waiting' LIMIT 1000
) AS first_ones
"""
_TAKE: Final = """
UPDATE shard.webhook_messages SET sending_until = now() + make_interval(secs => %s)
WHERE id = %s AND organization_id = %s
"""
_END: Final = """
UPDATE shard.webhook_messages SET state = %s, error = %s, sending_until = NULL, attempts = attempts + %s,
    finished_at = CASE WHEN %s IN ('waiting', 'held') THEN NULL ELSE now() END
WHERE id = %s AND organization_id = %s AND job_id = %s AND state <> 'delivered' RETURNING attempts
"""
_LOG: Final = """
INSERT INTO shard.webhook_attempts
    (message_id, number, organization_id, at, status, failure, duration_ms, answer, next_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_CUT: Final = "DELETE FROM shard.webhook_attempts WHERE message_id = %s AND organization_id = %s AND number <= %s"
# A busy endpoint that works is not written to more than every ten seconds.
_WORKS: Final = """
UPDATE shard.webhook_endpoints SET last_success_at = now(), failing_since = NULL, failures = 0
WHERE organization_id = %s AND id = %s
  AND (failures > 0 OR last_success_at IS NULL OR last_success_at < now() - interval '10 seconds')
"""
_FAILS: Final = """
UPDATE shard.webhook_endpoints SET failing_since = coalesce(failing_since, now()), failures = failures + 1
WHERE organization_id = %s AND id = %s
RETURNING failures, failing_since <= now() - make_interval(days => %s) AS for_days
"""
_DISABLE: Final = """
UPDATE shard.webhook_endpoints SET state = 'disabled', disabled_reason = %s, disabled_at = now()
WHERE organization_id = %s AND id = %s AND state <> 'disabled'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Which message goes where, and the job that does it."""

    organization_id: OrganizationId
    endpoint_id: EndpointId
    message_id: MessageId
    job_id: JobId


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What is to be sent: when ``busy`` is set, not now; the secrets are still sealed."""

    state: EndpointState
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    body: bytes = field(repr=False)
    busy: bool = False
    waiting: int = 0


async def take(tx: WriteTx, delivery: Delivery, *, places: int, seconds: float) -> Turn | None:
    """Take one of an endpoint's places for so long; None when this job has nothing to send any more."""
    organization_id, endpoint_id, message_id = delivery.organization_id, delivery.endpoint_id, delivery.message_id
    endpoint = await tx.one(_LOCK_ENDPOINT, (organization_id, endpoint_id))
    if endpoint is None:
        return None
    message = await tx.one(_LOCK_MESSAGE, (organization_id, message_id, delivery.job_id))
    if message is None or message["state"] == MessageState.DELIVERED:
        return None
    state = EndpointState(endpoint["state"])
    if state is EndpointState.ACTIVE:
        [busy] = await tx.all(_BUSY, (endpoint_id, organization_id, message_id))
        if busy["places"] >= places:
            [line] = await tx.all(_LINE, (endpoint_id, organization_id))
            return Turn(state=state, url="", secrets=(), body=b"", busy=True, waiting=line["waiting"])
        await tx.execute(_TAKE, (seconds, message_id, organization_id))
    sealed = (endpoint["secret_sealed"], endpoint["previous_sealed"])
    return Turn(
        state=state,
        url=endpoint["url"],
        secrets=tuple(secret for secret in sealed if secret is not None),
        body=bytes(message["body"]),
    )


async def end(tx: WriteTx, delivery: Delivery, state: MessageState, why: str, *, attempts: int) -> int | None:
    """Write how far a message is, and give its place back; None when another attempt was faster."""
    place = (delivery.message_id, delivery.organization_id, delivery.job_id)
    row = await tx.one(_END, (state.value, why, attempts, state.value, *place))
    return None if row is None else int(row["attempts"])


async def lock_endpoint(tx: WriteTx, delivery: Delivery) -> bool:
    """Hold an endpoint; False when it was deleted meanwhile."""
    return await tx.one(_LOCK_ENDPOINT, (delivery.organization_id, delivery.endpoint_id)) is not None


async def log(tx: WriteTx, delivery: Delivery, number: int, ending: Ending, next_at: datetime | None) -> None:
    """Write an attempt down."""
    row = (ending.at, ending.status, ending.failure, ending.duration_ms, ending.answer, next_at)
    await tx.execute(_LOG, (delivery.message_id, number, delivery.organization_id, *row))


async def cut_log(tx: WriteTx, delivery: Delivery, upto: int) -> None:
    """Drop the oldest attempts, up to a number."""
    await tx.execute(_CUT, (delivery.message_id, delivery.organization_id, upto))


async def judge(tx: WriteTx, delivery: Delivery, meaning: Meaning, days: int) -> tuple[int, bool]:
    """Note what an attempt says about its endpoint; return failures since the last success, and if for days."""
    place = (delivery.organization_id, delivery.endpoint_id)
    if meaning is Meaning.DELIVERED:
        await tx.execute(_WORKS, place)
        return 0, False
    row = await tx.one(_FAILS, (*place, days))
    return (0, False) if row is None else (int(row["failures"]), bool(row["for_days"]))


async def disable(tx: WriteTx, delivery: Delivery, reason: str) -> bool:
    """Send nothing there any more; False when that was so already."""
    return await tx.execute(_DISABLE, (reason, delivery.organization_id, delivery.endpoint_id)) > 0
