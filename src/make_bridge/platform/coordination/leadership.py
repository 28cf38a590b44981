"""Leadership by a lease, a row of the database: the adapter of an installation without ZooKeeper.

The database's clock decides whose term runs. Whoever acts as the leader shows its fence in the transaction that acts,
under a lock of the row: a leader that slept past its term finds another number there and changes nothing. What happens
on failure: without the database nobody leads; a leader that is killed is followed after its term, one that resigns at
once. By its own monotonic clock a leader knows when its term is over, and asks again before it tries anything.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

from make_bridge.platform.coordination import leader_store
from make_bridge.platform.coordination.port import CandidacyOf
from make_bridge.platform.database.pools import Shard

RENEW_SECONDS: Final = 3.0


def leases(owner: str) -> CandidacyOf:
    """Return what makes this process's claims where no other way is given; ``owner`` is the node's name."""
    return lambda shard, name: Leadership(shard, name, owner)


class Leadership:
    """One process's claim to one duty on one shard; a ``port.Candidacy``."""

    look_seconds = 1.0

    def __init__(self, shard: Shard, name: str, owner: str) -> None:
        """``owner`` is the node's name, unique among the processes of an installation."""
        self._shard = shard
        self.name = name
        self.owner = owner
        self._fence: int | None = None
        self._until = 0.0

    async def hold(self) -> int | None:
        """Take or keep the lead for another term; return the fence, None while somebody else leads."""
        sent = asyncio.get_running_loop().time()
        self._fence = await leader_store.hold(self._shard, self.name, self.owner)
        self._until = sent + leader_store.TERM.total_seconds()
        return self._fence

    def stands(self) -> bool:
        """Say whether the term runs, counted from when it was asked for."""
        return self._fence is not None and asyncio.get_running_loop().time() < self._until

    def acting(self) -> AbstractAsyncContextManager[None]:
        """Break nothing off: nobody else leads before the row says so, and then the fence refuses what is late."""
        return nullcontext()

    async def resign(self) -> None:
        """Let another process lead at once."""
        fence, self._fence = self._fence, None
        if fence is not None:
            await leader_store.resign(self._shard, self.name, self.owner, fence)
