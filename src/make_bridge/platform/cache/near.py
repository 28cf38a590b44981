"""The near cache: what a process remembers for a few seconds.

For facts that are read on every request and change rarely: keys, tokens, organizations, customers, where a webhook
leads, compiled programs. ``NearCache`` is the bounded map; ``NearLookUp`` puts it before a look-up, and is what to take
wherever a value is read from somewhere else.

An entry lives from when reading it *began*, so that what another process changes is felt within that time whatever is
lost on the way; up to a tenth less, by chance, so that what was read together is not read again together. Who changes
something forgets it at once, and so does every process that hears of it.

A look-up is made once for all who ask meanwhile. One that was under way when its key was forgotten is given to those
who asked before, and kept by nobody: a slow reader never brings back what was there before a change. Nothing is
remembered for that but the look-ups under way. (docs/decisions/0016-two-layer-cache.md)
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.entropy import chance

Key = TypeVar("Key", bound=Hashable)
Kept = TypeVar("Kept")

SPREAD: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheNumbers:
    """What became of the reads of one cache since the start, and what it holds."""

    hits: int
    absent: int
    """Answered with what is known not to be there."""
    stale: int
    """Answered with what has ended, while it is read anew."""
    misses: int
    evicted: int
    """Entries that made room for others."""
    entries: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits(Generic[Kept]):
    """What is particular about a cache; the defaults are those of most."""

    spread: float = SPREAD
    """The part of its life by which an entry may end earlier, by chance."""
    stale_seconds: float = 0.0
    """For how long what has ended is answered while it is read anew: never where somebody's access hangs on it."""
    most_bytes: int = 0
    """What the entries may measure together by ``size_of``."""
    size_of: Callable[[Kept], int] | None = None
    tag_of: Callable[[Kept], Hashable] | None = None
    """What entries can be forgotten by together."""
    is_kept: Callable[[Kept], bool] | None = None
    """Of what a look-up found, whether to remember it."""


