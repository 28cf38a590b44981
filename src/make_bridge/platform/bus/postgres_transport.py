"""The transport of an installation without Redis: nothing travels but hints, by NOTIFY, and everybody looks often.

Made by `boot.py`, and by `redis_streams.py` for the moments in which Redis is away.
"""

import asyncio
from collections.abc import Sequence

from make_bridge.platform.bus.events import Envelope
from make_bridge.platform.bus.hints import Hints
from make_bridge.platform.bus.transport import Receiver
from make_bridge.platform.database.pools import Shard


class PostgresTransport:
    """See the module."""

    look_seconds = 0.0
    payload_bytes = 0
    carries = False

    def __init__(self, node: str, *, with_hints: bool = True) -> None:
        """``with_hints`` is off where tests want to see that nobody depends on them."""
        self._node = node
        self._with_hints = with_hints
        self._hints: dict[int, Hints] = {}
        self._tasks: dict[int, list[asyncio.Task[None]]] = {}
        self._is_started = False

    def join(self, shard: Shard, receiver: Receiver) -> None:
        """Have a shard's hints handed to its receiver."""
        self._hints[shard.number] = Hints(shard, self._node, receiver.hint)
        if self._is_started:
            self._begin(shard.number)

    async def leave(self, shard: Shard) -> None:
        """Fall silent towards a shard."""
        self._hints.pop(shard.number, None)
        await self._end(shard.number)

    def hint(self, shard: int) -> None:
        """Tell the other processes that there is something to do."""
        hints = self._hints.get(shard)
        if hints is not None:
            hints.tell()

    async def publish(self, shard: int, envelopes: Sequence[Envelope]) -> bool:
        """Hint; whoever hears it reads the events where they are."""
        del envelopes
        self.hint(shard)
        return False

    async def start(self) -> None:
        """Begin to speak and to listen."""
        self._is_started = self._with_hints
        if self._is_started:
            for shard in self._hints:
                self._begin(shard)

    async def stop(self) -> None:
        """Fall silent."""
        self._is_started = False
        for shard in list(self._tasks):
            await self._end(shard)

    def _begin(self, shard: int) -> None:
        hints = self._hints[shard]
        loops = (hints.keep_telling(), hints.keep_listening())
        self._tasks[shard] = [asyncio.create_task(loop, name=f"bus hints {shard}") for loop in loops]

    async def _end(self, shard: int) -> None:
        tasks = self._tasks.pop(shard, [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
