"""Every statement on executions: accepting, settling and reading back.

Accepting and settling are each one statement over arrays: one round trip, one commit, hundreds of
runs. They act as ``bridge_engine``; the tenant of each row comes from the stored hook or scenario.
Integers and ids travel as array literals made here (they are digits and hex), bodies as binary
arrays, because adapting long lists value by value costs more than the insert itself.
"""

from collections.abc import Iterable, Sequence

from psycopg.rows import DictRow

from make_bridge.domain.executions import aftermath, journal_store
from make_bridge.domain.executions.incomplete import IncompleteLimits
from make_bridge.domain.executions.model import Kept, NewRun, Outcome
from make_bridge.kernel.ids import ExecutionId, OrganizationId, ScenarioId
from make_bridge.platform.database.arrays import ByteaArray
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_ACCEPT = """
WITH input AS (
    SELECT * FROM unnest(
        %(retentions)s::smallint[], %(ids)s::uuid[], %(organizations)s::bigint[], %(teams)s::bigint[],
        %(scenarios)s::bigint[], %(versions)s::integer[], %(origins)s::text[], %(seeds)s::bigint[],
        %(heads)s::bytea[], %(bodies)s::bytea[], %(traces)s::text[], %(owners)s::text[], %(orderings)s::text[],
        %(classes)s::smallint[]
    ) AS t(retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed, head, body,
           trace_context, owner, ordering_key, class)
), execution AS (
    INSERT INTO shard.executions
        (retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed, trace_context)
    SELECT retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed, trace_context
    FROM input
), payload AS (
    INSERT INTO shard.payloads (retention, id, organization_id, head, body)
    SELECT retention, id, organization_id, head, body FROM input
)
INSERT INTO shard.queue
    (id, organization_id, team_id, scenario_id, kind, class, lease_owner, lease_until, fence, attempts, ordering_key)
SELECT id, organization_id, team_id, scenario_id, 'scenario.execute', class, owner,
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
), recovered AS (
    DELETE FROM shard.scenario_troubles WHERE scenario_id IN (
        SELECT t.scenario_id FROM shard.scenario_troubles t
        WHERE t.scenario_id IN (SELECT scenario_id FROM mine WHERE status < 3) ORDER BY t.scenario_id FOR UPDATE)
)
SELECT id FROM gone
"""
_ACCEPT_SETTLED = """
WITH input AS (
    SELECT * FROM unnest(
        %(retentions)s::smallint[], %(ids)s::uuid[], %(organizations)s::bigint[], %(teams)s::bigint[],
        %(scenarios)s::bigint[], %(versions)s::integer[], %(origins)s::text[], %(seeds)s::bigint[],
        %(heads)s::bytea[], %(bodies)s::bytea[], %(traces)s::text[], %(statuses)s::smallint[], %(durations)s::integer[],
        %(operations)s::integer[], %(transfers)s::bigint[], %(details)s::bytea[], %(steps)s::bytea[]
    ) AS t(retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed, head, body,
           trace_context, status, duration_ms, operations, transfer, detail, steps)
), execution AS (
    INSERT INTO shard.executions
        (retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed, trace_context)
    SELECT retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed, trace_context
    FROM input
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
), recovered AS (
    DELETE FROM shard.scenario_troubles WHERE scenario_id IN (
        SELECT t.scenario_id FROM shard.scenario_troubles t
        WHERE t.scenario_id IN (SELECT scenario_id FROM input WHERE status < 3) ORDER BY t.scenario_id FOR UPDATE)
)
INSERT INTO shard.usage_daily AS u
    (organization_id, scenario_id, day, executions, operations, data_transfer)
SELECT organization_id, scenario_id, (now() AT TIME ZONE 'UTC')::date, count(*), sum(operations), sum(transfer)
FROM input GROUP BY organization_id, scenario_id ORDER BY scenario_id
ON CONFLICT (scenario_id, day) DO UPDATE SET executions = u.executions + excluded.executions,
    operations = u.operations + excluded.operations, data_transfer = u.data_transfer + excluded.data_transfer
"""
_ACCEPT_ONCE = """
WITH input AS (
    SELECT * FROM unnest(
        %(retentions)s::smallint[], %(ids)s::uuid[], %(organizations)s::bigint[], %(teams)s::bigint[],
        %(scenarios)s::bigint[], %(versions)s::integer[], %(origins)s::text[], %(seeds)s::bigint[],
        %(heads)s::bytea[], %(bodies)s::bytea[], %(traces)s::text[], %(orderings)s::text[]
    ) AS t(retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed, head, body,
           trace_context, ordering_key)
), execution AS (
    INSERT INTO shard.executions
        (retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed, trace_context)
    SELECT retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed, trace_context
    FROM input
    ON CONFLICT DO NOTHING RETURNING id
), payload AS (
    INSERT INTO shard.payloads (retention, id, organization_id, head, body)
    SELECT retention, id, organization_id, head, body FROM input JOIN execution USING (id)
)
INSERT INTO shard.queue (id, organization_id, team_id, scenario_id, kind, class, ordering_key)
SELECT id, organization_id, team_id, scenario_id, 'scenario.execute', %(class)s, ordering_key
FROM input JOIN execution USING (id)
"""
_ERASE = """
UPDATE shard.payloads p SET head = '', body = ''
FROM unnest(%(retentions)s::smallint[], %(ids)s::uuid[]) AS t(retention, id)
WHERE p.retention = t.retention AND p.id = t.id
"""
_IS_ACCEPTED = "SELECT 1 AS is_there FROM shard.executions WHERE retention = %s AND id = %s AND organization_id = %s"
_KEEP_MEMORY = """
INSERT INTO shard.scenario_memory AS m (organization_id, scenario_id, module_id, counter, value)
SELECT * FROM unnest(%(organizations)s::bigint[], %(scenarios)s::bigint[], %(modules)s::bigint[], %(added)s::bigint[],
                     %(values)s::bytea[])
ON CONFLICT (scenario_id, module_id) DO UPDATE SET counter = m.counter + excluded.counter,
    value = coalesce(excluded.value, m.value), updated_at = now()
"""
_READ_MEMORY = """
SELECT module_id, counter, value FROM shard.scenario_memory WHERE organization_id = %s AND scenario_id = %s
"""
_READ_RUNS = """
SELECT e.id, e.organization_id, e.team_id, e.scenario_id, e.blueprint_version, e.origin, e.seed, p.head, p.body,
       h.settings, q.ordering_key, e.trace_context
FROM unnest(%s::smallint[], %s::uuid[]) AS input(retention, id)
JOIN shard.executions e ON e.retention = input.retention AND e.id = input.id AND e.organization_id = %s
JOIN shard.payloads p ON p.retention = input.retention AND p.id = input.id
LEFT JOIN shard.scenarios s ON s.id = e.scenario_id
LEFT JOIN shard.hooks h ON h.id = s.hook_id
LEFT JOIN shard.queue q ON q.id = e.id
"""
_TRACE_OF = "SELECT trace_context FROM shard.executions WHERE retention = %s AND id = %s AND organization_id = %s"
_LIST = """
SELECT e.id, e.scenario_id, e.origin, e.created_at, o.status, o.duration_ms, o.operations, o.transfer,
       q.ready_at AS waits_until
FROM shard.executions e LEFT JOIN shard.outcomes o ON o.retention = e.retention AND o.id = e.id
LEFT JOIN shard.queue q ON q.id = e.id AND q.class = 3 AND q.lease_until IS NULL
WHERE e.organization_id = %(organization)s AND e.scenario_id = %(scenario)s
  AND (%(before)s::uuid IS NULL OR e.id < %(before)s::uuid)
ORDER BY e.id DESC LIMIT %(limit)s
"""
_READ_DETAIL = """
SELECT e.id, e.scenario_id, e.origin, e.created_at, o.status, o.duration_ms, o.operations, o.transfer, o.detail,
       l.steps, b.blueprint, q.ready_at AS waits_until, e.trace_context
FROM shard.executions e
LEFT JOIN shard.blueprints b ON b.scenario_id = e.scenario_id AND b.version = e.blueprint_version
    AND b.organization_id = e.organization_id
LEFT JOIN shard.outcomes o ON o.retention = e.retention AND o.id = e.id
LEFT JOIN shard.execution_logs l ON l.retention = e.retention AND l.id = e.id
LEFT JOIN shard.queue q ON q.id = e.id AND q.class = 3 AND q.lease_until IS NULL
WHERE e.retention = %s AND e.id = %s AND e.organization_id = %s AND e.scenario_id = %s
"""
_READ_OUTCOME = """
SELECT o.status, o.detail, o.scenario_id FROM shard.outcomes o
WHERE o.retention = %s AND o.id = %s AND o.organization_id = %s
"""
_IS_SETTLED = """
SELECT 1 AS is_there FROM shard.outcomes o
WHERE o.retention = %s AND o.id = %s AND o.organization_id = %s AND o.node = %s AND o.duration_ms = %s
  AND o.operations = %s AND o.transfer = %s
"""
_USAGE = """
SELECT d::date AS date, coalesce(u.operations, 0) AS operations, coalesce(u.data_transfer, 0) AS data_transfer
FROM generate_series((now() AT TIME ZONE 'UTC')::date - 29, (now() AT TIME ZONE 'UTC')::date, '1 day') d
LEFT JOIN shard.usage_daily u ON u.scenario_id = %s AND u.day = d::date AND u.organization_id = %s
ORDER BY d
"""

