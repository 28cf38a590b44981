"""Work claimed a moment before there is room for it, so that a short run is followed by the next without a round trip.

Kept by the worker. How much it claims ahead follows from how fast it is: no more than it has ended within a tenth of a
second, so what lies here begins about that much later, and a worker whose runs take their time claims nothing ahead.
What has lain longer than a second all the same is handed back, to whoever has room for it.
"""

from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from make_bridge.kernel.ids import ExecutionId, OrganizationId
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.transactions import Row
from make_bridge.platform.queue.leases import Lease

PACE_SECONDS: Final = 0.1
LONGEST_SECONDS: Final = 1.0
COUNTED_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Claimed:
    """A lease that waits for room; ``job`` is its job, read together with the others of its claim."""

    shard: Shard
    lease: Lease
    since: float
    job: Row | None = None


class ClaimedAhead:
    """See the module. Times are the loop's, in seconds."""

    __slots__ = ("_before", "_ended", "_most", "_slot", "_waiting")

    def __init__(self, most: int) -> None:
        """Never keep more than ``most``."""
        self._most = most
        self._waiting: deque[Claimed] = deque()
        self._slot = 0
        self._ended = 0
        self._before = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def note_end(self, now: float) -> None:
        """Count a run that has ended."""
        self._turn(now)
        self._ended += 1

    def room(self, now: float) -> int:
        """Return how many more to claim ahead: none before half of them have begun, so that claims stay large."""
        self._turn(now)
        wanted = min(self._most, max(self._before, self._ended))
        return wanted - len(self._waiting) if len(self._waiting) <= wanted // 2 else 0

    def put(self, claimed: Claimed) -> None:
        """Keep a lease until there is room."""
        self._waiting.append(claimed)

    def take(self) -> Claimed | None:
        """Return the oldest."""
        return self._waiting.popleft() if self._waiting else None

    def of(self, shard: Shard) -> dict[ExecutionId, int]:
        """Return the ids of a shard's leases with their fences."""
        return {claimed.lease.id: claimed.lease.fence for claimed in self._waiting if claimed.shard is shard}

    def drop(self, ids: Collection[ExecutionId]) -> int:
        """Forget leases that were lost; return how many."""
        before = len(self._waiting)
        if ids:
            self._waiting = deque(claimed for claimed in self._waiting if claimed.lease.id not in ids)
        return before - len(self._waiting)

    def drop_of(self, organization_id: OrganizationId) -> None:
        """Forget the leases of an organization that has moved to another shard."""
        self._waiting = deque(c for c in self._waiting if c.lease.organization_id != organization_id)

    def leave(self, now: float, shard: Shard | None = None, *, everything: bool = False) -> list[Claimed]:
        """Return, and forget, what has lain too long, or everything: of one shard, or of all."""
        left: list[Claimed] = []
        stays: deque[Claimed] = deque()
        for claimed in self._waiting:
            is_due = everything or now - claimed.since > LONGEST_SECONDS
            (left if is_due and shard in {None, claimed.shard} else stays).append(claimed)
        self._waiting = stays
        return left

    def _turn(self, now: float) -> None:
        slot = int(now / PACE_SECONDS)
        if slot != self._slot:
            self._before = self._ended if slot == self._slot + 1 else 0
            self._slot, self._ended = slot, 0


class ClaimsUnderWay:
    """How much is being claimed at this moment, on all shards, so that together they claim no more than has room.

    What takes longer than ``COUNTED_SECONDS`` counts no more: a shard that does not answer takes nothing from others.
    """

    __slots__ = ("_asked",)

    def __init__(self) -> None:
        """Nothing is."""
        self._asked: dict[object, tuple[int, float]] = {}

    @contextmanager
    def of(self, most: int, now: float) -> Iterator[None]:
        """Count a claim of so many while the block lasts."""
        claim = object()
        self._asked[claim] = (most, now)
        try:
            yield
        finally:
            del self._asked[claim]

    def count(self, now: float) -> int:
        """Return how many are asked for."""
        return sum(most for most, since in self._asked.values() if now - since <= COUNTED_SECONDS)
