"""What a process does for each shard it has open, also for one that is opened while it runs, or closed.

Two shapes. ``PerShard`` is a thing for each shard that is made when it is first asked for: a writer of the group
commit. A ``Follower`` has loops of its own for each shard: ``Shards.follow`` begins them for those that are open and
for each that comes, and ends them for each that goes. ``ShardTasks`` is the follower whose loops are tasks.

A loop serves one shard and never walks over all: one that does not answer holds up nobody but itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database.pools import Shard

Part = TypeVar("Part")
Work = Callable[[Shard], Coroutine[Any, Any, None]]


class Follower(Protocol):
    """Has something to do for each open shard."""

    async def begin(self, shard: Shard) -> None:
        """Begin with a shard; raises Unavailable where it does not answer, and then nothing is left of it."""
        ...

    async def end(self, shard: Shard) -> None:
        """End what was begun, if it was."""
        ...


class PerShard(dict[Shard, Part]):
    """A part for each shard, made when it is first asked for: as quick as a dictionary from then on."""

    def __init__(self, make: Callable[[Shard], Part]) -> None:
        """``make`` is called once for each shard."""
        super().__init__()
        self._make = make
        self._is_closed = False

    def __missing__(self, shard: Shard) -> Part:
        """Make the part of a shard that was not asked for before; raises Unavailable once all are closed."""
        if self._is_closed:
            message = "This server is about to end: try again."
            raise Unavailable(message)
        return self.setdefault(shard, self._make(shard))

    async def close(self, closing: Callable[[Part], Awaitable[None]]) -> None:
        """Close every part that was made, and make no more."""
        self._is_closed = True
        for part in list(self.values()):
            await closing(part)


class ShardTasks:
    """A follower that runs the same loops for each shard, as tasks."""

    def __init__(self, name: str, works: Sequence[Work]) -> None:
        """``works`` are loops that end by being cancelled."""
        self._name = name
        self._works = works
        self._tasks: dict[Shard, list[asyncio.Task[None]]] = {}

    async def begin(self, shard: Shard) -> None:
        """Start the loops."""
        self._tasks[shard] = [
            asyncio.create_task(work(shard), name=f"{self._name} {shard.number}") for work in self._works
        ]

    async def end(self, shard: Shard) -> None:
        """Cancel the loops and wait for their end."""
        tasks = self._tasks.pop(shard, [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
