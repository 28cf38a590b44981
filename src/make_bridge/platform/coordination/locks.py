"""Locks: what one process at a time does now and then, and others wait for or leave.

A lock is a claim (``port``) that is given back after the work. Its fence is shown in every write that the lock guards,
so whoever slept while it held the lock, and wakes after it passed on, changes nothing; what it takes away at the end is
its own claim and nobody else's. ``domain/executions/upkeep`` takes one for the care of the tables; what is done there
is safe to do twice, so it shows no fence.

What happens on failure: a lock that is lost breaks off what is done under it with Unavailable; one whose holder is
killed is free after the term, or when its session with ZooKeeper is over.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from make_bridge.kernel.errors import Conflict, Unavailable
from make_bridge.platform.coordination import leader_store
from make_bridge.platform.coordination.port import CandidacyOf
from make_bridge.platform.coordination.tenure import Tenure
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.transactions import WriteTx

_KEEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A lock that is held; ``fence`` is its fencing token."""

    name: str
    owner: str
    fence: int

    async def require(self, tx: WriteTx) -> None:
        """Let a transaction go on only while this holder's token is the one in force; raises Unavailable."""
        await leader_store.require(tx, self.name, self.owner, self.fence)


class Lock:
    """A lock of one name on one shard; each ``held`` is a claim of its own."""

    def __init__(self, candidacy_of: CandidacyOf, shard: Shard, name: str) -> None:
        """``name`` is one of our own words; locks and duties do not meet."""
        self._candidacy_of = candidacy_of
        self._shard = shard
        self._name = f"lock:{name}"

    @asynccontextmanager
    async def held(self, *, within: float) -> AsyncIterator[Held]:
        """Hold it for the block; raises Conflict when others have held it for ``within`` seconds, Unavailable."""
        tenure = Tenure(candidacy := self._candidacy_of(self._shard, self._name))
        try:
            fence = await self._wait(tenure, candidacy.look_seconds, within)
            held = Held(name=self._name, owner=candidacy.owner, fence=fence)
            async with tenure.acting(), _kept(tenure, held):
                yield held
        finally:
            await tenure.end()

    async def _wait(self, tenure: Tenure, pause: float, within: float) -> int:
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        while (fence := await tenure.fence()) is None:
            if loop.time() >= until:
                message = f"Another process holds '{self._name}', or nobody can say who does."
                raise Conflict(message)
            await asyncio.sleep(min(pause, max(until - loop.time(), 0.01)))
        return fence


@asynccontextmanager
async def _kept(tenure: Tenure, held: Held) -> AsyncIterator[None]:
    """Keep the lock while the block goes on, and break the block off when it is another's."""
    limit = asyncio.timeout(None)

    async def keep() -> None:
        while True:
            await asyncio.sleep(_KEEP_SECONDS)
            try:
                is_held = await tenure.fence() == held.fence
            except Unavailable:
                continue  # nobody can say; the token is shown with whatever is written
            if not is_held:
                limit.reschedule(asyncio.get_running_loop().time())
                return

    try:
        async with limit:
            keeping = asyncio.create_task(keep(), name=held.name)
            try:
                yield
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
    except TimeoutError:
        if not limit.expired():
            raise
        message = f"'{held.name}' was lost in the middle of the work, which was broken off."
        raise Unavailable(message) from None
