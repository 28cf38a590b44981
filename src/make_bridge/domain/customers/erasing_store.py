"""What a customer leaves in each table of its shard, and its deletion: statements of the shard's owner.

Serving roles may not delete what is append-only, so this runs as the owner, by ``make-bridge customer erase`` alone.
``LEFT`` says of each table which rows are a customer's; ``KEPT`` which tables have none, each with its reason. A test
holds that every table with an organization is in one of the two.
"""

from collections.abc import Mapping
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow, dict_row

from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.database.transactions import WriteTx

Connection = AsyncConnection[DictRow]
_OF_TEAM: Final = "t.team_id = %(team)s"
_OF_SCENARIO: Final = (
    "t.scenario_id IN (SELECT id FROM shard.scenarios WHERE organization_id = %(organization)s AND team_id = %(team)s)"
)
_OF_HOOK: Final = (
    "t.hook_id IN (SELECT id FROM shard.hooks WHERE organization_id = %(organization)s AND team_id = %(team)s)"
)
_OF_RUN: Final = "(t.retention, t.id) IN (SELECT retention, id FROM pg_temp.erased_runs)"
_TOLD: Final = (
    "split_part(t.subject, '/', 2) IN (SELECT id FROM pg_temp.erased_ids)"
    " OR EXISTS (SELECT FROM pg_temp.erased_words w WHERE position(w.word IN t.payload) > 0)"
)
LEFT: Final[Mapping[str, str]] = {
    "webhook_attempts": f"t.message_id IN (SELECT m.id FROM shard.webhook_messages m JOIN shard.outbox t"
    f" ON t.id::text = m.event_id WHERE m.organization_id = %(organization)s AND ({_TOLD}))",
    "webhook_messages": "t.event_id IN (SELECT t.id::text FROM shard.outbox t"
    f" WHERE t.organization_id = %(organization)s AND ({_TOLD}))",
    "parked_events": "split_part(t.subject, '/', 2) IN (SELECT id FROM pg_temp.erased_ids)",
    "outbox": f"({_TOLD})",
    "queue": _OF_TEAM,
    "journal": _OF_RUN,
    "execution_logs": _OF_RUN,
    "payloads": _OF_RUN,
    "outcomes": _OF_RUN,
    "data_store_commits": "t.execution_id IN (SELECT id FROM pg_temp.erased_runs)",
    "webhook_events": "t.execution_id IN (SELECT id FROM pg_temp.erased_runs) OR t.hook_id IN (SELECT id FROM"
    " shard.hooks WHERE organization_id = %(organization)s AND team_id = %(team)s)",
    "incomplete_attempts": "t.incomplete_id IN (SELECT id FROM shard.incomplete_executions"
    " WHERE organization_id = %(organization)s AND team_id = %(team)s)",
    "incomplete_executions": _OF_TEAM,
    "dead_letters": _OF_TEAM,
    "executions": _OF_TEAM,
    "report_parts": "t.report_id IN (SELECT id FROM shard.reports WHERE organization_id = %(organization)s"
    " AND (team_id = %(team)s OR team_id IS NULL))",
    "reports": "(t.team_id = %(team)s OR t.team_id IS NULL)",
    "jobs": _OF_TEAM,
    "job_batches": _OF_TEAM,
    "idempotency": "EXISTS (SELECT FROM pg_temp.erased_words w WHERE position(w.word IN t.answer) > 0)",
    "scenario_memory": _OF_SCENARIO,
    "scenario_troubles": _OF_SCENARIO,
    "blueprints": _OF_SCENARIO,
    "oauth_attempts": "t.connection_id IN (SELECT id FROM shard.connections WHERE organization_id = %(organization)s"
    " AND team_id = %(team)s)",
    "oauth_grants": "t.connection_id IN (SELECT id FROM shard.connections WHERE organization_id = %(organization)s"
    " AND team_id = %(team)s)",
    "requested_credentials": "t.request_id IN (SELECT id FROM shard.credential_requests"
    " WHERE organization_id = %(organization)s AND team_id = %(team)s)",
    "credential_requests": _OF_TEAM,
    "custom_variable_changes": _OF_TEAM,
    "custom_variables": _OF_TEAM,
    "data_store_records": "t.store_id IN (SELECT id FROM shard.data_stores WHERE organization_id = %(organization)s"
    " AND team_id = %(team)s)",
    "data_stores": _OF_TEAM,
    "data_structures": _OF_TEAM,
    "function_changes": "t.function_id IN (SELECT id FROM shard.functions WHERE organization_id = %(organization)s"
    " AND team_id = %(team)s)",
    "functions": _OF_TEAM,
    "usage_states": _OF_TEAM,
    "late_schedules": _OF_SCENARIO,
    "hook_expectations": _OF_HOOK,
    "hook_rhythms": _OF_HOOK,
    "flows": _OF_TEAM,
    "hooks": _OF_TEAM,
    "connections": _OF_TEAM,
    "scenarios": _OF_TEAM,
    "scenario_folders": _OF_TEAM,
    "customers": _OF_TEAM,
    "teams": "t.id = %(team)s",
}
"""Table → which of its rows are the customer's, in the order of their deletion."""
KEPT: Final[Mapping[str, str]] = {
    "audit": "what was done stays told, by numbers; it cannot be changed, and goes when its time is over",
    "audit_heads": "the audit's chain",
    "audit_checkpoints": "the audit's chain",
    "usage_daily": "what is paid for: numbers of a scenario that is gone",
    "past_scenarios": "the same",
    "event_counts": "numbers of the organization",
    "usage_limits": "of the organization",
    "storage_limits": "of the organization",
    "storage_days": "numbers of the organization",
    "oauth_applications": "of the organization",
    "templates": "of the organization",
    "template_versions": "of the organization",
    "webhook_endpoints": "of the organization",
    "movements": "says where an organization is",
    "movement_changes": "keys of rows, while an organization moves",
}
_RUNS: Final = """
CREATE TEMP TABLE erased_runs ON COMMIT DROP AS
SELECT retention, id FROM shard.executions WHERE organization_id = %(organization)s AND team_id = %(team)s
"""
_IDS: Final = """
CREATE TEMP TABLE erased_ids ON COMMIT DROP AS
SELECT %(team)s::text AS id
UNION SELECT id::text FROM shard.customers WHERE organization_id = %(organization)s AND team_id = %(team)s
UNION SELECT id::text FROM shard.scenarios WHERE organization_id = %(organization)s AND team_id = %(team)s
UNION SELECT id::text FROM shard.hooks WHERE organization_id = %(organization)s AND team_id = %(team)s
UNION SELECT id::text FROM shard.connections WHERE organization_id = %(organization)s AND team_id = %(team)s
UNION SELECT id::text FROM shard.data_stores WHERE organization_id = %(organization)s AND team_id = %(team)s
UNION SELECT id FROM shard.flows WHERE organization_id = %(organization)s AND team_id = %(team)s
UNION SELECT id::text FROM pg_temp.erased_runs
UNION SELECT replace(id::text, '-', '') FROM pg_temp.erased_runs
"""
# What a customer is called, as JSON has it: looked for in answers and events that name no id. What is shorter than four
# letters would be found everywhere.
_WORDS: Final = """
CREATE TEMP TABLE erased_words ON COMMIT DROP AS
SELECT DISTINCT convert_to(to_json(given.word)::text, 'UTF8') AS word FROM shard.customers c,
    LATERAL (VALUES (c.external_id), (c.name)) AS given (word)
WHERE c.organization_id = %(organization)s AND c.team_id = %(team)s AND length(given.word) >= 4
UNION SELECT convert_to('"teamId":' || %(team)s::text || d, 'UTF8') FROM unnest(ARRAY[',', '}']) AS d
UNION SELECT convert_to('"team_id":' || %(team)s::text || d, 'UTF8') FROM unnest(ARRAY[',', '}']) AS d
"""
_LOCK: Final = "SELECT id FROM shard.teams WHERE organization_id = %(organization)s AND id = %(team)s FOR UPDATE"
_UNDER_WAY: Final = """
SELECT count(*) AS number FROM shard.queue
WHERE organization_id = %(organization)s AND team_id = %(team)s AND lease_until > now()
"""
_UNTOLD: Final = """
SELECT count(*) AS number FROM shard.outbox t WHERE t.organization_id = %(organization)s AND (t.position IS NULL
    OR t.position > coalesce((SELECT min(position) FROM shard.event_consumers), t.position))
"""


