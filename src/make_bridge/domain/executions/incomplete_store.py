"""Every statement on incomplete executions: parking, trying again, resolving, editing, reading.

What belongs to an outcome (parking and what a retry came to) is written by the engine's role inside the
settling transaction; what people ask is written by the tenant's role. A record's timer is a queue row with the
record's id that becomes ready later; whoever claims it turns it into an execution in one transaction.
Locks are taken in one order: organization (advisory), usage and queue rows of the settlement, record, timer.
"""

from collections.abc import Sequence
from uuid import UUID

from psycopg.rows import DictRow

from make_bridge.domain.executions.incomplete import TIMER, Parked, plain_text
from make_bridge.domain.executions.model import NewRun, Outcome
from make_bridge.domain.executions.ordering import WHOLE_SCENARIO
from make_bridge.kernel.entropy import chance
from make_bridge.kernel.ids import ExecutionId, OrganizationId, ScenarioId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_LOCK_ROOM = "SELECT pg_advisory_xact_lock(hashtextextended('incomplete executions', %s))"
_USED = """
SELECT count(*) AS records, coalesce(sum(size), 0) AS bytes FROM shard.incomplete_executions
WHERE organization_id = %s AND NOT resolved
"""
_USED_BY_SCENARIO = """
SELECT count(*) AS records, coalesce(sum(size), 0) AS bytes FROM shard.incomplete_executions
WHERE organization_id = %s AND scenario_id = %s AND NOT resolved
"""
_PARK = """
INSERT INTO shard.incomplete_executions
    (id, organization_id, team_id, scenario_id, execution_id, error_type, reason, module_id, blueprint_version,
     blueprint, document, size, is_sealed, sequential, ordering_key, retry, retry_mode, most_attempts,
     interval_minutes, next_attempt_at)
VALUES (%(id)s, %(organization)s, %(team)s, %(scenario)s, %(execution)s, %(error_type)s, %(reason)s, %(module)s,
        %(version)s, (SELECT p.blueprint FROM shard.incomplete_executions p WHERE p.id = %(parent)s::uuid),
        %(document)s, %(size)s, %(is_sealed)s, %(sequential)s, %(ordering)s, %(retry)s, %(mode)s, %(most)s,
        %(interval)s, now() + make_interval(secs => %(delay)s::double precision))
"""
_ARM = """
INSERT INTO shard.queue (id, organization_id, team_id, scenario_id, kind, class, ready_at)
VALUES (%(id)s, %(organization)s, %(team)s, %(scenario)s, %(kind)s, 2,
        now() + make_interval(secs => %(delay)s::double precision))
"""
_MOVE = """
UPDATE shard.incomplete_executions SET
    error_type = %(error_type)s, reason = %(reason)s, module_id = %(module)s, document = %(document)s, size = %(size)s,
    is_sealed = %(is_sealed)s, retry = %(retry)s, retry_mode = %(mode)s, most_attempts = %(most)s,
    interval_minutes = %(interval)s, attempts = attempts + 1, retry_execution_id = NULL, answer = NULL,
    next_attempt_at = now() + make_interval(secs => %(delay)s::double precision)
WHERE id = %(id)s AND retry_execution_id = %(execution)s AND NOT resolved
"""
_STAY = """
UPDATE shard.incomplete_executions SET
    error_type = %(error_type)s, reason = %(reason)s, attempts = attempts + 1, retry_execution_id = NULL,
    next_attempt_at = now() + make_interval(secs => %(delay)s::double precision)
WHERE id = %(id)s AND retry_execution_id = %(execution)s AND NOT resolved
"""
_RESOLVE = """
UPDATE shard.incomplete_executions SET
    resolved = true, resolved_at = now(), attempts = attempts + 1, retry_execution_id = NULL, next_attempt_at = NULL,
    document = ''
WHERE id = %(id)s AND retry_execution_id = %(execution)s AND NOT resolved
"""
_LOCK = """
SELECT id, organization_id, team_id, scenario_id, execution_id, error_type, reason, module_id,
       blueprint_version, size, is_sealed, sequential, ordering_key, retry, retry_mode, most_attempts, interval_minutes,
       attempts, next_attempt_at, retry_execution_id, resolved, answer, created_at
FROM shard.incomplete_executions WHERE id = %s FOR UPDATE
"""
_WAIT_FOR_A_PERSON = "UPDATE shard.incomplete_executions SET next_attempt_at = NULL WHERE id = %s"
_DISARM = "DELETE FROM shard.queue WHERE id = %s AND fence = %s"
_BEGIN = """
INSERT INTO shard.queue
    (id, organization_id, team_id, scenario_id, kind, class, lease_owner, lease_until, fence, attempts,
     ordering_key, holds_slot)
VALUES (%(id)s, %(organization)s, %(team)s, %(scenario)s, %(kind)s, 2, %(owner)s, now() + interval '15 seconds', 1, 1,
        %(ordering)s::text, %(ordering)s::text IS NOT NULL)
ON CONFLICT DO NOTHING
"""
_BEGIN_EXECUTION = """
WITH execution AS (
    INSERT INTO shard.executions
        (retention, id, organization_id, team_id, scenario_id, blueprint_version, origin, seed, trace_context)
    VALUES (%(retention)s, %(id)s, %(organization)s, %(team)s, %(scenario)s, %(version)s, %(origin)s, %(seed)s,
            %(trace)s)
), payload AS (
    INSERT INTO shard.payloads (retention, id, organization_id, head, body)
    VALUES (%(retention)s, %(id)s, %(organization)s, %(head)s, %(body)s)
), attempt AS (
    INSERT INTO shard.incomplete_attempts (incomplete_id, execution_id, organization_id)
    VALUES (%(record)s, %(id)s, %(organization)s)
)
UPDATE shard.incomplete_executions SET retry_execution_id = %(id)s, next_attempt_at = NULL WHERE id = %(record)s
"""
_REARM = """
INSERT INTO shard.queue (id, organization_id, team_id, scenario_id, kind, class, ready_at)
VALUES (%s, %s, %s, %s, %s, 2, now() + interval '5 seconds')
"""
_FORGET = """
DELETE FROM shard.incomplete_executions WHERE id IN (
    SELECT id FROM shard.incomplete_executions WHERE resolved AND resolved_at < now() - interval '30 days' LIMIT 1000)
"""
_GET = """
SELECT id, organization_id, team_id, scenario_id, execution_id, error_type, reason, module_id,
       blueprint_version, size, is_sealed, sequential, ordering_key, retry, retry_mode, most_attempts, interval_minutes,
       attempts, next_attempt_at, retry_execution_id, resolved, answer, created_at
FROM shard.incomplete_executions WHERE organization_id = %s AND id = %s
"""
_GET_CONTENT = """
SELECT document, blueprint, is_sealed, resolved, retry_execution_id FROM shard.incomplete_executions
WHERE organization_id = %s AND id = %s
"""
_LIST = """
SELECT id, organization_id, team_id, scenario_id, execution_id, error_type, reason, module_id,
       blueprint_version, size, is_sealed, sequential, ordering_key, retry, retry_mode, most_attempts, interval_minutes,
       attempts, next_attempt_at, retry_execution_id, resolved, answer, created_at
FROM shard.incomplete_executions WHERE organization_id = %s AND scenario_id = %s
ORDER BY created_at DESC, id DESC LIMIT %s
"""
_COUNT = """
SELECT scenario_id, count(*) AS records FROM shard.incomplete_executions
WHERE organization_id = %s AND scenario_id = ANY(%s) AND NOT resolved GROUP BY scenario_id
"""
_BEHIND = """
SELECT u.id, (
    SELECT count(*) FROM (
        SELECT FROM shard.queue q
        WHERE q.team_id = u.team_id AND q.lane = hashtextextended(u.ordering_key, u.scenario_id)
          AND q.scenario_id = u.scenario_id AND q.ordering_key = u.ordering_key AND q.organization_id = %(organization)s
          AND q.kind <> 'scenario.retry' AND q.lease_until IS NULL
        LIMIT %(most)s) waiting) AS behind
FROM shard.incomplete_executions u
WHERE u.organization_id = %(organization)s AND u.id = ANY(%(ids)s::uuid[]) AND u.ordering_key IS NOT NULL
  AND NOT u.resolved
"""
_LIST_ATTEMPTS = """
SELECT e.id, e.scenario_id, e.origin, e.created_at, o.status, o.duration_ms, o.operations, o.transfer
FROM shard.incomplete_attempts a
JOIN shard.executions e ON e.id = a.execution_id AND e.retention = get_byte(uuid_send(a.execution_id), 6) >> 4
LEFT JOIN shard.outcomes o ON o.retention = e.retention AND o.id = e.id
WHERE a.organization_id = %s AND a.incomplete_id = %s ORDER BY e.id DESC LIMIT 1000
"""
_CHOOSE = """
SELECT id, team_id, retry_execution_id, error_type, answer FROM shard.incomplete_executions
WHERE organization_id = %(organization)s AND scenario_id = %(scenario)s AND (%(with_resolved)s OR NOT resolved)
  AND (%(ids)s::uuid[] IS NULL OR id = ANY(%(ids)s::uuid[])) AND NOT id = ANY(%(without)s::uuid[])
ORDER BY id FOR UPDATE
"""
_ARM_NOW = """
WITH chosen AS (
    UPDATE shard.incomplete_executions SET next_attempt_at = now()
    WHERE organization_id = %(organization)s AND id = ANY(%(ids)s::uuid[])
    RETURNING id, organization_id, team_id, scenario_id
)
INSERT INTO shard.queue (id, organization_id, team_id, scenario_id, kind, class)
SELECT id, organization_id, team_id, scenario_id, %(kind)s, 2 FROM chosen ORDER BY id
ON CONFLICT (id) DO UPDATE SET ready_at = least(queue.ready_at, now())
"""
_EDIT = """
UPDATE shard.incomplete_executions SET module_id = %(module)s, document = %(document)s, size = %(size)s,
    blueprint = coalesce(%(blueprint)s, blueprint)
WHERE organization_id = %(organization)s AND id = %(id)s
"""
_ANSWER = """
UPDATE shard.incomplete_executions SET answer = %(answer)s, document = %(document)s, size = %(size)s
WHERE organization_id = %(organization)s AND id = %(id)s
"""
_DELETE = "DELETE FROM shard.incomplete_executions WHERE organization_id = %s AND id = ANY(%s::uuid[])"
_DELETE_TIMERS = "DELETE FROM shard.queue WHERE organization_id = %s AND id = ANY(%s::uuid[])"


