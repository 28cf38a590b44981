"""Every statement on executions: accepting, settling and reading back.

Accepting and settling are each one statement over arrays: one round trip, one commit, hundreds of
runs. They act as ``bridge_engine``; the tenant of each row comes from the stored hook or scenario.
Integers and ids travel as array literals made here (they are digits and hex), bodies as binary
arrays, because adapting long lists value by value costs more than the insert itself.
"""

from collections.abc import Iterable, Sequence

from psycopg.rows import DictRow

from make_bridge.domain.executions.model import NewRun, Outcome
from make_bridge.kernel.ids import ExecutionId, OrganizationId, ScenarioId
from make_bridge.platform.database.arrays import ByteaArray
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_ACCEPT = """
WITH input AS (
    SELECT * FROM unnest(
        %(retentions)s::smallint[], %(ids)s::uuid[], %(organizations)s::bigint[], %(teams)s::bigint[],
        %(scenarios)s::bigint[], %(versions)s::integer[], %(origins)s::text[], %(seeds)s::bigint[],
        %(heads)s::bytea[], %(bodies)s::bytea[], %(owners)s::text[], %(orderings)s::text[]
    ) AS t(retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed, head, body,
           owner, ordering_key)
), execution AS (
    INSERT INTO shard.executions
        (retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed)
    SELECT retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed FROM input
), payload AS (
    INSERT INTO shard.payloads (retention, id, organization_id, head, body)
    SELECT retention, id, organization_id, head, body FROM input
)
INSERT INTO shard.queue
    (id, organization_id, team_id, scenario_id, kind, lease_owner, lease_until, fence, attempts, ordering_key)
SELECT id, organization_id, team_id, scenario_id, 'scenario.execute', owner,
       CASE WHEN owner IS NULL THEN NULL ELSE now() + interval '15 seconds' END,
       CASE WHEN owner IS NULL THEN 0 ELSE 1 END, CASE WHEN owner IS NULL THEN 0 ELSE 1 END, ordering_key
FROM input
"""
_SETTLE = """
WITH input AS (
    SELECT * FROM unnest(
        %(ids)s::uuid[], %(fences)s::bigint[], %(retentions)s::smallint[], %(organizations)s::bigint[],
        %(scenarios)s::bigint[], %(statuses)s::smallint[], %(durations)s::integer[], %(operations)s::integer[],
        %(transfers)s::bigint[], %(details)s::bytea[], %(steps)s::bytea[]
    ) AS t(id, fence, retention, organization_id, scenario_id, status, duration_ms, operations, transfer, detail,
           steps)
), gone AS (
    DELETE FROM shard.queue q USING input i WHERE q.id = i.id AND q.fence = i.fence RETURNING q.id
), mine AS (
    SELECT i.* FROM input i JOIN gone g USING (id)
), outcome AS (
    INSERT INTO shard.outcomes (retention, id, organization_id, scenario_id, status, duration_ms, operations,
                                transfer, detail, node)
    SELECT retention, id, organization_id, scenario_id, status, duration_ms, operations, transfer, detail, %(node)s
    FROM mine
), log AS (
    INSERT INTO shard.execution_logs (retention, id, organization_id, steps)
    SELECT retention, id, organization_id, steps FROM mine
), usage AS (
    INSERT INTO shard.usage_daily AS u
        (organization_id, scenario_id, day, executions, operations, data_transfer)
    SELECT organization_id, scenario_id, (now() AT TIME ZONE 'UTC')::date, count(*), sum(operations), sum(transfer)
    FROM mine GROUP BY organization_id, scenario_id ORDER BY scenario_id
    ON CONFLICT (scenario_id, day) DO UPDATE SET executions = u.executions + excluded.executions,
        operations = u.operations + excluded.operations, data_transfer = u.data_transfer + excluded.data_transfer
)
SELECT id FROM gone
"""
_ACCEPT_SETTLED = """
WITH input AS (
    SELECT * FROM unnest(
        %(retentions)s::smallint[], %(ids)s::uuid[], %(organizations)s::bigint[], %(teams)s::bigint[],
        %(scenarios)s::bigint[], %(versions)s::integer[], %(origins)s::text[], %(seeds)s::bigint[],
        %(heads)s::bytea[], %(bodies)s::bytea[], %(statuses)s::smallint[], %(durations)s::integer[],
        %(operations)s::integer[], %(transfers)s::bigint[], %(details)s::bytea[], %(steps)s::bytea[]
    ) AS t(retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed, head, body,
           status, duration_ms, operations, transfer, detail, steps)
), execution AS (
    INSERT INTO shard.executions
        (retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed)
    SELECT retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed FROM input
), payload AS (
    INSERT INTO shard.payloads (retention, id, organization_id, head, body)
    SELECT retention, id, organization_id, head, body FROM input
), outcome AS (
    INSERT INTO shard.outcomes (retention, id, organization_id, scenario_id, status, duration_ms, operations,
                                transfer, detail, node)
    SELECT retention, id, organization_id, scenario_id, status, duration_ms, operations, transfer, detail, %(node)s
    FROM input
), log AS (
    INSERT INTO shard.execution_logs (retention, id, organization_id, steps)
    SELECT retention, id, organization_id, steps FROM input
)
INSERT INTO shard.usage_daily AS u
    (organization_id, scenario_id, day, executions, operations, data_transfer)
SELECT organization_id, scenario_id, (now() AT TIME ZONE 'UTC')::date, count(*), sum(operations), sum(transfer)
FROM input GROUP BY organization_id, scenario_id ORDER BY scenario_id
ON CONFLICT (scenario_id, day) DO UPDATE SET executions = u.executions + excluded.executions,
    operations = u.operations + excluded.operations, data_transfer = u.data_transfer + excluded.data_transfer
"""
_INSERT_INCOMPLETE = """
INSERT INTO shard.incomplete_executions
    (id, organization_id, team_id, scenario_id, execution_id, reason, document, retry)
VALUES (gen_random_uuid(), %s, %s, %s, %s, %s, %s, true)
"""
_READ_RUN = """
SELECT e.id, e.organization_id, e.team_id, e.scenario_id, e.blueprint_version, e.origin, e.seed, p.head, p.body,
       h.settings
FROM shard.executions e JOIN shard.payloads p ON p.retention = e.retention AND p.id = e.id
LEFT JOIN shard.scenarios s ON s.id = e.scenario_id
LEFT JOIN shard.hooks h ON h.id = s.hook_id
WHERE e.retention = %s AND e.id = %s AND e.organization_id = %s
"""
_LIST = """
SELECT e.id, e.scenario_id, e.origin, e.created_at, o.status, o.duration_ms, o.operations, o.transfer
FROM shard.executions e LEFT JOIN shard.outcomes o ON o.retention = e.retention AND o.id = e.id
WHERE e.organization_id = %(organization)s AND e.scenario_id = %(scenario)s
  AND (%(before)s::uuid IS NULL OR e.id < %(before)s::uuid)
ORDER BY e.id DESC LIMIT %(limit)s
"""
_READ_DETAIL = """
SELECT e.id, e.scenario_id, e.origin, e.created_at, o.status, o.duration_ms, o.operations, o.transfer, o.detail,
       l.steps
FROM shard.executions e
LEFT JOIN shard.outcomes o ON o.retention = e.retention AND o.id = e.id
LEFT JOIN shard.execution_logs l ON l.retention = e.retention AND l.id = e.id
WHERE e.retention = %s AND e.id = %s AND e.organization_id = %s AND e.scenario_id = %s
"""
_READ_OUTCOME = """
SELECT o.status, o.detail FROM shard.outcomes o WHERE o.retention = %s AND o.id = %s AND o.organization_id = %s
"""
_USAGE = """
SELECT d::date AS date, coalesce(u.operations, 0) AS operations, coalesce(u.data_transfer, 0) AS data_transfer
FROM generate_series((now() AT TIME ZONE 'UTC')::date - 29, (now() AT TIME ZONE 'UTC')::date, '1 day') d
LEFT JOIN shard.usage_daily u ON u.scenario_id = %s AND u.day = d::date AND u.organization_id = %s
ORDER BY d
"""


