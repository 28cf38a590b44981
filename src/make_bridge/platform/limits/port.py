"""What a face may ask of a rate limit, and what a rate limit asks of the place where servers count together.

A limit answers also while that place is away: nobody is refused for it, and nobody is let through without any limit.
Each server then lets its part of the limit through, 1/N where N servers are known. What a server knows by itself to be
over is refused without asking anybody.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

from make_bridge.kernel.errors import RateLimited


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


@dataclass(frozen=True, slots=True)
class Taken:
    """What was counted over all servers: 0 or the seconds to wait, and until when the key is used up, in seconds."""

    wait: float
    clear_in: float


class Counts(Protocol):
    """Where servers count together."""

    async def take(self, rate: Rate, key: Hashable, known: float) -> Taken | None:
        """Let one happen, or let it not; None, within the deadline, while this place is away.

        ``known`` is the ``clear_in`` that the asking server knows of: what was forgotten here is so learned again.
        """
        ...


class RateLimit(Protocol):
    """A limit for each of any number of keys. Nothing here raises, except ``require``."""

    @property
    def rate(self) -> Rate:
        """The limit as it was set, over all processes."""
        ...

    async def take(self, key: Hashable) -> float:
        """Let one happen and return 0, or let it not and return the seconds after which one will."""
        ...

    def wait(self, key: Hashable) -> float:
        """Return what ``take`` would as far as is known here, and change nothing."""
        ...

    async def require(self, key: Hashable) -> None:
        """Let one happen, or raise RateLimited."""
        ...

    def refusal(self, wait: float) -> RateLimited:
        """Return the refusal, counted."""
        ...

    def standing(self, key: Hashable) -> Standing:
        """Return how a key stands, as far as is known here."""
        ...