async def lock_room(tx: WriteTx, organizations: Sequence[OrganizationId]) -> None:
    """Let nobody else park for these organizations until the transaction ends: their limits are being counted."""
    for organization_id in sorted(set(organizations)):
        await tx.all(_LOCK_ROOM, (organization_id,))


async def used(tx: ReadTx, organization_id: OrganizationId, scenario_id: ScenarioId | None) -> tuple[int, int]:
    """Return how many unresolved records there are and their bytes; without a scenario those of all."""
    if scenario_id is None:
        row = await tx.one(_USED, (organization_id,))
    else:
        row = await tx.one(_USED_BY_SCENARIO, (organization_id, scenario_id))
    return (0, 0) if row is None else (int(row["records"]), int(row["bytes"]))


async def park(tx: WriteTx, outcome: Outcome, parked: Parked, *, parent: str | None) -> None:
    """Keep a bundle; with a plan its timer is armed. ``parent`` is the record whose retry met this."""
    delay = parked.plan.wait(0, parked.asked_wait, chance())
    values = _values(outcome, parked, parked.id, delay)
    await tx.execute(_PARK, values | {"parent": parent})
    await _arm(tx, outcome, parked.id, delay)


async def move(tx: WriteTx, outcome: Outcome, parked: Parked, record_id: str, attempts: int) -> bool:
    """Put the record where its retry stopped now; False when it is gone."""
    delay = parked.plan.wait(attempts, parked.asked_wait, chance())
    if not await tx.execute(_MOVE, _values(outcome, parked, record_id, delay)):
        return False
    await _arm(tx, outcome, record_id, delay)
    return True


