"""Reading dead letters and replaying them.

A replay is a new execution with the old one's payload, version of the blueprint and way of being started. It has an
id of its own, and with it keys of its own: what the given-up attempts did at other services is done again. A job is
begun again as itself.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from make_bridge.domain.executions import dead_letter_store, store
from make_bridge.domain.executions.dead_letter_messages import (
    DeadLetterRecord,
    ListDeadLetters,
    ReplayDeadLetters,
    Replayed,
    ReplayRangeOfDeadLetters,
)
from make_bridge.domain.executions.dead_letter_replays import REPLAY, ReplayRange
from make_bridge.domain.executions.incomplete import RETRY, TIMER
from make_bridge.domain.executions.messages import ExecutionRequested
from make_bridge.domain.executions.model import NewRun
from make_bridge.domain.executions.ordering import Place, ordering_key
from make_bridge.domain.executions.perform import seed_of
from make_bridge.domain.executions.trigger import stored_bundle
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.blueprints import compile_stored
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import Conflict, InvalidInput, NotFound
from make_bridge.kernel.ids import ExecutionId, JobId, new_execution_id, shard_of
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import ReadTx, Row
from make_bridge.platform.observability.tracing.spans import carried
from make_bridge.platform.queue.job_queue import JobQueue
from make_bridge.platform.queue.jobs import NO_JOBS, NewJob
from make_bridge.platform.queue.leases import LOW

_ID: Final = re.compile(r"[0-9a-f]{32}")
_MOST: Final = 1000
_GONE = "The payload of this execution is not stored any more (confidential ones are erased): it cannot be replayed."
_RECORD = "This is an attempt at an incomplete execution: try that one again instead."


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterHandlers:
    """The slice's commands and query."""

    jobs: JobQueue

    async def replay(self, work: UnitOfWork, command: ReplayDeadLetters) -> Replayed:
        """Begin anew what each letter is about, ready for any worker; it commits with the audit record."""
        rows = await _chosen(work, command)
        begun: list[ExecutionId] = []
        jobs: list[JobId] = []
        for row in rows:
            if row["kind"] not in NO_JOBS:
                if await self._retry(work, row, is_named=command.ids is not None):
                    jobs.append(JobId(row["id"].hex))
                continue
            execution_id = await _replay(work, row)
            if execution_id is None:
                if command.ids is not None:
                    raise Conflict(_GONE, code="payload_gone")
                continue
            begun.append(execution_id)
            event = ExecutionRequested(execution_id=execution_id, scenario_id=row["scenario_id"])
            work.emit(event, subject=f"execution/{execution_id}")
        work.touch("dead_letters", replayed=[row["id"].hex for row in rows], executions=begun, jobs=jobs)
        last = rows[-1]["id"].hex if rows else None
        return Replayed(executions=tuple(begun), jobs=tuple(jobs), looked_at=len(rows), last=last)

    async def replay_range(self, work: UnitOfWork, command: ReplayRangeOfDeadLetters) -> JobId:
        """Enqueue the job that replays them."""
        context = work.context
        letters, until = await dead_letter_store.measure(work.tx, context.organization_id, context.team_id, command)
        wanted = ReplayRange(until=until, letters=letters, since=command.since, scenario_id=command.scenario_id)
        job = NewJob(
            type=REPLAY,
            organization_id=context.organization_id,
            team_id=context.team_id,
            payload=msgspec.json.encode(wanted),
        )
        job_id = await self.jobs.enqueue(work.tx, job)
        work.touch(f"job/{job_id}", letters=letters)
        return job_id

    async def _retry(self, work: UnitOfWork, row: Row, *, is_named: bool) -> bool:
        """Begin a job again; in a range, one that cannot be is left out."""
        try:
            await self.jobs.retry(work.tx, work.context.organization_id, JobId(row["id"].hex))
        except (Conflict, NotFound):
            if is_named:
                raise
            return False
        return True

    async def list_letters(self, tx: ReadTx, context: Context, query: ListDeadLetters) -> list[DeadLetterRecord]:
        """Answer ListDeadLetters."""
        rows = await dead_letter_store.list_letters(
            tx,
            context.organization_id,
            context.team_id,
            query,
            _limited(query.limit),
        )
        return [_record_of(row) for row in rows]

    def commands(self) -> list[CommandRegistration[Any, Any]]:
        """Return the commands for the composition root."""
        return [
            CommandRegistration(
                command=ReplayDeadLetters,
                handler=self.replay,
                result=Replayed,
                permission="scenarios:run",
                action="dead_letter.replay",
            ),
            CommandRegistration(
                command=ReplayRangeOfDeadLetters,
                handler=self.replay_range,
                result=str,
                permission="scenarios:run",
                action="dead_letter.replay_range",
            ),
        ]

    def queries(self) -> list[QueryRegistration[Any, Any]]:
        """Return the query for the composition root."""
        return [
            QueryRegistration(query=ListDeadLetters, view=self.list_letters, permission="scenarios:read", may_lag=True)
        ]


