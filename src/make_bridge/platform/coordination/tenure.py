"""What a loop knows of its lead between two steps: asked before each, it asks the adapter when it is time to.

Used by every loop that one process of many runs (``relay``, ``scheduler``, ``sealer``, ``idle_renewal``), and by locks.
"""

import asyncio
from contextlib import AbstractAsyncContextManager, suppress

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.coordination.leadership import RENEW_SECONDS
from make_bridge.platform.coordination.port import Candidacy


class Tenure:
    """See the module."""

    def __init__(self, candidacy: Candidacy) -> None:
        """Begin without the lead."""
        self._candidacy = candidacy
        self._fence: int | None = None
        self.ask_at = 0.0
        """When, by the loop's clock, it is time to ask again."""
        self._last = 0

    @property
    def is_leading(self) -> bool:
        """Say whether this process may act at this moment."""
        return self._fence is not None and self._candidacy.stands()

    @property
    def last_fence(self) -> int:
        """Return the fence under which this process led last, 0 if it never did."""
        return self._last

    @property
    def owner(self) -> str:
        """Return under which name this process leads."""
        return self._candidacy.owner

    async def fence(self) -> int | None:
        """Return the fence to act under now, None while this process may not act; raises Unavailable."""
        now = asyncio.get_running_loop().time()
        if self._fence is not None and not self._candidacy.stands():
            self._fence, self.ask_at = None, now
        if now >= self.ask_at:
            self._fence = None
            self._fence = await self._candidacy.hold()
            self._last = self._last if self._fence is None else self._fence
            self.ask_at = now + (self._candidacy.look_seconds if self._fence is None else RENEW_SECONDS)
        return self._fence

    def acting(self) -> AbstractAsyncContextManager[None]:
        """Break off with Unavailable what is done inside when the lead is lost meanwhile."""
        return self._candidacy.acting()

    async def end(self) -> None:
        """Let another process lead at once; where that cannot be said, it does after the term or the session."""
        self._fence = None
        with suppress(Unavailable):
            await self._candidacy.resign()
