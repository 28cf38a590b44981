"""Reading back what was claimed, before a run can begin.

A worker that returns to a full queue begins a hundred runs at once. Were each to ask for a connection of its own, most
would wait for one until the pool gives up, be put off for seconds, and take the connections from requests meanwhile. So
the runs of one organization that wait at the same moment are read in one transaction, a shard is asked by few readings
at a time, and who waits here waits for its turn and not for the pool.

What happens on failure: a reading that fails raises Unavailable in every run that it was made for. Runs beyond those of
the claims of this process never wait here, so what waits is bounded.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from make_bridge.domain.executions import store
from make_bridge.kernel.ids import ExecutionId, OrganizationId
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.transactions import Row
from make_bridge.platform.observability.tracing.spans import start_apart
from make_bridge.platform.sharding.following import PerShard

# A body may have some MB.
_RUNS_AT_ONCE: Final = 20
_READINGS_AT_ONCE: Final = 2

_Waiting = deque[tuple[ExecutionId, asyncio.Future[Row | None]]]


class ReadingBack:
    """See the module."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._waiting: dict[tuple[Shard, OrganizationId], _Waiting] = {}
        self._turns = PerShard(lambda _shard: asyncio.Semaphore(_READINGS_AT_ONCE))
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, shard: Shard, organization_id: OrganizationId, execution_id: ExecutionId) -> Row | None:
        """Return an accepted run with its payload; None where it has none; raises Unavailable."""
        found: asyncio.Future[Row | None] = asyncio.get_running_loop().create_future()
        place = shard, organization_id
        if (waiting := self._waiting.get(place)) is None:
            waiting = self._waiting[place] = deque()
            task = start_apart(self._read_all(shard, organization_id, waiting), name="reading back")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting.append((execution_id, found))
        return await found

    async def close(self) -> None:
        """Wait for what is being read."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read_all(self, shard: Shard, organization_id: OrganizationId, waiting: _Waiting) -> None:
        try:
            while waiting:
                # A turn for each reading: organizations take turns on a shard.
                async with self._turns[shard]:
                    some = [waiting.popleft() for _ in range(min(len(waiting), _RUNS_AT_ONCE))]
                    # Who was cancelled meanwhile waits no more.
                    if wanted := [(execution_id, found) for execution_id, found in some if not found.done()]:
                        await _read_some(shard, organization_id, wanted)
        finally:
            del self._waiting[shard, organization_id]
            for _, found in waiting:
                found.cancel()


async def _read_some(
    shard: Shard, organization_id: OrganizationId, wanted: Sequence[tuple[ExecutionId, asyncio.Future[Row | None]]]
) -> None:
    try:
        async with shard.read(organization_id) as tx:
            rows = await store.read_runs(tx, organization_id, [execution_id for execution_id, _ in wanted])
    except Exception as error:  # noqa: BLE001
        # Whoever waits is told, whatever it is.
        for _, found in wanted:
            if not found.done():
                found.set_exception(error)
        return
    for execution_id, found in wanted:
        if not found.done():
            found.set_result(rows.get(execution_id))