async def stay(tx: WriteTx, outcome: Outcome, *, error_type: str, message: str, delay: float | None) -> bool:
    """Leave the record at its place after an attempt in vain; False when it is gone."""
    if outcome.resumed is None:
        return False
    record_id = outcome.resumed.record_id
    values = {
        "id": record_id,
        "execution": outcome.id,
        "error_type": plain_text(error_type),
        "reason": plain_text(message),
        "delay": delay,
    }
    if not await tx.execute(_STAY, values):
        return False
    await _arm(tx, outcome, record_id, delay)
    return True


async def resolve(tx: WriteTx, record_id: str, execution_id: ExecutionId) -> bool:
    """End a record: its retry went through. Its data goes, the record stays for a while; False when it is gone."""
    return bool(await tx.execute(_RESOLVE, {"id": record_id, "execution": execution_id}))


def _values(outcome: Outcome, parked: Parked, record_id: str, delay: float | None) -> dict[str, object]:
    return {
        "id": record_id,
        "organization": outcome.organization_id,
        "team": outcome.team_id,
        "scenario": outcome.scenario_id,
        "execution": outcome.id,
        "error_type": plain_text(parked.error_type),
        "reason": plain_text(parked.message),
        "module": parked.module_id,
        "version": parked.blueprint_version,
        "document": parked.document,
        "size": parked.size,
        "is_sealed": parked.is_sealed,
        "sequential": parked.sequential,
        "ordering": WHOLE_SCENARIO if parked.sequential else parked.ordering_key,
        "retry": delay is not None,
        "mode": parked.plan.mode,
        "most": parked.plan.most_attempts,
        "interval": parked.plan.interval_minutes,
        "delay": delay,
    }


