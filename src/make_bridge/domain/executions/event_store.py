"""Every statement on webhook events: which execution an event began, as long as its hook's window lasts.

The unique row is the authority over all processes. Who inserts it first has the event; who comes at the same moment
waits at that row until the first has committed, and then reads its execution. A row past the window changes hands.
"""

from collections.abc import Mapping, Sequence

import msgspec

from make_bridge.domain.executions.model import NewRun, Outcome
from make_bridge.kernel.ids import ExecutionId, HookId
from make_bridge.platform.database.arrays import ByteaArray
from make_bridge.platform.database.transactions import WriteTx

_CLAIM = """
INSERT INTO shard.webhook_events AS w (organization_id, hook_id, event_id, execution_id, received_at, expires_at)
SELECT organization_id, hook_id, event_id, execution_id, now(), now() + make_interval(secs => seconds)
FROM unnest(%(organizations)s::bigint[], %(hooks)s::bigint[], %(events)s::bytea[], %(executions)s::uuid[],
            %(windows)s::integer[]) AS t(organization_id, hook_id, event_id, execution_id, seconds)
ORDER BY organization_id, hook_id, event_id
ON CONFLICT (organization_id, hook_id, event_id) DO UPDATE
SET execution_id = excluded.execution_id, received_at = excluded.received_at, expires_at = excluded.expires_at
WHERE w.received_at <= now() - (excluded.expires_at - excluded.received_at)
RETURNING hook_id, event_id, execution_id
"""
_HOLDERS = """
SELECT w.hook_id, w.event_id, w.execution_id
FROM shard.webhook_events w
JOIN unnest(%(organizations)s::bigint[], %(hooks)s::bigint[], %(events)s::bytea[])
    AS t(organization_id, hook_id, event_id) USING (organization_id, hook_id, event_id)
"""
_FORGET = """
DELETE FROM shard.webhook_events WHERE ctid IN (
    SELECT ctid FROM shard.webhook_events WHERE expires_at < now() ORDER BY expires_at LIMIT %s
    FOR UPDATE SKIP LOCKED)
"""

EventKey = tuple[HookId, bytes]


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """A run about to be stored, and the event it is of; with an outcome it was carried out at once."""

    run: NewRun
    hook_id: HookId
    event_id: bytes
    window_seconds: int
    outcome: Outcome | None = None

    @property
    def key(self) -> EventKey:
        """Return what no other event has."""
        return self.hook_id, self.event_id


async def claim(tx: WriteTx, arrivals: Sequence[Arrival]) -> Mapping[EventKey, ExecutionId]:
    """Return the execution that each event belongs to, written or found; no two arrivals may be of one event."""
    parameters = _columns(arrivals)
    held = {_key(row["hook_id"], row["event_id"]): row["execution_id"] for row in await tx.all(_CLAIM, parameters)}
    missing = [arrival for arrival in arrivals if arrival.key not in held]
    if missing:
        rows = await tx.all(_HOLDERS, _columns(missing))
        held |= {_key(row["hook_id"], row["event_id"]): row["execution_id"] for row in rows}
    return {key: ExecutionId(execution_id.hex) for key, execution_id in held.items()}


async def forget(tx: WriteTx, most: int) -> int:
    """Drop events whose window is over, at most so many; return how many."""
    return await tx.execute(_FORGET, (most,))


def _key(hook_id: int, event_id: bytes) -> EventKey:
    return HookId(hook_id), bytes(event_id)


def _columns(arrivals: Sequence[Arrival]) -> dict[str, object]:
    return {
        "organizations": [arrival.run.organization_id for arrival in arrivals],
        "hooks": [arrival.hook_id for arrival in arrivals],
        "events": ByteaArray([arrival.event_id for arrival in arrivals]),
        "executions": [arrival.run.id for arrival in arrivals],
        "windows": [arrival.window_seconds for arrival in arrivals],
    }
