"""Hints between processes that there is something to read: NOTIFY, which nobody depends on.

A hint says "look", nothing more; what is missed is found by the next look in any case. It is never sent inside a
transaction that writes (there it would serialise all commits), but by itself, from one place of a process and at most
twenty times a second. What happens on failure: without its connection a process hears nothing and tries again; an
intermediary that does not pass notifications on costs a fraction of a second per event.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.bus import event_store
from make_bridge.platform.database.listening import listen
from make_bridge.platform.database.pools import Shard

CHANNEL: Final = "make_bridge_events"
_SHORTEST_SECONDS: Final = 0.05
_AGAIN_SECONDS: Final = 2.0
_log = structlog.get_logger(__name__)


class Hints:
    """One process's ear and mouth on one shard."""

    def __init__(self, shard: Shard, node: str, heard: Callable[[], None]) -> None:
        """``heard`` is called for each hint of another process."""
        self._shard = shard
        self._node = node
        self._heard = heard
        self._due = asyncio.Event()

    def tell(self) -> None:
        """Hint that there is something new; several calls in a moment become one."""
        self._due.set()

    async def keep_telling(self) -> None:
        """Send what is due, for as long as the process runs."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                async with self._shard.engine_statement() as tx:
                    await event_store.notify(tx, CHANNEL, self._node)
            except Unavailable:
                _log.debug("hint_not_sent", shard=self._shard.number)
            await asyncio.sleep(_SHORTEST_SECONDS)

    async def keep_listening(self) -> None:
        """Hear, for as long as the process runs."""
        while True:
            try:
                async for word in listen(self._shard.engine, CHANNEL):
                    if word != self._node:
                        self._heard()
            except Unavailable as error:
                _log.debug("hints_not_heard", shard=self._shard.number, error=error.message)
            await asyncio.sleep(_AGAIN_SECONDS)