async def forget_letters(shards: Shards) -> int:
    """Drop letters of a month ago, on every shard; return how many."""

    async def forget(shard: Shard) -> int:
        async with shard.engine_write() as tx:
            return await dead_letter_store.forget(tx)

    return await shards.everywhere("dead_letters_forgotten", forget)


async def _chosen(work: UnitOfWork, command: ReplayDeadLetters) -> list[Row]:
    if command.ids is not None and not all(map(_ID.fullmatch, command.ids)):
        raise InvalidInput("A dead letter is named by the 32 hexadecimal characters of its execution or job.")
    context = work.context
    limit = _MOST if command.ids is not None else _limited(command.limit)
    rows = await dead_letter_store.choose(work.tx, context.organization_id, context.team_id, command, limit)
    if command.ids is None:
        return rows
    if set(command.ids) - {row["id"].hex for row in rows}:
        raise NotFound("Not all of these are dead letters of this organization.")
    if any(row["kind"] in {TIMER, RETRY} for row in rows):
        raise Conflict(_RECORD, code="incomplete_execution")
    if any(row["replayed_at"] is not None for row in rows):
        raise Conflict("One of these dead letters was replayed before.", code="replayed")
    return rows


async def _replay(work: UnitOfWork, row: Row) -> ExecutionId | None:
    """Store one new execution; None when the old one's payload is gone."""
    organization_id = work.context.organization_id
    old = await store.read_run(work.tx, organization_id, ExecutionId(row["id"].hex))
    if old is None or not old["head"]:
        return None
    scenario_id, version = old["scenario_id"], old["blueprint_version"]
    raw = await scenario_store.get_blueprint(work.tx, organization_id, scenario_id, version)
    execution_id = new_execution_id(shard=shard_of(scenario_id))
    scenario = await scenario_store.get(work.tx, organization_id, scenario_id)
    place = Place(execution_id=execution_id, scenario_id=scenario_id, seed=seed_of(execution_id))
    key = ordering_key(scenario.ordering_key, compile_stored(raw).settings, place, stored_bundle(old))
    run = NewRun(
        id=execution_id,
        organization_id=organization_id,
        team_id=old["team_id"],
        scenario_id=scenario_id,
        blueprint_version=version,
        origin=old["origin"],
        seed=seed_of(execution_id),
        head=bytes(old["head"]),
        body=bytes(old["body"]),
        ordering_key=key,
        queue_class=LOW,
        trace_context=carried(),
    )
    await store.enqueue(work.tx, run)
    await dead_letter_store.replayed(work.tx, organization_id, row["id"].hex, execution_id)
    return execution_id


def _limited(limit: int) -> int:
    return max(1, min(limit, _MOST))


def _record_of(row: Row) -> DeadLetterRecord:
    return DeadLetterRecord(
        id=row["id"].hex,
        team_id=row["team_id"],
        scenario_id=row["scenario_id"],
        kind=row["kind"],
        reason=row["reason"],
        attempts=row["attempts"],
        last_node=row["last_node"],
        created_at=row["created_at"],
        replayed_at=row["replayed_at"],
        replayed_as=None if row["replayed_as"] is None else row["replayed_as"].hex,
    )
