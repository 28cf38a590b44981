"""The near cache: what a process remembers for a few seconds.

For facts that are read on every request and change rarely: keys, tokens, organizations, customers.
An entry lives a fixed time from when it was read, so another node's change is seen within that time
without a message; the node that made the change forgets at once. The number of entries is bounded,
because some keys come from outside: when full, the oldest makes room.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from make_bridge.kernel.clock import Clock

Key = TypeVar("Key")
Kept = TypeVar("Kept")


class NearCache(Generic[Key, Kept]):
    """A bounded map whose entries end by themselves."""

    __slots__ = ("_clock", "_entries", "_most", "_seconds")

    def __init__(self, clock: Clock, *, seconds: float, most: int) -> None:
        """Entries live ``seconds``; there are never more than ``most``."""
        self._clock = clock
        self._seconds = seconds
        self._most = most
        self._entries: dict[Key, tuple[Kept, float]] = {}

    def get(self, key: Key) -> Kept | None:
        """Return what is remembered, or None: then read it and ``put`` it."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[1] <= self._clock.monotonic():
            del self._entries[key]
            return None
        return entry[0]

    def put(self, key: Key, value: Kept) -> None:
        """Remember a value from now on."""
        self._entries.pop(key, None)
        if len(self._entries) >= self._most:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (value, self._clock.monotonic() + self._seconds)

    def forget(self, key: Key) -> None:
        """Drop one entry, because it was changed here."""
        self._entries.pop(key, None)

    def __len__(self) -> int:
        """How many entries there are, ended ones included."""
        return len(self._entries)


class NearLookUp(Generic[Key, Kept]):
    """A look-up that is remembered, also when it finds nothing.

    What was not found is remembered apart from what was, so that a flood of invented keys costs each
    a look-up at most once in a while, and makes nobody forgotten.
    """

    __slots__ = ("_found", "_look_up", "_missing")

    def __init__(
        self, clock: Clock, look_up: Callable[[Key], Awaitable[Kept | None]], *, seconds: float, most: int
    ) -> None:
        """``most`` bounds what was found and, once more, what was not."""
        self._look_up = look_up
        self._found: NearCache[Key, Kept] = NearCache(clock, seconds=seconds, most=most)
        self._missing: NearCache[Key, Key] = NearCache(clock, seconds=seconds, most=most)

    async def find(self, key: Key) -> Kept | None:
        """Return what is remembered or what the look-up finds."""
        known = self._found.get(key)
        if known is not None or self._missing.get(key) is not None:
            return known
        found = await self._look_up(key)
        if found is None:
            self._missing.put(key, key)
        else:
            self._found.put(key, found)
        return found

    def forget(self, key: Key) -> None:
        """Drop what is remembered of one key, because it was changed here."""
        self._found.forget(key)
        self._missing.forget(key)

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._found) + len(self._missing)
