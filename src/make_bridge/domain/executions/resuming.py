"""Trying an incomplete execution again: from a claimed timer to a run that goes on at its module.

Called by the worker. A record's timer is turned into an execution of its own in one transaction, so that a
kill at any moment leaves either the timer or the execution, never both and never none. The execution is an
ordinary one from then on: leased, swept, claimed again; it finds its record by the id in its head.
"""

from dataclasses import dataclass

import msgspec

from make_bridge.domain.executions import incomplete_store, store
from make_bridge.domain.executions.incomplete import ORIGIN, RETRY, Resumed, RetryPlan, decode_done, decode_point
from make_bridge.domain.executions.model import NewRun
from make_bridge.domain.executions.ordering import WHOLE_SCENARIO
from make_bridge.domain.executions.parking import Documents
from make_bridge.domain.executions.perform import Attempt, seed_of
from make_bridge.domain.executions.programs import Programs
from make_bridge.domain.scenarios.blueprints import compile_stored
from make_bridge.engine.blueprint.program import Program
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ExecutionId, new_execution_id
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.transactions import Row
from make_bridge.platform.queue.leases import Lease


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored in the place of a call: which record this execution tries."""

    incomplete_execution: str
    method: str = "RETRY"


_head_decoder = msgspec.json.Decoder(_Head)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resuming:
    """See the module."""

    programs: Programs
    documents: Documents

    async def begin(self, shard: Shard, timer: Lease, node: str) -> NewRun | None:
        """Turn a claimed timer into an execution leased to this node; None when there is nothing to begin."""
        async with shard.engine_write() as tx:
            record = await incomplete_store.lock(tx, timer.id)
            if record is None or record["resolved"] or record["retry_execution_id"] is not None:
                await incomplete_store.disarm(tx, timer.id, timer.fence)
                return None
            tried = ExecutionId(record["execution_id"].hex)
            run = _new_run(shard, record, node, await store.trace_of(tx, record["organization_id"], tried))
            if not await incomplete_store.disarm(tx, timer.id, timer.fence):
                return None
            if await incomplete_store.begin(tx, run, record, RETRY):
                return run
            await incomplete_store.rearm(tx, record)
            return None

    async def load(self, shard: Shard, run: NewRun) -> tuple[Program, Attempt]:
        """Return what an execution goes on with; raises NotFound when its record is gone, BlueprintInvalid."""
        record_id = _head_decoder.decode(run.head).incomplete_execution
        async with shard.read(run.organization_id) as tx:
            record = await incomplete_store.get(tx, run.organization_id, record_id, whole=True)
        if record is None or not _is_tried_by(record, run):
            raise NotFound("The incomplete execution that this run was to try again does not exist any more.")
        document = bytes(record["document"])
        if record["is_sealed"]:
            document = await self.documents.open(run.organization_id, run.scenario_id, record_id, document)
        point = decode_point(document, record["module_id"])
        return await self._program(run, record), Attempt(
            resumed=resumed_of(record), point=point, done=decode_done(document)
        )

    async def resumed(self, shard: Shard, run: NewRun) -> Resumed | None:
        """Return the record of a run that could not begin; None when it is gone."""
        record_id = _head_decoder.decode(run.head).incomplete_execution
        async with shard.read(run.organization_id) as tx:
            record = await incomplete_store.get(tx, run.organization_id, record_id)
        return resumed_of(record) if record is not None and _is_tried_by(record, run) else None

    async def _program(self, run: NewRun, record: Row) -> Program:
        if record["blueprint"] is not None:
            return compile_stored(bytes(record["blueprint"]))
        return await self.programs.get(run.organization_id, run.scenario_id, run.blueprint_version)


def _is_tried_by(record: Row, run: NewRun) -> bool:
    tried_by = record["retry_execution_id"]
    return tried_by is not None and tried_by.hex == run.id and not record["resolved"]


def resumed_of(record: Row) -> Resumed:
    """Return what an outcome has to know of its record."""
    plan = RetryPlan(
        mode=record["retry_mode"],
        most_attempts=record["most_attempts"],
        interval_minutes=record["interval_minutes"],
    )
    return Resumed(record_id=record["id"].hex, attempts=record["attempts"], plan=plan)


def _new_run(shard: Shard, record: Row, node: str, trace_context: str | None) -> NewRun:
    execution_id = new_execution_id(shard=shard.number)
    return NewRun(
        id=execution_id,
        organization_id=record["organization_id"],
        team_id=record["team_id"],
        scenario_id=record["scenario_id"],
        blueprint_version=record["blueprint_version"],
        origin=ORIGIN,
        seed=seed_of(execution_id),
        head=msgspec.json.encode(_Head(incomplete_execution=record["id"].hex)),
        body=b"",
        owner=node,
        ordering_key=WHOLE_SCENARIO if record["sequential"] else record["ordering_key"],
        trace_context=trace_context,
    )
