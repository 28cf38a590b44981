"""What one process counts of a rate limit: GCRA, which keeps one number for each key and needs no timer.

That number is the moment until which a key has used up its share. One more may happen while it lies at most the whole
period, less one share, ahead of now, and moves it on by one share. So after a pause ``most`` may come at once and then
one per share; there is no edge of a window at which twice as many could pass, and the wait is known exactly.
(docs/decisions/0010-rate-limits.md)

Keys come from outside, so there are only so many: the one that was used longest ago goes. It is most likely one whose
share has long been given back; who floods uses its key with every request and stays.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import RateLimited
from make_bridge.platform.limits.port import Rate, Standing

# What sums of floats may be off by: who waits exactly as long as it was told is let through.
_NOTHING: Final = 1e-6


class LocalRateLimit:
    """See the module; ``shared`` makes a ``RateLimit`` of it, what only one process has to count takes it as it is."""

    __slots__ = ("_allowance", "_most_keys", "_now", "_refused", "_share", "_until", "rate")

    def __init__(
        self, rate: Rate, clock: Clock, *, keys: int, refused: Callable[[str], None] = lambda _name: None
    ) -> None:
        """Begin with nothing used; ``refused`` hears the name of the limit whenever ``require`` refuses."""
        self.rate = rate
        self._now = clock.monotonic
        self._most_keys = keys
        self._refused = refused
        self._until: OrderedDict[Hashable, float] = OrderedDict()
        self.share_among(1)

    def share_among(self, processes: int) -> None:
        """Take this process's part of the limit: ``processes`` serve the same callers."""
        most = max(self.rate.most // max(processes, 1), 1)
        self._share = self.rate.seconds / most
        self._allowance = self.rate.seconds - self._share + _NOTHING

    def take(self, key: Hashable) -> float:
        """Let one happen and return 0, or return the seconds after which one will."""
        if not self.rate.most:
            return 0.0
        now, kept = self._now(), self._until
        until = kept.get(key, now)
        if until - now > self._allowance:
            kept.move_to_end(key)
            return until - now - self._allowance
        kept[key] = max(until, now) + self._share
        kept.move_to_end(key)
        if len(kept) > self._most_keys:
            kept.popitem(last=False)
        return 0.0

    def learn(self, key: Hashable, clear_in: float) -> None:
        """Take over what others know of a key, unless more is known here."""
        now, kept = self._now(), self._until
        kept[key] = max(kept.get(key, now), now + clear_in)
        kept.move_to_end(key)
        if len(kept) > self._most_keys:
            kept.popitem(last=False)

    def clear_in(self, key: Hashable) -> float:
        """Return the seconds after which it will be as if nothing had happened."""
        now = self._now()
        return max(self._until.get(key, now) - now, 0.0)

    def wait(self, key: Hashable) -> float:
        """Return what ``take`` would, and change nothing."""
        now = self._now()
        return max(self._until.get(key, now) - now - self._allowance, 0.0) if self.rate.most else 0.0

    def require(self, key: Hashable) -> None:
        """Let one happen, or raise RateLimited."""
        wait = self.take(key)
        if wait:
            raise self.refusal(wait)

    def refusal(self, wait: float) -> RateLimited:
        """Return the refusal, counted."""
        self._refused(self.rate.name)
        return RateLimited(policy=self.rate.name, most=self.rate.most, seconds=self.rate.seconds, wait=wait)

    def standing(self, key: Hashable) -> Standing:
        """Return how a key stands."""
        clear_in = self.clear_in(key)
        left = int((self._allowance + self._share - clear_in) / self._share + _NOTHING)
        return Standing(left=max(left, 0), clear_in=clear_in)

    def __len__(self) -> int:
        """How many keys are kept."""
        return len(self._until)
