"""A rate limit over all servers: what this process counts, and behind it the place where servers count together.

Faces hold one for each limit (``faces/edge/limiters.py`` makes them). What is known here to be over is refused without
asking; else the shared place decides, and its answer is kept here, so that this process goes on from the sum of all
when that place goes away, and teaches it the sum when it comes back empty. Without an answer this process decides by
itself, within its part of the limit.
"""

from collections.abc import Hashable

from make_bridge.kernel.errors import RateLimited
from make_bridge.platform.limits.local import LocalRateLimit
from make_bridge.platform.limits.port import Counts, Rate, Standing


class SharedRateLimit:
    """See the module; a ``RateLimit``."""

    __slots__ = ("_counts", "_is_divided", "_local", "_servers")

    def __init__(self, local: LocalRateLimit, counts: Counts | None = None) -> None:
        """Without ``counts`` this process counts for itself."""
        self._local = local
        self._counts = counts
        self._servers = 1
        self._is_divided = counts is None

    @property
    def rate(self) -> Rate:
        """The limit as it was set, over all processes."""
        return self._local.rate

    def share_among(self, servers: int) -> None:
        """Remember that ``servers`` have this limit together, for whenever they cannot count together."""
        self._servers = servers
        self._divide()

    def count_apart(self, *, apart: bool) -> None:
        """Say whether servers cannot count together at present: then each has its part."""
        self._is_divided = apart or self._counts is None
        self._divide()

    async def take(self, key: Hashable) -> float:
        """Let one happen and return 0, or return the seconds after which one will."""
        local = self._local
        wait = local.wait(key)
        if wait or not local.rate.most:
            return wait
        if self._counts is None:
            return local.take(key)
        taken = await self._counts.take(local.rate, key, local.clear_in(key))
        if taken is None:
            return local.take(key)
        local.learn(key, taken.clear_in)
        return taken.wait

    def wait(self, key: Hashable) -> float:
        """Return what ``take`` would as far as is known here."""
        return self._local.wait(key)

    async def require(self, key: Hashable) -> None:
        """Let one happen, or raise RateLimited."""
        wait = await self.take(key)
        if wait:
            raise self.refusal(wait)

    def refusal(self, wait: float) -> RateLimited:
        """Return the refusal, counted."""
        return self._local.refusal(wait)

    def standing(self, key: Hashable) -> Standing:
        """Return how a key stands, as far as is known here."""
        return self._local.standing(key)

    def _divide(self) -> None:
        self._local.share_among(self._servers if self._is_divided else 1)

    def __len__(self) -> int:
        """How many keys are kept here."""
        return len(self._local)
