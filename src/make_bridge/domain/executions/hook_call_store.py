"""The statements on calls of webhooks: executions with the size of their payloads, and what waits in the queue."""

from typing import Final

from psycopg.rows import DictRow

from make_bridge.domain.executions.hook_call_messages import ListHookCalls, ListWaitingCalls
from make_bridge.kernel.ids import OrganizationId, Retention, ScenarioId, execution_id_floor
from make_bridge.platform.database.transactions import ReadTx

# Bounds of the time are bounds of the ids, which begin with it: so old partitions are not looked into.
_LIST: Final = """
SELECT e.id, e.created_at, coalesce(o.status, 0) AS status,
       coalesce(octet_length(p.head) + octet_length(p.body), 0) AS size,
       coalesce(octet_length(p.head) > 0 AND substring(p.head FOR 1) = '{'::bytea, false) AS is_replayable
FROM shard.executions e
LEFT JOIN shard.payloads p ON p.retention = e.retention AND p.id = e.id
LEFT JOIN shard.outcomes o ON o.retention = e.retention AND o.id = e.id
WHERE e.organization_id = %(organization)s AND e.scenario_id = %(scenario)s AND e.origin = 'webhook'
  AND (%(since)s::uuid IS NULL OR e.id >= %(since)s::uuid) AND (%(until)s::uuid IS NULL OR e.id < %(until)s::uuid)
ORDER BY e.id DESC LIMIT %(limit)s OFFSET %(offset)s
"""
_WAITING: Final = """
SELECT q.id, e.created_at, 0 AS status,
       coalesce(octet_length(p.head) + octet_length(p.body), 0) AS size,
       coalesce(octet_length(p.head) > 0 AND substring(p.head FOR 1) = '{'::bytea, false) AS is_replayable
FROM shard.queue q
JOIN shard.executions e ON e.retention = ('x' || substr(q.id::text, 15, 1))::bit(4)::int::smallint AND e.id = q.id
LEFT JOIN shard.payloads p ON p.retention = e.retention AND p.id = e.id
WHERE q.organization_id = %(organization)s AND q.scenario_id = %(scenario)s AND q.kind = 'scenario.execute'
  AND q.lease_until IS NULL AND e.origin = 'webhook'
ORDER BY q.id LIMIT %(limit)s OFFSET %(offset)s
"""
_COUNT: Final = """
SELECT count(*) AS waiting FROM (
    SELECT FROM shard.queue q WHERE q.organization_id = %s AND q.scenario_id = %s AND q.kind = 'scenario.execute'
      AND q.lease_until IS NULL LIMIT 1000000) w
"""


async def list_calls(tx: ReadTx, organization_id: OrganizationId, query: ListHookCalls) -> list[DictRow]:
    """Return calls that were taken."""
    parameters = {
        "organization": organization_id,
        "scenario": query.scenario_id,
        "since": None if query.since is None else execution_id_floor(query.since, Retention.SHORT),
        "until": None if query.until is None else execution_id_floor(query.until, Retention.SHORT),
        "limit": query.limit,
        "offset": query.offset,
    }
    return await tx.all(_LIST, parameters)


async def list_waiting(tx: ReadTx, organization_id: OrganizationId, query: ListWaitingCalls) -> list[DictRow]:
    """Return calls that wait."""
    parameters = {
        "organization": organization_id,
        "scenario": query.scenario_id,
        "limit": query.limit,
        "offset": query.offset,
    }
    return await tx.all(_WAITING, parameters)


async def count_waiting(tx: ReadTx, organization_id: OrganizationId, scenario_id: ScenarioId) -> int:
    """Return how many wait."""
    row = await tx.one(_COUNT, (organization_id, scenario_id))
    return 0 if row is None else int(row["waiting"])