def _digits(values: Iterable[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"


def _hex(values: Iterable[str]) -> str:
    return "{" + ",".join(values) + "}"


def _retention(execution_id: ExecutionId) -> int:
    return int(execution_id[12], 16)


def _acceptance(runs: Sequence[NewRun]) -> dict[str, object]:
    return {
        "retentions": _digits(_retention(run.id) for run in runs),
        "ids": _hex(run.id for run in runs),
        "organizations": _digits(run.organization_id for run in runs),
        "teams": _digits(run.team_id for run in runs),
        "scenarios": _digits(run.scenario_id for run in runs),
        "versions": _digits(run.blueprint_version for run in runs),
        "origins": [run.origin for run in runs],
        "seeds": _digits(run.seed for run in runs),
        "heads": ByteaArray([run.head for run in runs]),
        "bodies": ByteaArray([run.body for run in runs]),
    }


def _ending(outcomes: Sequence[Outcome]) -> dict[str, object]:
    return {
        "statuses": _digits(o.status for o in outcomes),
        "durations": _digits(o.duration_ms for o in outcomes),
        "operations": _digits(o.operations for o in outcomes),
        "transfers": _digits(o.transfer for o in outcomes),
        "details": ByteaArray([o.detail for o in outcomes]),
        "steps": ByteaArray([o.steps for o in outcomes]),
    }


async def accept(shard: Shard, runs: Sequence[NewRun]) -> None:
    """Write runs with their payloads and queue rows; committed on return."""
    parameters = _acceptance(runs)
    parameters["owners"] = [run.owner for run in runs]
    parameters["orderings"] = [run.ordering_key for run in runs]
    async with shard.engine_statement() as tx:
        await tx.execute(_ACCEPT, parameters)


async def settle(shard: Shard, outcomes: Sequence[Outcome], node: str) -> set[ExecutionId]:
    """End executions whose fence still holds; an id that is not returned was refused as stale."""
    parameters = _ending(outcomes)
    parameters |= {
        "ids": _hex(o.id for o in outcomes),
        "fences": _digits(o.fence for o in outcomes),
        "retentions": _digits(_retention(o.id) for o in outcomes),
        "organizations": _digits(o.organization_id for o in outcomes),
        "scenarios": _digits(o.scenario_id for o in outcomes),
        "node": node,
    }
    if not any(o.incomplete for o in outcomes):
        async with shard.engine_statement() as tx:
            return {ExecutionId(row["id"].hex) for row in await tx.all(_SETTLE, parameters)}
    async with shard.engine_write() as tx:
        settled = {ExecutionId(row["id"].hex) for row in await tx.all(_SETTLE, parameters)}
        for outcome in outcomes:
            if outcome.id in settled:
                await _park(tx, outcome)
        return settled


async def _park(tx: WriteTx, outcome: Outcome) -> None:
    for document in outcome.incomplete:
        await tx.execute(
            _INSERT_INCOMPLETE,
            (outcome.organization_id, outcome.team_id, outcome.scenario_id, outcome.id, "break", document),
        )


async def accept_settled(shard: Shard, ended: Sequence[tuple[NewRun, Outcome]], node: str) -> None:
    """Write runs that were carried out before they were stored: everything about them in one commit."""
    parameters = _acceptance([run for run, _ in ended]) | _ending([outcome for _, outcome in ended])
    parameters["node"] = node
    async with shard.engine_statement() as tx:
        await tx.execute(_ACCEPT_SETTLED, parameters)


async def enqueue(tx: WriteTx, run: NewRun) -> None:
    """Accept one run inside a caller's transaction (a manual run with its audit record)."""
    parameters = _acceptance([run])
    parameters["owners"] = [run.owner]
    parameters["orderings"] = [run.ordering_key]
    await tx.execute(_ACCEPT, parameters)


async def read_run(tx: ReadTx, organization_id: OrganizationId, execution_id: ExecutionId) -> DictRow | None:
    """Return an accepted run with its payload."""
    return await tx.one(_READ_RUN, (_retention(execution_id), execution_id, organization_id))


async def read_outcome(tx: ReadTx, organization_id: OrganizationId, execution_id: ExecutionId) -> DictRow | None:
    """Return the outcome of an execution, or None while it runs."""
    return await tx.one(_READ_OUTCOME, (_retention(execution_id), execution_id, organization_id))


async def list_executions(
    tx: ReadTx, organization_id: OrganizationId, scenario_id: ScenarioId, before: ExecutionId | None, limit: int
) -> list[DictRow]:
    """Return a scenario's executions, newest first."""
    return await tx.all(
        _LIST, {"organization": organization_id, "scenario": scenario_id, "before": before, "limit": limit}
    )


async def read_detail(
    tx: ReadTx, organization_id: OrganizationId, scenario_id: ScenarioId, execution_id: ExecutionId
) -> DictRow | None:
    """Return one execution with its outcome and log."""
    return await tx.one(_READ_DETAIL, (_retention(execution_id), execution_id, organization_id, scenario_id))


async def read_usage(tx: ReadTx, organization_id: OrganizationId, scenario_id: ScenarioId) -> list[DictRow]:
    """Return thirty days of usage, oldest first, every day present."""
    return await tx.all(_USAGE, (scenario_id, organization_id))