async def _arm(tx: WriteTx, outcome: Outcome, record_id: str, delay: float | None) -> None:
    if delay is None:
        return
    values = {
        "id": record_id,
        "organization": outcome.organization_id,
        "team": outcome.team_id,
        "scenario": outcome.scenario_id,
        "kind": TIMER,
        "delay": delay,
    }
    await tx.execute(_ARM, values)


async def lock(tx: WriteTx, record_id: str) -> DictRow | None:
    """Return a record and hold it until the transaction ends."""
    return await tx.one(_LOCK, (record_id,))


async def disarm(tx: WriteTx, record_id: str, fence: int) -> bool:
    """Remove a claimed timer; False when its lease has passed on."""
    return bool(await tx.execute(_DISARM, (record_id, fence)))


async def wait_for_a_person(tx: WriteTx, record_id: str) -> None:
    """Let a record have no next attempt of its own."""
    await tx.execute(_WAIT_FOR_A_PERSON, (record_id,))


async def rearm(tx: WriteTx, record: DictRow) -> None:
    """Set a timer again: another run of the scenario has to end first."""
    place = (record["organization_id"], record["team_id"], record["scenario_id"])
    await tx.execute(_REARM, (record["id"], *place, TIMER))


async def begin(tx: WriteTx, run: NewRun, record: DictRow, kind: str) -> bool:
    """Write the execution that tries a record again, leased to its owner; False while the slot is taken."""
    values = {
        "retention": int(run.id[12], 16),
        "id": run.id,
        "organization": run.organization_id,
        "team": run.team_id,
        "scenario": run.scenario_id,
        "version": run.blueprint_version,
        "origin": run.origin,
        "seed": run.seed,
        "head": run.head,
        "body": run.body,
        "owner": run.owner,
        "kind": kind,
        "ordering": run.ordering_key,
        "record": record["id"],
        "trace": run.trace_context,
    }
    if not await tx.execute(_BEGIN, values):
        return False
    await tx.execute(_BEGIN_EXECUTION, values)
    return True


