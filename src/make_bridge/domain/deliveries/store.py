"""The rows of endpoints and of what they are told, as people meet them. Every statement names the organization.

Wherever both are locked, the endpoint is locked before its messages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from psycopg.rows import DictRow

from make_bridge.domain.deliveries.messages import Attempt, Endpoint, EndpointId, Message, MessageId
from make_bridge.domain.deliveries.model import EndpointState, MessageState
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import JobId, OrganizationId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_NEW_ID: Final = "SELECT shard.new_id() AS id"
_LOCK_MAKING: Final = "SELECT pg_advisory_xact_lock(hashtextextended('make_bridge.webhook_endpoints', %s))"
_COUNT: Final = "SELECT count(*) AS endpoints FROM shard.webhook_endpoints WHERE organization_id = %s"
_INSERT: Final = """
INSERT INTO shard.webhook_endpoints (id, organization_id, url, description, events, secret_sealed)
VALUES (%s, %s, %s, %s, %s, %s)
"""
_LIST: Final = """
SELECT id, url, description, events, state, secret_sealed, disabled_reason, disabled_at, last_success_at,
       failing_since, failures, dropped, created_at,
       CASE WHEN previous_until > now() THEN previous_until END AS previous_until
FROM shard.webhook_endpoints WHERE organization_id = %s ORDER BY id LIMIT 1000
"""
_GET: Final = """
SELECT id, url, description, events, state, secret_sealed, disabled_reason, disabled_at, last_success_at,
       failing_since, failures, dropped, created_at,
       CASE WHEN previous_until > now() THEN previous_until END AS previous_until
FROM shard.webhook_endpoints WHERE organization_id = %s AND id = %s
"""
_LOCK: Final = """
SELECT id, url, description, events, state, secret_sealed, disabled_reason, disabled_at, last_success_at,
       failing_since, failures, dropped, created_at,
       CASE WHEN previous_until > now() THEN previous_until END AS previous_until
FROM shard.webhook_endpoints WHERE organization_id = %s AND id = %s FOR UPDATE
"""
_UPDATE: Final = """
UPDATE shard.webhook_endpoints SET url = %s, description = %s, events = %s WHERE organization_id = %s AND id = %s
"""
_DELETE: Final = "DELETE FROM shard.webhook_endpoints WHERE organization_id = %s AND id = %s"
_ROTATE: Final = """
UPDATE shard.webhook_endpoints SET previous_sealed = secret_sealed, secret_sealed = %s,
    previous_until = now() + make_interval(hours => %s)
WHERE organization_id = %s AND id = %s
"""
_PAUSE: Final = "UPDATE shard.webhook_endpoints SET state = 'paused' WHERE organization_id = %s AND id = %s"
_RESUME: Final = """
UPDATE shard.webhook_endpoints SET state = 'active', disabled_reason = '', disabled_at = NULL,
    failing_since = NULL, failures = 0
WHERE organization_id = %s AND id = %s
"""
_MESSAGES: Final = """
SELECT m.id, m.endpoint_id, m.event_id, m.type, m.state, m.attempts, m.error, m.created_at, m.finished_at,
       q.ready_at AS next_attempt_at
FROM shard.webhook_messages m LEFT JOIN shard.queue q ON q.id = m.job_id AND m.state = 'waiting'
WHERE m.organization_id = %(organization)s AND m.endpoint_id = %(endpoint)s
  AND (%(state)s::text IS NULL OR m.state = %(state)s)
ORDER BY m.created_at DESC, m.id DESC LIMIT %(limit)s OFFSET %(offset)s
"""
_MESSAGE: Final = """
SELECT m.id, m.endpoint_id, m.event_id, m.type, m.state, m.attempts, m.error, m.created_at, m.finished_at, m.body,
       q.ready_at AS next_attempt_at
FROM shard.webhook_messages m LEFT JOIN shard.queue q ON q.id = m.job_id AND m.state = 'waiting'
WHERE m.organization_id = %s AND m.endpoint_id = %s AND m.id = %s
"""
_LOG: Final = """
SELECT number, at, status, failure, duration_ms, answer, next_at FROM shard.webhook_attempts
WHERE organization_id = %s AND message_id = %s ORDER BY number
"""
_UNFINISHED: Final = """
SELECT count(*) AS unfinished FROM (
    SELECT FROM shard.webhook_messages
    WHERE organization_id = %s AND endpoint_id = %s AND state IN ('waiting', 'held') LIMIT %s) AS first_ones
