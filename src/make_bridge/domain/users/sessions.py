"""What the edge asks on every request of a signed-in person: whose session is this.

Each answer is remembered for four seconds, so a session that was ended anywhere, a disabled person and a changed role
are felt by every process within five; the process that ends one forgets it at once. The secret itself is nowhere: a
session is known by its digest.
"""

from contextlib import suppress
from typing import Final

from make_bridge.domain.users import store
from make_bridge.domain.users.messages import Session
from make_bridge.domain.users.model import SessionLimits, SignInLimits, is_session_secret
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.cache.near import CacheNumbers, NearLookUp
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.security.secrets import digest_of

_SECONDS: Final = 4.0
_MOST: Final = 10_000


class Sessions:
    """The sessions of people."""

    def __init__(self, directory: Directory, clock: Clock, limits: SessionLimits, sign_in: SignInLimits) -> None:
        """Look sessions up by their digests."""
        self._directory = directory
        self._clock = clock
        self._limits = limits
        self._sign_in = sign_in
        self._finder = NearLookUp(clock, self._look_up, seconds=_SECONDS, most=_MOST)

    async def find(self, secret: str) -> Session | None:
        """Return a live session; None for one that is unknown, has ended or is no secret at all."""
        found = await self._finder.find(digest_of(secret)) if is_session_secret(secret) else None
        return None if found is None or found.ends_at <= self._clock.now() else found

    def forget(self, digest: bytes) -> None:
        """Drop a session that was ended here."""
        self._finder.forget(digest)

    def numbers(self) -> CacheNumbers:
        """Return what became of the reads of sessions."""
        return self._finder.numbers()

    async def forget_ended(self) -> int:
        """Remove what has ended from the database; return how much. Repeated every hour."""
        async with self._directory.write() as tx:
            return await store.forget_ended(tx, self._limits, self._sign_in)

    async def count_live(self) -> int:
        """Return how many sessions let somebody in, in the whole installation."""
        return await self._directory.ask(lambda tx: store.count_live(tx, self._limits))

    async def _look_up(self, digest: bytes) -> Session | None:
        found, is_noted = await self._directory.ask(lambda tx: store.find_session(tx, digest, self._limits))
        if found is not None and not is_noted:
            # What only keeps a session alive must not keep anybody out.
            with suppress(Unavailable):
                async with self._directory.write() as tx:
                    await store.touch_session(tx, found.id, self._limits)
        return found
