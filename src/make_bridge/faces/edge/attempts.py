"""Attempts to get in: what those cost who bring no credentials, or wrong ones.

The gates ask before they look anything up, and tell how it went. Three limits count here, all by address:

* *general*: requests without valid credentials. Over it, whoever brings none is refused at once. Credentials of a kind
  that has passed before go on to be verified, others while *strangers* has room. So a flood from an address that many
  share (a proxy that was not named as one, at worst) costs few look-ups, and shuts out neither those who were let in
  before nor, for long, those who come for the first time.
* *failures*: one and the same credential, refused again and again from one address, is not looked at any more for a
  while. What was refused does not become valid, so this locks out nobody, least of all an organization.

Webhooks and public pages are not counted: their senders and readers share addresses by the thousand.

Servers count *general* and *failures* together; what one of them is told of the sum it knows from then on. *Strangers*
is asked before anything is known of a caller, so each server has its part of that limit for itself.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Final

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import RateLimited
from make_bridge.platform.cache.near import NearCache, Traits
from make_bridge.platform.limits.local import LocalRateLimit
from make_bridge.platform.limits.port import RateLimit

_FAMILIAR_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Who tries with what: an address, digests of the credential and of the part that stays when it is signed anew."""

    address: str
    credential: bytes
    family: bytes


def attempt_of(address: str, shown: str) -> Attempt:
    """Return the attempt; ``shown`` is the credential as it came, "" for none.

    A signed token begins with a head that names its key and is the same for every token of one client.
    """
    head = shown.partition(".")[0]
    return Attempt(address=address, credential=_digest(shown), family=_digest(head))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest() if text else b""


class Attempts:
    """Counts; see the module."""

    def __init__(
        self,
        general: RateLimit,
        failures: RateLimit,
        strangers: LocalRateLimit,
        clock: Clock,
        *,
        block_seconds: float,
        keys: int,
    ) -> None:
        """``block_seconds`` is for how long a credential that failed too often is not looked at."""
        self._general = general
        self._failures = failures
        self._strangers = strangers
        self._clock = clock
        self._block_seconds = block_seconds
        self._blocked: NearCache[tuple[str, bytes], float] = NearCache(
            clock, seconds=block_seconds, most=keys, traits=Traits(spread=0.0)
        )
        self._familiar: NearCache[bytes, bool] = NearCache(clock, seconds=_FAMILIAR_SECONDS, most=keys)

    def admit(self, attempt: Attempt) -> None:
        """Let the credentials be looked at, or raise RateLimited."""
        until = self._blocked.get((attempt.address, attempt.credential))
        if until is not None:
            raise self._failures.refusal(until - self._clock.monotonic())
        wait = self._general.wait(attempt.address)
        if not wait or self._familiar.get(attempt.family):
            return
        if not attempt.credential or self._strangers.take(attempt.address):
            raise self._general.refusal(wait)

    def passed(self, attempt: Attempt) -> None:
        """Remember that credentials of this kind are good."""
        self._familiar.put(attempt.family, value=True)

    async def failed(self, attempt: Attempt) -> RateLimited | None:
        """Count a refusal; return what to answer in its place once there were too many."""
        if not attempt.credential or not self._failures.rate.most:
            wait = await self._general.take(attempt.address)
            return self._general.refusal(wait) if wait else None
        key = (attempt.address, attempt.credential)
        # Together, so that servers that count together are asked once.
        wait, too_often = await asyncio.gather(self._general.take(attempt.address), self._failures.take(key))
        if not self._failures.standing(key).left:
            self._blocked.put(key, self._clock.monotonic() + self._block_seconds)
        if too_often:
            # It has failed at other servers as well: there it was refused unread, here it was read once more.
            return self._failures.refusal(self._block_seconds)
        return self._general.refusal(wait) if wait else None
