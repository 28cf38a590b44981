"""Replicas of a shard: standbys of PostgreSQL that answer questions which may lag a little.

``Shard.ask_lagging`` asks one of them, the query bus asks that for views which say ``may_lag``; everything else, and
whatever is decided upon, is read where it is written. A replica that is gone, slow or behind is left out at once and
the primary answers. Looks in the background (``freshness``) say how far behind each is; no request asks that.

Whoever wrote sees it: the answer to a command is held until every replica that anybody may ask has it (``hold``), a few
milliseconds, and at most as long as a replica may lag, since one that is further behind is asked by nobody. So it holds
on every server, for every caller, without a token. What runs store by themselves is held by nobody and may be seen so
much later in lists. docs/decisions/0018 says why so.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import psycopg
import structlog

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.freshness import Freshness, Position, ReplicaLimits
from make_bridge.platform.database.transactions import Pool, ReadTx, T, Watch, begin, single

_log = structlog.get_logger(__name__)
# While somebody waits for a replica, looks follow each other this closely.
_HURRY_SECONDS: Final = 0.005
_LOOK_SECONDS: Final = 2.0
_END_SECONDS: Final = 1.0
_POSITION: Final = "SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn AS position"
_REPLAYED: Final = """
SELECT pg_is_in_recovery() AS follows, pg_last_wal_replay_lsn() - '0/0'::pg_lsn AS position
"""
_WHICH: Final = "SELECT system_identifier AS cluster, current_database() AS name FROM pg_control_system()"


class ReplicaFailed(Exception):
    """The replica did not answer: the primary is to be asked."""


class Replica:
    """One replica, looked at by a task of its own while ``following`` is open."""

    def __init__(self, name: str, pool: Pool, primary: Pool, limits: ReplicaLimits, clock: Clock) -> None:
        """``primary`` is a pool of the database that it follows; ``name`` is shown to operators."""
        self.name = name
        self._pool = pool
        self._primary = primary
        self._limits = limits
        self._clock = clock
        self._freshness = Freshness(limits, now=clock.monotonic())
        self._is_known = False
        self._waiting = 0
        self._wanted = asyncio.Event()
        self._looked = asyncio.Event()
        self._left: set[asyncio.Task[Any]] = set()

    @property
    def is_open(self) -> bool:
        """Whether it is asked at present."""
        return self._freshness.is_open(self._clock.monotonic())

    @property
    def lag(self) -> float:
        """Seconds since the moment up to which it is known to hold everything."""
        return self._clock.monotonic() - self._freshness.fresh_at

    def watch(self, watch: Watch) -> None:
        """Tell of statements that take too long."""
        self._pool.watch = watch

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Look at it until the block ends."""
        task = asyncio.create_task(self._keep_looking(), name=f"replica {self.name}")
        try:
            yield
        finally:
            # The first tells the driver to end its statement at the server, the second that it need not wait for it.
            running: set[asyncio.Task[Any]] = {task, *self._left}
            for _ in range(2):
                for one in running:
                    one.cancel()
                await asyncio.wait(running, timeout=_END_SECONDS)

    async def ask(self, organization_id: OrganizationId, question: Callable[[ReadTx], Awaitable[T]]) -> T:
        """Read what one organization has; raises ReplicaFailed when the replica does not answer in time.

        A server that hangs lets nobody end a statement quickly, so the question is left behind and ends by itself.
        """
        asking = asyncio.create_task(self._ask(organization_id, question))
        try:
            await asyncio.wait({asking}, timeout=self._limits.wait)
        finally:
            if not asking.done():
                asking.cancel()
                self._left.add(asking)
                asking.add_done_callback(self._left.discard)
        if not asking.done():
            self._fail("it did not answer in time")
            raise ReplicaFailed
        try:
            return asking.result()
        except (Unavailable, psycopg.Error) as error:
            self._fail(str(error))
            raise ReplicaFailed from error

    async def hold(self, written: float) -> None:
        """Return when whoever may ask the replica finds what was committed before ``written``."""
        ends = written + self._limits.lag
        self._waiting += 1
        try:
            while self._freshness.fresh_at < written and self._freshness.is_read(self._clock.monotonic()):
                left = ends - self._clock.monotonic()
                if left <= 0:
                    return
                looked = self._looked
                self._wanted.set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await looked.wait()
        finally:
            self._waiting -= 1

    async def _ask(self, organization_id: OrganizationId, question: Callable[[ReadTx], Awaitable[T]]) -> T:
        frame = f"BEGIN READ ONLY; SET LOCAL app.organization_id = '{int(organization_id)}'"
        async with begin(self._pool, frame) as tx:
            return await question(tx)

    def _fail(self, why: str) -> None:
        self._freshness.fail()
        _log.warning("replica_left_out", replica=self.name, why=why[:200])

    async def _keep_looking(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._look()
            except (Unavailable, psycopg.Error, TimeoutError) as error:
                self._freshness.fail()
                self._is_known = False
                _log.debug("replica_not_seen", replica=self.name, error=str(error))
            looked, self._looked = self._looked, asyncio.Event()
            looked.set()
            if self._waiting and self._is_known:
                await asyncio.sleep(_HURRY_SECONDS)
                continue
            self._wanted.clear()
            try:
                await asyncio.wait_for(self._wanted.wait(), self._limits.look)
            except TimeoutError:
                continue

    async def _look(self) -> None:
        if not self._is_known:
            await self._recognize()
        began = self._clock.monotonic()
        async with single(self._primary) as tx:
            row = await tx.one(_POSITION)
        asked = self._clock.monotonic()
        async with single(self._pool) as tx:
            seen = await tx.one(_REPLAYED)
        if row is None or seen is None or not seen["follows"] or seen["position"] is None:
            message = "It follows nobody."
            raise Unavailable(message)
        position = Position(began=began, ended=asked, committed=int(row["position"]))
        self._freshness.look(position, asked, int(seen["position"]), now=self._clock.monotonic())

    async def _recognize(self) -> None:
        """Refuse a server that is a replica of something else: its positions would say nothing."""
        async with single(self._primary) as tx:
            followed = await tx.one(_WHICH)
        async with single(self._pool) as tx:
            seen = await tx.one(_WHICH)
        if followed != seen:
            _log.error("replica_of_something_else", replica=self.name)
            message = "It is no replica of this database."
            raise Unavailable(message)
        self._is_known = True


class Replicas:
    """All replicas of one shard; of most shards there are none."""

    def __init__(self, replicas: Sequence[Replica] = (), clock: Clock | None = None) -> None:
        """Take them with the clock they go by."""
        self.all = tuple(replicas)
        self._clock = clock
        self._turn = 0
        self._count: Callable[[str], None] = lambda _source: None

    def count_with(self, count: Callable[[str], None]) -> None:
        """Tell each time who answered: ``primary`` or ``replica``."""
        self._count = count

    async def ask(
        self,
        organization_id: OrganizationId,
        question: Callable[[ReadTx], Awaitable[T]],
        primary: Callable[[], Awaitable[T]],
    ) -> T:
        """Have a replica answer, in turn; the primary where none is fresh or the one that was asked fails."""
        fresh = [replica for replica in self.all if replica.is_open]
        if fresh:
            self._turn += 1
            try:
                answer = await fresh[self._turn % len(fresh)].ask(organization_id, question)
            except ReplicaFailed:
                pass
            else:
                self._count("replica")
                return answer
        self._count("primary")
        return await primary()

    async def hold(self) -> None:
        """Return when everybody sees what this process has committed by now."""
        if self._clock is None or not self.all:
            return
        written = self._clock.monotonic()
        await asyncio.gather(*(replica.hold(written) for replica in self.all))
