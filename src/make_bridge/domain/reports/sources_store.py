"""Every statement that reads what reports tell of: usage and executions, in pages by key, never by offset.

Each page is a transaction of its own under the organization's policy, so that a long report holds back no clean-up and
no page costs more than its bound. A customer is told of a team that is that customer's alone: of a shared team it is
not known whose an execution was.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from psycopg.rows import DictRow

from make_bridge.kernel.ids import ExecutionId, OrganizationId, ScenarioId, TeamId
from make_bridge.platform.database.transactions import ReadTx

USAGE_PAGE: Final = 2000
EXECUTION_PAGE: Final = 500
# A page's details are held at once: what an error is stands in few bytes, what is longer is left unread.
DETAIL_BYTES: Final = 32 * 1024

_USAGE: Final = """
WITH owners AS MATERIALIZED (
    SELECT team_id, min(id) AS customer_id FROM shard.customers
    WHERE organization_id = %(organization)s AND %(by_customer)s GROUP BY team_id HAVING count(*) = 1
), keyed AS (
    SELECT CASE WHEN %(by_team)s THEN coalesce(s.team_id, 0) ELSE 0 END AS team_id,
           CASE WHEN %(by_customer)s THEN coalesce(c.customer_id, 0) ELSE 0 END AS customer_id,
           CASE WHEN %(by_scenario)s THEN u.scenario_id ELSE 0 END AS scenario_id,
           u.executions, u.operations, u.data_transfer
    FROM shard.usage_daily u
    LEFT JOIN shard.scenarios s ON s.id = u.scenario_id AND s.organization_id = u.organization_id
    LEFT JOIN owners c ON c.team_id = s.team_id
    WHERE u.organization_id = %(organization)s AND u.day BETWEEN %(first)s AND %(last)s
      AND (%(team)s::bigint IS NULL OR s.team_id = %(team)s)
), page AS (
    SELECT team_id, customer_id, scenario_id, sum(executions)::bigint AS executions,
           sum(operations)::bigint AS operations, sum(data_transfer)::bigint AS data_transfer
    FROM keyed WHERE (team_id, customer_id, scenario_id) > (%(after_team)s, %(after_customer)s, %(after_scenario)s)
    GROUP BY team_id, customer_id, scenario_id ORDER BY team_id, customer_id, scenario_id LIMIT %(limit)s
)
SELECT p.*, t.name AS team, c.external_id AS customer_external_id, c.name AS customer, s.name AS scenario
FROM page p
LEFT JOIN shard.teams t ON t.id = p.team_id AND t.organization_id = %(organization)s
LEFT JOIN shard.customers c ON c.id = p.customer_id AND c.organization_id = %(organization)s
LEFT JOIN shard.scenarios s ON s.id = p.scenario_id AND s.organization_id = %(organization)s
ORDER BY p.team_id, p.customer_id, p.scenario_id
"""
_EXECUTIONS: Final = """
WITH page AS (
    SELECT id, team_id, scenario_id, blueprint_version, origin, created_at FROM shard.executions
    WHERE retention = %(retention)s AND id > %(after)s AND id < %(below)s AND organization_id = %(organization)s
      AND (%(team)s::bigint IS NULL OR team_id = %(team)s)
    ORDER BY id LIMIT %(limit)s
)
SELECT p.*, o.status, o.duration_ms, o.operations, o.transfer,
       o.status = 3 AND octet_length(o.detail) > %(most_detail)s AS is_detail_long,
       CASE WHEN o.status = 3 AND octet_length(o.detail) <= %(most_detail)s THEN o.detail END AS detail,
       t.name AS team, c.id AS customer_id, c.external_id AS customer_external_id, c.name AS customer,
       s.name AS scenario
FROM page p
LEFT JOIN shard.outcomes o ON o.retention = %(retention)s AND o.id = p.id AND o.id > %(after)s AND o.id < %(below)s
LEFT JOIN shard.teams t ON t.id = p.team_id AND t.organization_id = %(organization)s
LEFT JOIN shard.scenarios s ON s.id = p.scenario_id AND s.organization_id = %(organization)s
LEFT JOIN LATERAL (
    SELECT min(m.id) AS customer_id FROM shard.customers m
    WHERE m.team_id = p.team_id AND m.organization_id = %(organization)s HAVING count(*) = 1) w ON true
LEFT JOIN shard.customers c ON c.id = w.customer_id AND c.organization_id = %(organization)s
ORDER BY p.id
"""
_BLUEPRINT: Final = (
    "SELECT blueprint FROM shard.blueprints WHERE organization_id = %s AND scenario_id = %s AND version = %s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose rows are read; without a team those of the whole organization."""

    organization_id: OrganizationId
    team_id: TeamId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageQuestion:
    """What of usage is summed up: these days together, told apart by these."""

    first: date
    last: date
    by_team: bool
    by_customer: bool
    by_scenario: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageKey:
    """The last group of a page; the next begins behind it."""

    team_id: int = -1
    customer_id: int = -1
    scenario_id: int = -1


async def usage_page(tx: ReadTx, scope: Scope, question: UsageQuestion, after: UsageKey, limit: int) -> list[DictRow]:
    """Return the next groups of usage by their key."""
    parameters = {
        "organization": scope.organization_id,
        "team": scope.team_id,
        "first": question.first,
        "last": question.last,
        "by_team": question.by_team,
        "by_customer": question.by_customer,
        "by_scenario": question.by_scenario,
        "after_team": after.team_id,
        "after_customer": after.customer_id,
        "after_scenario": after.scenario_id,
        "limit": limit,
    }
    return await tx.all(_USAGE, parameters)


async def execution_page(
    tx: ReadTx, scope: Scope, after: ExecutionId, below: ExecutionId, limit: int
) -> list[DictRow]:  # fmt: skip
    """Return the next executions between two ids of one retention class, both left out, by their id."""
    parameters = {
        "organization": scope.organization_id,
        "team": scope.team_id,
        "retention": int(below[12], 16),
        "after": after,
        "below": below,
        "most_detail": DETAIL_BYTES,
        "limit": limit,
    }
    return await tx.all(_EXECUTIONS, parameters)


async def blueprint(tx: ReadTx, scope: Scope, scenario_id: ScenarioId, version: int) -> bytes | None:
    """Return the blueprint an execution ran; None when its scenario is deleted."""
    row = await tx.one(_BLUEPRINT, (scope.organization_id, scenario_id, version))
    return None if row is None else bytes(row["blueprint"])