class NearCache(Generic[Key, Kept]):
    """A bounded map whose entries end by themselves; when it is full, the one used longest ago goes."""

    __slots__ = (
        "_entries", "_most", "_most_bytes", "_now", "_of_tag", "_seconds", "_size_of", "_spread", "_stale_seconds",
        "_tag_of", "bytes", "evicted", "hits", "misses",
    )  # fmt: skip

    def __init__(self, clock: Clock, *, seconds: float, most: int, traits: Traits[Kept] | None = None) -> None:
        """Entries live ``seconds``, and there are never more than ``most``."""
        traits = traits or Traits()
        self._now = clock.monotonic
        self._seconds = seconds
        self._most = most
        self._spread = traits.spread
        self._stale_seconds = traits.stale_seconds
        self._most_bytes = traits.most_bytes
        self._size_of = traits.size_of
        self._tag_of = traits.tag_of
        self._entries: OrderedDict[Key, tuple[Kept, float, int]] = OrderedDict()
        self._of_tag: dict[Hashable, set[Key]] = {}
        self.bytes = 0
        self.hits = 0
        self.misses = 0
        self.evicted = 0

    def get(self, key: Key) -> Kept | None:
        """Return what is remembered, or None: then read it and ``put`` it."""
        entry = self._entries.get(key)
        if entry is not None:
            now = self._now()
            if now < entry[1]:
                self._entries.move_to_end(key)
                self.hits += 1
                return entry[0]
            if now >= entry[1] + self._stale_seconds:
                self.forget(key)
        self.misses += 1
        return None

    def get_stale(self, key: Key) -> Kept | None:
        """Return what is remembered or has ended lately."""
        entry = self._entries.get(key)
        return None if entry is None or self._now() >= entry[1] + self._stale_seconds else entry[0]

    def put(self, key: Key, value: Kept, *, since: float | None = None) -> None:
        """Remember a value from now on, or from when reading it began."""
        self.forget(key)
        size = 0 if self._size_of is None else self._size_of(value)
        if size > self._most_bytes:
            return
        began = self._now() if since is None else since
        self._entries[key] = (value, began + self._seconds * (1.0 - self._spread * chance()), size)
        self.bytes += size
        if self._tag_of is not None:
            self._of_tag.setdefault(self._tag_of(value), set()).add(key)
        while len(self._entries) > self._most or self.bytes > self._most_bytes:
            self.forget(next(iter(self._entries)))
            self.evicted += 1

    def forget(self, key: Key) -> None:
        """Drop one entry, because it was changed here."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self.bytes -= entry[2]
        if self._tag_of is not None:
            tag = self._tag_of(entry[0])
            self._of_tag[tag].discard(key)
            if not self._of_tag[tag]:
                del self._of_tag[tag]

    def forget_tag(self, tag: Hashable) -> None:
        """Drop all entries of a tag."""
        for key in tuple(self._of_tag.get(tag, ())):
            self.forget(key)

    def __len__(self) -> int:
        """How many entries there are, ended ones included."""
        return len(self._entries)


@dataclass(slots=True, eq=False)
class _Flight(Generic[Kept]):
    """One look-up under way, with how many wait for it."""

    task: "asyncio.Task[Kept | None]"
    began: float
    readers: int = 0


class NearLookUp(Generic[Key, Kept]):
    """A look-up that is remembered, also when it finds nothing; see the module.

    What was not found is remembered apart from what was, so that a flood of invented keys costs each
    a look-up at most once in a while, and makes nobody forgotten.
    """

    __slots__ = (
        "_flights",
        "_found",
        "_is_kept",
        "_look_up",
        "_missing",
        "_now",
        "_seconds",
        "_stale_seconds",
        "stale",
    )

    def __init__(
        self,
        clock: Clock,
        look_up: Callable[[Key], Awaitable[Kept | None]],
        *,
        seconds: float,
        most: int,
        traits: Traits[Kept] | None = None,
    ) -> None:
        """``most`` bounds what was found and, once more, what was not."""
        traits = traits or Traits()
        self._now = clock.monotonic
        self._look_up = look_up
        self._seconds = seconds
        self._stale_seconds = traits.stale_seconds
        self._is_kept = traits.is_kept
        self._found: NearCache[Key, Kept] = NearCache(clock, seconds=seconds, most=most, traits=traits)
        self._missing: NearCache[Key, Key] = NearCache(clock, seconds=seconds, most=most)
        self._flights: dict[Key, _Flight[Kept]] = {}
        self.stale = 0

    async def find(self, key: Key) -> Kept | None:
        """Return what is remembered or what the look-up finds; raises what it raises, which nobody remembers."""
        known = self._found.get(key)
        if known is not None or self._missing.get(key) is not None:
            return known
        if self._stale_seconds:
            ended = self._found.get_stale(key)
            if ended is not None:
                self.stale += 1
                if key not in self._flights:
                    # Counted as one who waits, so that a reader who gives up does not end it.
                    self._begin(key).readers += 1
                return ended
        flight = self._flights.get(key)
        # What has been under way for longer than an entry lives may tell what is older than anybody was promised.
        if flight is None or self._now() - flight.began >= self._seconds:
            flight = self._begin(key)
        return await self._wait(key, flight)

    def known(self, key: Key) -> Kept | None:
        """Return what is remembered, without looking it up."""
        return self._found.get(key)

    def forget(self, key: Key) -> None:
        """Drop what is remembered of one key, because it was changed; who looks it up at this moment keeps nothing."""
        self._flights.pop(key, None)
        self._found.forget(key)
        self._missing.forget(key)

    def forget_tag(self, tag: Hashable) -> None:
        """Drop what is remembered under a tag; of what is being looked up nobody knows the tag, so nothing is kept."""
        self._flights.clear()
        self._found.forget_tag(tag)

    def numbers(self) -> CacheNumbers:
        """Return what became of all reads."""
        return CacheNumbers(
            hits=self._found.hits,
            absent=self._missing.hits,
            stale=self.stale,
            misses=self._missing.misses - self.stale,
            evicted=self._found.evicted + self._missing.evicted,
            entries=len(self),
            bytes=self._found.bytes,
        )

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._found) + len(self._missing)

    def _begin(self, key: Key) -> _Flight[Kept]:
        flight = _Flight(asyncio.create_task(self._load(key), name="look-up"), self._now())
        self._flights[key] = flight
        # The first callback of all: whoever waits finds the answer remembered.
        flight.task.add_done_callback(lambda _task: self._landed(key, flight))
        return flight

    async def _load(self, key: Key) -> Kept | None:
        return await self._look_up(key)

    async def _wait(self, key: Key, flight: _Flight[Kept]) -> Kept | None:
        flight.readers += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            flight.readers -= 1
            if not flight.readers:
                self._abandon(key, flight)
            raise

    def _abandon(self, key: Key, flight: _Flight[Kept]) -> None:
        """End what nobody waits for any more: callers that go away leave no work behind."""
        if self._flights.get(key) is flight:
            del self._flights[key]
        flight.task.cancel()

    def _landed(self, key: Key, flight: _Flight[Kept]) -> None:
        """Remember what one look-up found for all who waited for it, unless it was forgotten meanwhile."""
        is_wanted = self._flights.get(key) is flight
        if is_wanted:
            del self._flights[key]
        # Asked for also where nobody waits: an exception that nobody looks at is told of on stderr.
        if flight.task.cancelled() or flight.task.exception() is not None or not is_wanted:
            return
        found = flight.task.result()
        if found is None:
            self._missing.put(key, key, since=flight.began)
        elif self._is_kept is None or self._is_kept(found):
            self._found.put(key, found, since=flight.began)
