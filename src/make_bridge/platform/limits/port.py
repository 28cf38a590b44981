"""What a face may ask of a rate limit.

``local`` is the adapter of one process. One that processes share has to answer from what it knows at this moment, too:
a webhook does not wait for another server's opinion. When what is shared is away, limits stay local: nobody is refused
for it, and nobody is let through without any limit.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """``most`` in ``seconds``, under the name that callers are told; 0 is no limit."""

    name: str
    most: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How many are left for a key at once, and in how many seconds it will be as if nothing had happened."""

    left: int
    clear_in: float


class RateLimit(Protocol):
    """A limit for each of any number of keys. Nothing here raises, except ``require``."""

    @property
    def rate(self) -> Rate:
        """The limit as it was set, over all processes."""
        ...

    def take(self, key: Hashable) -> float:
        """Let one happen and return 0, or let it not and return the seconds after which one will."""
        ...

    def wait(self, key: Hashable) -> float:
        """Return what ``take`` would, and change nothing."""
        ...

    def require(self, key: Hashable) -> None:
        """Let one happen, or raise RateLimited."""
        ...

    def standing(self, key: Hashable) -> Standing:
        """Return how a key stands."""
        ...
