"""Webhooks of a team that is over its limit: stored like any other, and waiting until more may be used.

Called by the ingest in place of the three usual ways, so none of this is on the way of who is below its limit. How
many may wait is counted in the transaction that stores them, under a lock of the organization: the bound is exact over
all processes. Who is turned away is told so until the next look without asking the database again.
"""

from collections.abc import Mapping, Sequence

import msgspec

from make_bridge.domain.executions import deferring_store, event_store, store
from make_bridge.domain.executions.event_store import Arrival, EventKey
from make_bridge.domain.executions.model import NewRun
from make_bridge.domain.executions.once import AlreadyBegun
from make_bridge.domain.usage.model import WHOLE, Standing
from make_bridge.domain.usage.quotas import Quotas, wait_until
from make_bridge.kernel.clock import Clock, SystemClock
from make_bridge.kernel.errors import LimitExceeded, OrganizationMoved
from make_bridge.kernel.ids import ExecutionId
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.queue.group_commit import GroupCommit
from make_bridge.platform.queue.leases import DEFERRED
from make_bridge.platform.sharding.following import PerShard

# A limit may be raised at any moment, so nobody is sent away for weeks.
_LONGEST_WAIT_SECONDS = 3600.0


class Waiter(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is to wait, and the limits it waits for."""

    run: NewRun
    reached: tuple[Standing, ...]
    event: Arrival | None = None


class Deferring:
    """See the module."""

    def __init__(
        self, shards: Shards, quotas: Quotas, metrics: Metrics, *, most: int, clock: Clock | None = None
    ) -> None:
        """``most`` runs of a team, and of an organization that is over its own limit, may wait."""
        self._quotas = quotas
        self._metrics = metrics
        self._most = most
        self._clock = clock or SystemClock()
        self._shards = shards
        self._writers = PerShard(self._writer)

    def require_room(self, reached: tuple[Standing, ...]) -> None:
        """Raise LimitExceeded when too many wait already, as far as this process knows."""
        for standing in reached:
            if self._quotas.is_full(standing.scope):
                raise self._refusal(reached)

    async def take(
        self, shard: Shard, run: NewRun, reached: tuple[Standing, ...], event: Arrival | None = None
    ) -> None:
        """Store a run that waits; committed on return.

        Raises LimitExceeded when too many wait already, AlreadyBegun when its event has another execution.
        """
        deferred = msgspec.structs.replace(run, queue_class=DEFERRED)
        waiter = Waiter(run=deferred, reached=reached, event=event)
        try:
            stored = await self._writers[shard].submit(waiter)
        except OrganizationMoved:
            stored = await self._shards.elsewhere(
                run.organization_id, lambda found: self._writers[found].submit(waiter)
            )
        if stored is None:
            raise self._refusal(reached)
        if stored != run.id:
            raise AlreadyBegun(stored)
        self._metrics.executions.accepted["deferred"].inc()
        self._metrics.usage.deferred["webhook"].inc()

    async def close(self) -> None:
        """Write everything that waits to be written."""
        await self._writers.close(GroupCommit.close)

    def _refusal(self, reached: tuple[Standing, ...]) -> LimitExceeded:
        self._metrics.usage.refused.inc()
        standing = reached[0]
        whose = "organization" if standing.team_id == WHOLE else "customer"
        seconds = (wait_until(reached) - self._clock.now()).total_seconds()
        message = (
            f"This {whose} has used what it may use this month, and {self._most} calls wait for more already. "
            "Nothing was stored: send it again later, or raise the limit."
        )
        return LimitExceeded(
            message, code="usage_limit_reached", retry_after=min(max(seconds, 1.0), _LONGEST_WAIT_SECONDS)
        )

    def _writer(self, shard: Shard) -> GroupCommit[Waiter, ExecutionId | None]:
        async def flush(waiters: Sequence[Waiter]) -> list[ExecutionId | None]:
            async with shard.engine_write() as tx:
                fits = await self._fitting(tx, waiters)
                fitting = [waiter for waiter, fit in zip(waiters, fits, strict=True) if fit]
                holders = await _holders(tx, fitting)
                stored = [waiter for waiter in fitting if _holder(waiter, holders) == waiter.run.id]
                if stored:
                    await store.enqueue_all(tx, [waiter.run for waiter in stored])
                    untils = {waiter.run.id: wait_until(waiter.reached) for waiter in stored}
                    await deferring_store.put_off(tx, untils)
            return [_holder(waiter, holders) if fit else None for waiter, fit in zip(waiters, fits, strict=True)]

        return GroupCommit(flush, tenant=lambda waiter: waiter.run.organization_id)

    async def _fitting(self, tx: WriteTx, waiters: Sequence[Waiter]) -> list[bool]:
        scopes = {standing.scope for waiter in waiters for standing in waiter.reached}
        room = await deferring_store.room(tx, scopes, self._most)
        fits = []
        for waiter in waiters:
            own = [standing.scope for standing in waiter.reached]
            fit = all(room[scope] > 0 for scope in own)
            for scope in own:
                room[scope] -= fit
                if room[scope] <= 0:
                    self._quotas.note_full(scope)
            fits.append(fit)
        return fits


async def _holders(tx: WriteTx, waiters: Sequence[Waiter]) -> Mapping[EventKey, ExecutionId]:
    """Return the execution of each event that the waiters are of."""
    first: dict[EventKey, Arrival] = {}
    for waiter in waiters:
        if waiter.event is not None:
            first.setdefault(waiter.event.key, msgspec.structs.replace(waiter.event, run=waiter.run))
    return await event_store.claim(tx, list(first.values())) if first else {}


def _holder(waiter: Waiter, holders: Mapping[EventKey, ExecutionId]) -> ExecutionId:
    """Return the execution that a waiter's event belongs to: its own, where it is of none."""
    return waiter.run.id if waiter.event is None else holders[waiter.event.key]
