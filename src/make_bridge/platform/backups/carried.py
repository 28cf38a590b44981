"""Which tables an organization takes along into another installation: read from the catalogue, but for what stays.

What was made and set goes: teams, customers, templates, scenarios, hooks, connections, variables, data stores, usage.
What happened stays, because it is the record of the installation it happened in: runs with their payloads and logs,
jobs, events, messages, the audit trail. A table that a later version adds goes by itself.
"""

from collections.abc import Mapping
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from make_bridge.platform.sharding.moving_tables import MovingTable, moving_tables

LEFT_BEHIND: Final[Mapping[str, str]] = {
    "queue": "what waits or runs is finished where it began",
    "executions": "runs are told of where they ran",
    "payloads": "the same",
    "outcomes": "the same",
    "execution_logs": "the same",
    "journal": "the same",
    "incomplete_executions": "they belong to runs",
    "incomplete_attempts": "they belong to runs",
    "scenario_troubles": "they belong to runs",
    "data_store_commits": "they belong to runs",
    "webhook_events": "they name runs",
    "dead_letters": "they belong to runs and jobs",
    "jobs": "they are finished where they began",
    "job_batches": "the same",
    "reports": "they can be made anew",
    "report_parts": "the same",
    "outbox": "events are told by the installation they happened in",
    "parked_events": "the same",
    "event_counts": "the same",
    "webhook_messages": "the same",
    "webhook_attempts": "the same",
    "usage_states": "they are computed anew",
    "storage_days": "what runs take, which stay",
    "hook_rhythms": "what calls have taught here",
    "late_schedules": "what is late here",
    "oauth_attempts": "consents under way end where they began",
    "idempotency": "answers are repeated by who gave them",
    "audit": "its chain is signed with the installation's key",
    "audit_heads": "the same",
    "audit_checkpoints": "the same",
}
DIRECTORY: Final = ("organizations", "origins", "portal_keys", "api_tokens")
"""Tables of the directory that go along, those that others refer to first; data keys stand in the manifest."""


async def carried_tables(connection: AsyncConnection[DictRow]) -> list[MovingTable]:
    """Return the shard's tables that go along, those that others refer to first."""
    return [table for table in await moving_tables(connection) if table.name not in LEFT_BEHIND]
