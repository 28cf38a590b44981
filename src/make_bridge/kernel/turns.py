"""Turns: who works on the same thing in this process waits here, holding nothing that others need.

A lock in the database makes its waiters hold a connection each; a handful of them on one row would leave none for
anybody else. Taken before such a lock, a turn lets one of this process wait there at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

K = TypeVar("K", bound=Hashable)


class Turns(Generic[K]):
    """Locks by key; one that nobody waits for is forgotten."""

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._locks: WeakValueDictionary[K, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, keys: Iterable[K]) -> AsyncIterator[None]:
        """Wait for the turn on all of the keys; give them in one order everywhere, or two may wait for each other."""
        async with AsyncExitStack() as stack:
            for key in keys:
                await stack.enter_async_context(self._lock(key))
            yield

    def _lock(self, key: K) -> asyncio.Lock:
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock
