"""Ending what killed its workers: the last word on a row that outlived as many holders as it may.

Called by the worker with a lease of its own on such a row. An execution gets one outcome, an error that says what
happened, written by the ordinary settling; the letter about it stands in the same transaction. A timer has no
execution: its record stays and waits for a person.
"""

from dataclasses import dataclass

import msgspec

from make_bridge.domain.executions import dead_letter_store, incomplete_store, runlog, store
from make_bridge.domain.executions.confidential import is_sealed
from make_bridge.domain.executions.incomplete import RETRY, TIMER
from make_bridge.domain.executions.model import DeadLetter, NewRun, Outcome
from make_bridge.domain.executions.perform import failed_outcome, seed_of
from make_bridge.domain.executions.resuming import Resuming
from make_bridge.kernel.errors import BridgeError
from make_bridge.kernel.ids import ScenarioId
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.queue.leases import Lease


class WorkerLostError(BridgeError):
    """The execution was given up: each of its attempts ended with its worker."""

    code = "worker_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Burying:
    """See the module."""

    resuming: Resuming

    async def end(self, shard: Shard, lease: Lease, cause: str) -> Outcome | None:
        """Return the outcome to settle, or None when nothing is left to do; raises Unavailable."""
        letter = DeadLetter(
            kind=lease.kind, reason=sentence(lease, cause), attempts=lease.attempts, last_node=lease.last_node
        )
        if lease.kind == TIMER:
            await self._end_timer(shard, lease, letter)
            return None
        run = await _run_of(shard, lease)
        resumed = await self.resuming.resumed(shard, run) if lease.kind == RETRY else None
        error, sealed = WorkerLostError(letter.reason), is_sealed(run)
        outcome = failed_outcome(run, lease.fence, error, resumed, confidential=sealed)
        detail = runlog.encode_failure(error, confidential=sealed, name=type(error).__name__)
        return msgspec.structs.replace(outcome, detail=detail, dead=letter)

    async def _end_timer(self, shard: Shard, lease: Lease, letter: DeadLetter) -> None:
        async with shard.engine_write() as tx:
            if await incomplete_store.disarm(tx, lease.id, lease.fence):
                await incomplete_store.wait_for_a_person(tx, lease.id)
                place = (lease.organization_id, lease.team_id, lease.scenario_id)
                await dead_letter_store.keep(tx, lease.id, place, letter)


def sentence(lease: Lease, cause: str) -> str:
    """Say why a row is given up."""
    node = "" if lease.last_node is None else f" on node {lease.last_node}"
    return f"It was begun {lease.attempts} times and never ended; the last time {cause}{node}. It is not tried again."


async def _run_of(shard: Shard, lease: Lease) -> NewRun:
    """Read the run back; one whose payload is gone is told from its queue row."""
    async with shard.read(lease.organization_id) as tx:
        row = await store.read_run(tx, lease.organization_id, lease.id)
    return NewRun(
        id=lease.id,
        organization_id=lease.organization_id,
        team_id=lease.team_id,
        scenario_id=ScenarioId(lease.scenario_id or 0),
        blueprint_version=0 if row is None else row["blueprint_version"],
        origin="" if row is None else row["origin"],
        trace_context=None if row is None else row["trace_context"],
        seed=seed_of(lease.id),
        head=b"" if row is None else bytes(row["head"]),
        body=b"",
        ordering_key=None if row is None else row["ordering_key"],
    )
