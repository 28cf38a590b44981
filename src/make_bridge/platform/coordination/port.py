"""Who does what only one may do: the port that duties and locks are asked for through.

``relay``, ``scheduler``, ``sealer`` and ``idle_renewal`` each claim a duty on each shard; ``locks`` makes a lock of a
claim. Two adapters decide who has it: ``leadership`` (a lease, a row of PostgreSQL) and ``zookeeper_election`` (an
election, where an installation has a ZooKeeper). Whichever it is, whoever leads has a fence: the number in
``shard.leaders``, which only grows and which every guarded write shows in its own transaction. So what an adapter says
is never what keeps two leaders apart; it decides how soon the next one leads, and when nobody does.

On failure: without the database nobody leads. Without a quorum of ZooKeeper nobody of an installation that has one
leads: a process pauses as soon as it loses its connection, and breaks off what it is at when it can no longer prove by
its own monotonic clock that its session lives. Nothing else waits for either.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from make_bridge.platform.database.pools import Shard


class Candidacy(Protocol):
    """One process's claim to one duty on one shard."""

    name: str
    owner: str
    look_seconds: float
    """How long after a no it is worth asking again."""

    async def hold(self) -> int | None:
        """Take or keep the lead; return the fence, None while this process may not act. Raises Unavailable."""
        ...

    def stands(self) -> bool:
        """Say whether what ``hold`` returned last may still be acted upon; costs nothing."""
        ...

    def acting(self) -> AbstractAsyncContextManager[None]:
        """Break off with Unavailable what is done inside as soon as the lead is known to be lost."""
        ...

    async def resign(self) -> None:
        """Claim no more, and let another process lead at once; raises Unavailable when it will have to wait."""
        ...


CandidacyOf = Callable[[Shard, str], Candidacy]
"""What makes this process's claim to a duty on a shard; ``boot`` gives it to whoever has one."""
