"""How fresh a replica is, known without a question per request; pure.

``replicas`` looks from time to time: at the primary's position, then at what the replica has replayed. From two such
positions follows a moment up to which the replica holds everything that was committed; it is never later than the
truth, whichever process computes it. A replica is asked while that moment is at most ``lag`` ago.

Every process follows these rules with the same numbers, so one knows what the others may do: who has seen that the
replica was too far behind for anybody (``shut_at``) knows that nobody asks it for ``back`` seconds, because it has to
be fresh for so long before it is asked again.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

# More than a minute of looks; of a replica that is further behind every other one is forgotten.
_MOST_LOOKS: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaLimits:
    """When a replica is asked; seconds."""

    lag: float = 0.5
    """How far behind it may be."""
    look: float = 0.1
    """The time between two looks."""
    back: float = 5.0
    """How long it has to be fresh before it is asked again."""
    wait: float = 1.0
    """How long a question to it may take before the primary is asked."""


class Position(NamedTuple):
    """A position of the primary, which it had reached between two moments."""

    began: float
    ended: float
    committed: int


class Freshness:
    """What the looks at one replica say; moments are those of one monotonic clock."""

    __slots__ = ("_fresh_since", "_limits", "_positions", "fresh_at", "seen_at", "shut_at")

    def __init__(self, limits: ReplicaLimits, *, now: float) -> None:
        """Begin with a replica that nobody has looked at."""
        self._limits = limits
        self._positions: deque[Position] = deque()
        self._fresh_since: float | None = None
        self.fresh_at = float("-inf")
        """The replica holds what was committed before."""
        self.shut_at = float("-inf")
        """At this moment the replica was too far behind for every process."""
        self.seen_at = now
        """When the replica was last looked at."""

    def look(self, position: Position, asked: float, replayed: int, *, now: float) -> None:
        """Take a position, and what the replica, asked at ``asked``, had replayed."""
        was_behind = now - self.fresh_at > self._limits.lag
        self._remember(position)
        while self._positions and self._positions[0].committed <= replayed:
            self.fresh_at = max(self.fresh_at, self._positions.popleft().began)
        newest = self._positions[0].ended if self._positions else asked
        if newest < asked - self._limits.lag:
            self.shut_at = asked
        self.seen_at = now
        # One that fell behind between two looks has been shut as well, as another may have noticed.
        if was_behind or self._fresh_since is None:
            self._fresh_since = now if now - self.fresh_at <= self._limits.lag else None

    def fail(self) -> None:
        """Note that the replica did not do what was asked of it."""
        self._fresh_since = None

    def is_open(self, now: float) -> bool:
        """Say whether the replica may be asked."""
        since = self._fresh_since
        return since is not None and now - since >= self._limits.back and now - self.fresh_at <= self._limits.lag

    def is_read(self, now: float) -> bool:
        """Say whether any process may ask the replica before it holds what is committed now.

        Who asks it again is behind by ``lag`` at most. One that this process can not reach is taken to be out of reach
        for all when it has been so for long enough.
        """
        again = self.shut_at + self._limits.back - self._limits.lag
        return again <= now <= self.seen_at + self._limits.lag + self._limits.back

    def _remember(self, position: Position) -> None:
        # After a failover another primary may begin before: what was remembered of the one before says nothing then.
        if self._positions and position.committed < self._positions[-1].committed:
            self._positions.clear()
        self._positions.append(position)
        if len(self._positions) > _MOST_LOOKS:
            self._positions = deque(list(self._positions)[::2])