"""
_INSERT_MESSAGE: Final = """
INSERT INTO shard.webhook_messages (id, organization_id, endpoint_id, event_id, type, body, state)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
_LOCK_FAILED: Final = """
SELECT id FROM shard.webhook_messages
WHERE organization_id = %s AND endpoint_id = %s AND state = 'failed' AND created_at >= %s
ORDER BY created_at, id LIMIT %s FOR UPDATE
"""
_LOCK_HELD: Final = """
SELECT id FROM shard.webhook_messages
WHERE organization_id = %s AND endpoint_id = %s AND state = 'held' ORDER BY created_at, id LIMIT %s FOR UPDATE
"""
_LOCK_MESSAGE: Final = """
SELECT id FROM shard.webhook_messages WHERE organization_id = %s AND endpoint_id = %s AND id = %s FOR UPDATE
"""
_QUEUE: Final = """
UPDATE shard.webhook_messages m SET state = 'waiting', job_id = t.job, error = '', finished_at = NULL
FROM unnest(%s::uuid[], %s::uuid[]) AS t(id, job) WHERE m.id = t.id AND m.organization_id = %s
"""
_HOLD: Final = """
UPDATE shard.webhook_messages SET state = 'held', job_id = NULL, error = '', finished_at = NULL
WHERE id = %s AND organization_id = %s
"""
_UNKNOWN: Final = "There is no such webhook endpoint."
_UNKNOWN_MESSAGE: Final = "There is no such message to this endpoint, or it is not kept any more."


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEndpoint:
    """An endpoint with its secret, still sealed."""

    endpoint: Endpoint
    secret_sealed: str = field(repr=False)


async def new_id(tx: WriteTx) -> EndpointId:
    """Draw the id of a new endpoint; the secret is sealed for it."""
    [row] = await tx.all(_NEW_ID)
    return EndpointId(row["id"])


async def count(tx: WriteTx, organization_id: OrganizationId) -> int:
    """Return how many endpoints there are; nobody makes another until this transaction ends."""
    await tx.execute(_LOCK_MAKING, (organization_id,))
    [row] = await tx.all(_COUNT, (organization_id,))
    return int(row["endpoints"])


async def insert(
    tx: WriteTx, organization_id: OrganizationId, endpoint_id: EndpointId,
    wanted: tuple[str, str, Sequence[str]], sealed: str,
) -> None:  # fmt: skip
    """Write a new endpoint: URL, description and events of ``wanted``, and its sealed secret."""
    url, description, events = wanted
    await tx.execute(_INSERT, (endpoint_id, organization_id, url, description, list(events), sealed))


async def list_all(tx: ReadTx, organization_id: OrganizationId) -> list[Endpoint]:
    """Return all endpoints, oldest first."""
    return [_endpoint(row).endpoint for row in await tx.all(_LIST, (organization_id,))]


async def get(tx: ReadTx, organization_id: OrganizationId, endpoint_id: EndpointId) -> StoredEndpoint:
    """Return an endpoint; raises NotFound."""
    return _endpoint(_required(await tx.one(_GET, (organization_id, endpoint_id)), _UNKNOWN))


async def lock(tx: WriteTx, organization_id: OrganizationId, endpoint_id: EndpointId) -> StoredEndpoint:
    """Return an endpoint that nobody changes or sends for until the transaction ends; raises NotFound."""
    return _endpoint(_required(await tx.one(_LOCK, (organization_id, endpoint_id)), _UNKNOWN))


async def update(
    tx: WriteTx, organization_id: OrganizationId, endpoint_id: EndpointId, wanted: tuple[str, str, Sequence[str]]
) -> None:
    """Write URL, description and events."""
    url, description, events = wanted
    await tx.execute(_UPDATE, (url, description, list(events), organization_id, endpoint_id))


async def delete(tx: WriteTx, organization_id: OrganizationId, endpoint_id: EndpointId) -> None:
    """Remove an endpoint; its messages are forgotten by and by."""
    await tx.execute(_DELETE, (organization_id, endpoint_id))


async def rotate(
    tx: WriteTx, organization_id: OrganizationId, endpoint_id: EndpointId, sealed: str, hours: int
) -> None:
    """Write a new secret; the one before signs beside it for so many hours."""
    await tx.execute(_ROTATE, (sealed, hours, organization_id, endpoint_id))


async def set_state(
    tx: WriteTx, organization_id: OrganizationId, endpoint_id: EndpointId, state: EndpointState
) -> None:
    """Pause, or begin anew with nothing held against it."""
    await tx.execute(_PAUSE if state is EndpointState.PAUSED else _RESUME, (organization_id, endpoint_id))