async def forget_resolved(tx: WriteTx) -> int:
    """Drop records that were resolved long ago; return how many. A thousand at once."""
    return await tx.execute(_FORGET)


async def get(tx: ReadTx, organization_id: OrganizationId, record_id: str, *, whole: bool = False) -> DictRow | None:
    """Return a record; ``whole`` with its document and edited blueprint."""
    row = await tx.one(_GET, (organization_id, record_id))
    if row is None or not whole:
        return row
    content = await tx.one(_GET_CONTENT, (organization_id, record_id))
    return None if content is None else {**row, **content}


async def list_records(
    tx: ReadTx, organization_id: OrganizationId, scenario_id: ScenarioId, limit: int
) -> list[DictRow]:
    """Return a scenario's records, newest first."""
    return await tx.all(_LIST, (organization_id, scenario_id, limit))


async def count_unresolved(
    tx: ReadTx, organization_id: OrganizationId, scenarios: Sequence[ScenarioId]
) -> dict[ScenarioId, int]:
    """Return how many records wait in each scenario that has any."""
    rows = await tx.all(_COUNT, (organization_id, list(scenarios)))
    return {row["scenario_id"]: row["records"] for row in rows}


async def count_behind(tx: ReadTx, organization_id: OrganizationId, ids: Sequence[UUID], most: int) -> dict[UUID, int]:
    """Return how many runs wait behind records that hold up their key, each counted up to ``most``."""
    rows = await tx.all(_BEHIND, {"organization": organization_id, "ids": list(ids), "most": most})
    return {row["id"]: row["behind"] for row in rows}


async def list_attempts(tx: ReadTx, organization_id: OrganizationId, record_id: str) -> list[DictRow]:
    """Return the executions that tried a record again, newest first."""
    return await tx.all(_LIST_ATTEMPTS, (organization_id, record_id))


async def choose(
    tx: WriteTx,
    organization_id: OrganizationId,
    scenario_id: ScenarioId,
    *,
    ids: Sequence[str] | None,
    without: Sequence[str],
    with_resolved: bool,
) -> list[DictRow]:
    """Return some or (``ids`` None) all records of a scenario and hold them until the transaction ends."""
    parameters = {
        "organization": organization_id,
        "scenario": scenario_id,
        "ids": None if ids is None else list(ids),
        "without": list(without),
        "with_resolved": with_resolved,
    }
    return await tx.all(_CHOOSE, parameters)


async def arm_now(tx: WriteTx, organization_id: OrganizationId, ids: Sequence[str]) -> None:
    """Let records be tried again at once."""
    await tx.execute(_ARM_NOW, {"organization": organization_id, "ids": list(ids), "kind": TIMER})


async def edit(
    tx: WriteTx,
    organization_id: OrganizationId,
    record_id: str,
    *,
    module_id: int,
    document: tuple[bytes, int],
    blueprint: bytes | None,
) -> None:
    """Write a changed place and, when given, a blueprint of its own; ``document`` comes with its plain size."""
    values = {
        "organization": organization_id,
        "id": record_id,
        "module": module_id,
        "document": document[0],
        "size": document[1],
        "blueprint": blueprint,
    }
    await tx.execute(_EDIT, values)


async def answer(
    tx: WriteTx, organization_id: OrganizationId, record_id: str, *, said: str, document: tuple[bytes, int]
) -> None:
    """Keep what a person said of a call that was possibly done; ``document`` comes with its plain size."""
    values = {
        "organization": organization_id,
        "id": record_id,
        "answer": said,
        "document": document[0],
        "size": document[1],
    }
    await tx.execute(_ANSWER, values)


async def delete(tx: WriteTx, organization_id: OrganizationId, ids: Sequence[str]) -> None:
    """Remove records with their timers."""
    await tx.execute(_DELETE, (organization_id, list(ids)))
    await tx.execute(_DELETE_TIMERS, (organization_id, list(ids)))