_STOP_HOOKS: Final = "UPDATE shard.hooks SET enabled = false WHERE organization_id = %s AND team_id = %s"
_STOP_SCENARIOS: Final = """
UPDATE shard.scenarios SET state = 'inactive', next_run_at = NULL WHERE organization_id = %s AND team_id = %s
"""


async def owner_of(dsn: str) -> Connection:
    """Connect as the owner of a shard."""
    return await AsyncConnection[DictRow].connect(
        dsn, autocommit=True, row_factory=dict_row, connect_timeout=10, application_name="make-bridge erasing"
    )


async def switch_off(tx: WriteTx, organization_id: OrganizationId, team_id: TeamId) -> None:
    """Let nothing new of a team begin."""
    for statement in (_STOP_HOOKS, _STOP_SCENARIOS):
        await tx.execute(statement, (organization_id, team_id))


async def gather(connection: Connection, organization_id: OrganizationId, team_id: TeamId) -> None:
    """Note what is the customer's, for the rest of the transaction."""
    for statement in (_LOCK, _RUNS, _IDS, _WORDS):
        await connection.execute(statement, _facts(organization_id, team_id))


async def count(connection: Connection, organization_id: OrganizationId, team_id: TeamId) -> dict[str, int]:
    """Return how many rows there are by table, of the tables that have some."""
    found: dict[str, int] = {}
    for table, condition in LEFT.items():
        statement = sql.SQL("SELECT count(*) AS number FROM {} t WHERE t.organization_id = %(organization)s AND ({})")
        made = statement.format(sql.Identifier("shard", table), sql.SQL(condition))
        number = await _number(connection, made, organization_id, team_id)
        if number:
            found[table] = number
    return found