_LIMITS = IncompleteLimits()


def _digits(values: Iterable[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"


def _hex(values: Iterable[str]) -> str:
    return "{" + ",".join(values) + "}"


def _sparse(values: Sequence[str | None]) -> Sequence[str | None] | str:
    """Return texts of which mostly none is there: then what the list looks like is written down at once."""
    return list(values) if any(values) else "{" + ",".join(["NULL"] * len(values)) + "}"


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
        "traces": _sparse([run.trace_context for run in runs]),
    }


def _queueing(runs: Sequence[NewRun]) -> dict[str, object]:
    parameters = _acceptance(runs)
    parameters["owners"] = [run.owner for run in runs]
    parameters["orderings"] = [run.ordering_key for run in runs]
    parameters["classes"] = _digits(run.queue_class for run in runs)
    return parameters


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
    parameters = _queueing(runs)
    async with shard.engine_statement() as tx:
        await tx.execute(_ACCEPT, parameters)


async def settle(
    shard: Shard, outcomes: Sequence[Outcome], node: str, limits: IncompleteLimits = _LIMITS
) -> set[ExecutionId]:
    """End executions whose fence still holds; an id that is not returned was refused as stale."""
    if all(o.is_plain and not o.kept and not o.confidential for o in outcomes):
        async with shard.engine_statement() as tx:
            return await _settle(tx, outcomes, node)
    async with shard.engine_write() as tx:
        batch = await aftermath.make_room(tx, outcomes, limits)
        settled = await _settle(tx, batch.outcomes, node)
        await aftermath.follow(tx, batch.of(settled))
        await keep_memory(tx, [outcome for outcome in batch.outcomes if outcome.id in settled])
        await _erase(tx, [o.id for o in outcomes if o.confidential and o.id in settled])
        return settled


async def _erase(tx: WriteTx, ids: Sequence[ExecutionId]) -> None:
    """Empty payloads and journal of confidential runs that have just ended; their boxes go with the next vacuum."""
    if ids:
        await tx.execute(_ERASE, {"retentions": _digits(map(_retention, ids)), "ids": _hex(ids)})
        await journal_store.erase(tx, ids)


async def _settle(tx: WriteTx, outcomes: Sequence[Outcome], node: str) -> set[ExecutionId]:
    parameters = _ending(outcomes)
    parameters |= {
        "ids": _hex(o.id for o in outcomes),
        "fences": _digits(o.fence for o in outcomes),
        "retentions": _digits(_retention(o.id) for o in outcomes),
        "organizations": _digits(o.organization_id for o in outcomes),
        "scenarios": _digits(o.scenario_id for o in outcomes),
        "node": node,
    }
    return {ExecutionId(row["id"].hex) for row in await tx.all(_SETTLE, parameters)}


async def accept_settled(
    shard: Shard, ended: Sequence[tuple[NewRun, Outcome]], node: str, limits: IncompleteLimits = _LIMITS
) -> None:
    """Write runs that were carried out before they were stored: everything about them in one commit."""
    runs, outcomes = [run for run, _ in ended], [outcome for _, outcome in ended]
    if all(o.is_plain for o in outcomes):
        async with shard.engine_statement() as tx:
            await tx.execute(_ACCEPT_SETTLED, _acceptance(runs) | _ending(outcomes) | {"node": node})
        return
    async with shard.engine_write() as tx:
        await accept_settled_within(tx, ended, node, limits)


async def accept_settled_within(
    tx: WriteTx, ended: Sequence[tuple[NewRun, Outcome]], node: str, limits: IncompleteLimits = _LIMITS
) -> None:
    """Write runs that were carried out already, inside a caller's transaction."""
    runs, outcomes = [run for run, _ in ended], [outcome for _, outcome in ended]
    batch = await aftermath.make_room(tx, outcomes, limits)
    await tx.execute(_ACCEPT_SETTLED, _acceptance(runs) | _ending(batch.outcomes) | {"node": node})
    if not all(o.is_plain for o in outcomes):
        await aftermath.follow(tx, batch)


async def enqueue(tx: WriteTx, run: NewRun) -> None:
    """Accept one run inside a caller's transaction (a manual run with its audit record)."""
    await tx.execute(_ACCEPT, _queueing([run]))


async def enqueue_all(tx: WriteTx, runs: Sequence[NewRun]) -> None:
    """Accept runs inside a caller's transaction (the scheduler's)."""
    await tx.execute(_ACCEPT, _queueing(runs))


async def enqueue_once(tx: WriteTx, run: NewRun, queue_class: int) -> bool:
    """Accept a run whose id says what started it; False when it was accepted before."""
    parameters = _acceptance([run])
    parameters["orderings"] = [run.ordering_key]
    parameters["class"] = queue_class
    return await tx.execute(_ACCEPT_ONCE, parameters) > 0


async def is_accepted(tx: ReadTx, organization_id: OrganizationId, execution_id: ExecutionId) -> bool:
    """Say whether there is an execution of this id."""
    return await tx.one(_IS_ACCEPTED, (_retention(execution_id), execution_id, organization_id)) is not None


async def read_memory(tx: ReadTx, organization_id: OrganizationId, scenario_id: ScenarioId) -> list[DictRow]:
    """Return what a scenario's modules keep from run to run."""
    return await tx.all(_READ_MEMORY, (organization_id, scenario_id))


async def keep_memory(tx: WriteTx, outcomes: Sequence[Outcome]) -> None:
    """Keep what the modules of settled runs keep, in the transaction that settles them."""
    rows = [(outcome, kept) for outcome in outcomes for kept in outcome.kept]
    rows.sort(key=lambda row: (row[0].scenario_id, row[1].module_id))
    # One statement cannot touch a row twice: several runs of one scenario in a batch take turns.
    while rows:
        turn = {(row[0].scenario_id, row[1].module_id): row for row in reversed(rows)}
        rows = [row for row in rows if turn[row[0].scenario_id, row[1].module_id] is not row]
        await tx.execute(_KEEP_MEMORY, _memory_of(list(reversed(turn.values()))))


def _memory_of(rows: Sequence[tuple[Outcome, Kept]]) -> dict[str, object]:
    return {
        "organizations": _digits(outcome.organization_id for outcome, _ in rows),
        "scenarios": _digits(outcome.scenario_id for outcome, _ in rows),
        "modules": _digits(kept.module_id for _, kept in rows),
        "added": _digits(kept.added for _, kept in rows),
        "values": [kept.value for _, kept in rows],
    }


async def read_run(tx: ReadTx, organization_id: OrganizationId, execution_id: ExecutionId) -> DictRow | None:
    """Return an accepted run with its payload."""
    return (await read_runs(tx, organization_id, [execution_id])).get(execution_id)


async def read_runs(
    tx: ReadTx, organization_id: OrganizationId, ids: Sequence[ExecutionId]
) -> dict[ExecutionId, DictRow]:
    """Return those of an organization's accepted runs that are there, with their payloads."""
    given = _digits(map(_retention, ids)), _hex(ids), organization_id
    return {ExecutionId(row["id"].hex): row for row in await tx.all(_READ_RUNS, given)}


async def trace_of(tx: ReadTx, organization_id: OrganizationId, execution_id: ExecutionId) -> str | None:
    """Return the span by which an execution was begun, for whoever goes on with it."""
    row = await tx.one(_TRACE_OF, (_retention(execution_id), execution_id, organization_id))
    return None if row is None else row["trace_context"]


async def read_outcome(tx: ReadTx, organization_id: OrganizationId, execution_id: ExecutionId) -> DictRow | None:
    """Return the outcome of an execution, or None while it runs."""
    return await tx.one(_READ_OUTCOME, (_retention(execution_id), execution_id, organization_id))


async def is_settled(shard: Shard, outcome: Outcome, node: str) -> bool:
    """Say whether this very outcome is stored: by this node, not that of another attempt."""
    facts = (outcome.organization_id, node, outcome.duration_ms, outcome.operations, outcome.transfer)
    async with shard.read(outcome.organization_id) as tx:
        return await tx.one(_IS_SETTLED, (_retention(outcome.id), outcome.id, *facts)) is not None


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
