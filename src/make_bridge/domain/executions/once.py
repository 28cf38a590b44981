"""Events that are told more than once begin one execution.

``ingest`` hands over the runs of hooks that name their events' ids, whichever way they came in; those of all other
hooks never come by here. One transaction writes the events' rows and accepts the runs whose event nobody had before,
so there is never a row without its execution, nor a second execution. A run that was carried out at once and comes
too late is dropped with its outcome: such programs call nothing, so nothing of it has happened.
"""

from collections.abc import Callable, Sequence

from make_bridge.domain.executions import event_store, store
from make_bridge.domain.executions.event_store import Arrival, EventKey
from make_bridge.domain.executions.incomplete import IncompleteLimits
from make_bridge.domain.executions.model import NewRun, Outcome
from make_bridge.kernel.ids import ExecutionId
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.queue.group_commit import GroupCommit

Settled = Callable[[Sequence[Outcome]], None]
_BATCH = 10_000
_MOST_BATCHES = 1000


class AlreadyBegun(Exception):
    """The event has its execution already."""

    def __init__(self, execution_id: ExecutionId) -> None:
        """Name it."""
        self.execution_id = execution_id
        super().__init__(execution_id)


class OnceWriter:
    """Stores arrivals of one shard, each event's first."""

    def __init__(self, shard: Shard, node: str, limits: IncompleteLimits, settled: Settled) -> None:
        """``settled`` is told the outcomes that were stored with their runs."""
        self._shard = shard
        self._node = node
        self._limits = limits
        self._settled = settled
        self._writer: GroupCommit[Arrival, ExecutionId] = GroupCommit(
            self._flush, tenant=lambda arrival: arrival.run.organization_id
        )

    async def submit(self, arrival: Arrival) -> None:
        """Store the run, committed on return; raises AlreadyBegun when its event has another execution."""
        holder = await self._writer.submit(arrival)
        if holder != arrival.run.id:
            raise AlreadyBegun(holder)

    async def close(self) -> None:
        """Write everything that waits."""
        await self._writer.close()

    async def _flush(self, arrivals: Sequence[Arrival]) -> list[ExecutionId]:
        first: dict[EventKey, Arrival] = {}
        for arrival in arrivals:
            first.setdefault(arrival.key, arrival)
        async with self._shard.engine_write() as tx:
            holders = await event_store.claim(tx, list(first.values()))
            begun = [arrival for key, arrival in first.items() if holders[key] == arrival.run.id]
            waiting = [arrival.run for arrival in begun if arrival.outcome is None]
            ended: list[tuple[NewRun, Outcome]] = [(a.run, a.outcome) for a in begun if a.outcome is not None]
            if waiting:
                await store.enqueue_all(tx, waiting)
            if ended:
                await store.accept_settled_within(tx, ended, self._node, self._limits)
        if ended:
            self._settled([outcome for _, outcome in ended])
        return [holders[arrival.key] for arrival in arrivals]


async def forget_events(shards: Shards) -> int:
    """Drop events whose window is over, on every shard, in short transactions; return how many."""

    async def forget(shard: Shard) -> int:
        gone = 0
        for _ in range(_MOST_BATCHES):
            async with shard.engine_statement() as tx:
                count = await event_store.forget(tx, _BATCH)
            gone += count
            if count < _BATCH:
                break
        return gone

    return await shards.everywhere("webhook_events_forgotten", forget)