async def erase(connection: Connection, organization_id: OrganizationId, team_id: TeamId) -> dict[str, int]:
    """Delete them; return how many rows went by table."""
    gone: dict[str, int] = {}
    for table, condition in LEFT.items():
        statement = sql.SQL("DELETE FROM {} t WHERE t.organization_id = %(organization)s AND ({})")
        made = statement.format(sql.Identifier("shard", table), sql.SQL(condition))
        cursor = await connection.execute(made, _facts(organization_id, team_id))
        if cursor.rowcount:
            gone[table] = cursor.rowcount
    return gone


async def under_way(connection: Connection, organization_id: OrganizationId, team_id: TeamId) -> int:
    """Return how many runs are under way."""
    return await _number(connection, sql.SQL(_UNDER_WAY), organization_id, team_id)


async def untold(connection: Connection, organization_id: OrganizationId, team_id: TeamId) -> int:
    """Return how many events of the organization not everybody has heard."""
    return await _number(connection, sql.SQL(_UNTOLD), organization_id, team_id)


async def _number(
    connection: Connection, statement: sql.SQL | sql.Composed, organization_id: OrganizationId, team_id: TeamId
) -> int:
    row = await (await connection.execute(statement, _facts(organization_id, team_id))).fetchone()
    return 0 if row is None else int(row["number"])


def _facts(organization_id: OrganizationId, team_id: TeamId) -> dict[str, int]:
    return {"organization": int(organization_id), "team": int(team_id)}
