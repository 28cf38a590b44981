"""What tests of moves need: an organization with rows in most tables, and what each shard holds of it."""

from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.sharding.moving_tables import moving_tables

FILL = """
INSERT INTO shard.templates (organization_id, name, blueprint, controller, scheduling, used_packages)
    SELECT {org}, 'Template', '{{}}', '{{}}', '{{}}', '{{}}';
INSERT INTO shard.customers (organization_id, external_id, team_id, name, operations_limit)
    SELECT {org}, 'customer-' || n, (SELECT min(id) FROM shard.teams WHERE organization_id = {org}), 'Dana', 100
    FROM generate_series(1, 50) n;
INSERT INTO shard.usage_daily (organization_id, scenario_id, day, executions) SELECT {org}, {org} + n, current_date, n
    FROM generate_series(1, 20) n;
INSERT INTO shard.executions (retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed)
    SELECT 1, (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0') || '1' || '000' ||
               substr(md5({org}::text || n), 1, 16))::uuid, {org}, 1, 1, 1, 'webhook', n FROM generate_series(1, 300) n;
INSERT INTO shard.payloads (retention, id, organization_id, head, body)
    SELECT retention, id, organization_id, '', repeat('x', 500)::bytea FROM shard.executions
    WHERE organization_id = {org};
INSERT INTO shard.queue (id, organization_id, team_id, kind, class)
    SELECT id, organization_id, 1, 'scenario.execute', 1 FROM shard.executions WHERE organization_id = {org} LIMIT 40;
INSERT INTO shard.outbox (organization_id, type, subject, payload)
    SELECT {org}, 'test.happened.v1', 'thing/' || n, '{{}}' FROM generate_series(1, 30) n;
INSERT INTO shard.audit (organization_id, actor_kind, actor, action, object, detail, request_id)
    SELECT {org}, 'system', 'test', 'thing.do', 'thing/' || n, '{{}}', 'r' FROM generate_series(1, 10) n;
"""


async def fill(dsn: str, organization_id: OrganizationId) -> None:
    """Write rows of an organization as the owner of its shard."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute(FILL.format(org=int(organization_id)).encode())


async def rows_of(dsn: str, organization_id: OrganizationId) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of an organization by table, as text to compare, in the order of their keys."""
    found: dict[str, list[dict[str, Any]]] = {}
    async with await psycopg.AsyncConnection.connect(dsn, row_factory=dict_row) as connection:
        for table in await moving_tables(connection):
            key = sql.SQL(", ").join(map(sql.Identifier, table.key))
            statement = sql.SQL("SELECT {} FROM {} WHERE organization_id = %s ORDER BY {}")
            made = statement.format(table.columns_list, table.relation, key)
            found[table.name] = await (await connection.execute(made, (organization_id,))).fetchall()
    return {name: rows for name, rows in found.items() if rows}