async def list_messages(
    tx: ReadTx, organization_id: OrganizationId, endpoint_id: EndpointId, state: str | None, page: tuple[int, int]
) -> list[Message]:
    """Return messages, newest first; ``page`` is limit and offset."""
    limit, offset = page
    parameters = {"organization": organization_id, "endpoint": endpoint_id, "state": state}
    return [_message(row) for row in await tx.all(_MESSAGES, {**parameters, "limit": limit, "offset": offset})]


async def get_message(
    tx: ReadTx, organization_id: OrganizationId, endpoint_id: EndpointId, message_id: MessageId
) -> tuple[Message, bytes, list[Attempt]]:
    """Return a message with its body and its log; raises NotFound."""
    row = _required(await tx.one(_MESSAGE, (organization_id, endpoint_id, message_id)), _UNKNOWN_MESSAGE)
    log = [Attempt(**attempt) for attempt in await tx.all(_LOG, (organization_id, message_id))]
    return _message(row), bytes(row["body"]), log


async def has_room(tx: ReadTx, organization_id: OrganizationId, endpoint_id: EndpointId, most: int) -> bool:
    """Say whether fewer than so many messages of an endpoint wait or are kept."""
    [row] = await tx.all(_UNFINISHED, (organization_id, endpoint_id, most))
    return int(row["unfinished"]) < most


async def insert_message(
    tx: WriteTx, organization_id: OrganizationId, endpoint_id: EndpointId, message_id: MessageId,
    told: tuple[str, str, bytes], state: MessageState,
) -> None:  # fmt: skip
    """Write a message; ``told`` is the event's id, its type and the body."""
    event_id, kind, body = told
    await tx.execute(_INSERT_MESSAGE, (message_id, organization_id, endpoint_id, event_id, kind, body, state.value))


async def lock_failed(
    tx: WriteTx, organization_id: OrganizationId, endpoint_id: EndpointId, since: datetime, most: int
) -> list[MessageId]:
    """Return failed messages since a moment, oldest first."""
    rows = await tx.all(_LOCK_FAILED, (organization_id, endpoint_id, since, most))
    return [MessageId(row["id"].hex) for row in rows]


async def lock_held(
    tx: WriteTx, organization_id: OrganizationId, endpoint_id: EndpointId, most: int
) -> list[MessageId]:
    """Return messages that a pause has kept, oldest first."""
    rows = await tx.all(_LOCK_HELD, (organization_id, endpoint_id, most))
    return [MessageId(row["id"].hex) for row in rows]


async def lock_message(
    tx: WriteTx, organization_id: OrganizationId, endpoint_id: EndpointId, message_id: MessageId
) -> None:
    """Hold a message until the transaction ends; raises NotFound."""
    _required(await tx.one(_LOCK_MESSAGE, (organization_id, endpoint_id, message_id)), _UNKNOWN_MESSAGE)


async def queue(
    tx: WriteTx, organization_id: OrganizationId, messages: Sequence[MessageId], jobs: Sequence[JobId]
) -> None:
    """Say which jobs send these messages from now on."""
    await tx.execute(_QUEUE, (list(messages), list(jobs), organization_id))


async def hold(tx: WriteTx, organization_id: OrganizationId, message_id: MessageId) -> None:
    """Keep a message until its endpoint is resumed."""
    await tx.execute(_HOLD, (message_id, organization_id))


def _required(row: DictRow | None, unknown: str) -> DictRow:
    if row is None:
        raise NotFound(unknown)
    return row


def _endpoint(row: DictRow) -> StoredEndpoint:
    endpoint = Endpoint(
        id=row["id"],
        url=row["url"],
        description=row["description"],
        events=tuple(row["events"]),
        state=row["state"],
        disabled_reason=row["disabled_reason"],
        disabled_at=row["disabled_at"],
        previous_secret_until=row["previous_until"],
        last_success_at=row["last_success_at"],
        failing_since=row["failing_since"],
        failures=row["failures"],
        dropped=row["dropped"],
        created_at=row["created_at"],
    )
    return StoredEndpoint(endpoint=endpoint, secret_sealed=row["secret_sealed"])


def _message(row: DictRow) -> Message:
    return Message(
        id=MessageId(row["id"].hex),
        endpoint_id=row["endpoint_id"],
        event_id=row["event_id"],
        type=row["type"],
        state=row["state"],
        attempts=row["attempts"],
        error=row["error"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        next_attempt_at=row["next_attempt_at"],
    )
