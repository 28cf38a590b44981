"""How far this machine's clock is from the directory's, which is the one that all servers share.

What lives for seconds (portal tokens, contexts between servers, signatures of webhooks) is judged by the own clock: a
server whose clock is wrong would refuse what is right, and take what ended long ago and was forgotten since. So it
looks at the difference every few seconds. Within what verifying grants (``portal_tokens.LEEWAY``) nothing happens;
beyond it the server is not ready, says so, and lets no portal token in (``faces/edge/authentication``): others do.
Leases, schedules and whatever else servers must agree on go by the database's clock anyway.
"""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import structlog

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.observability.metrics.loops import LATE_AFTER, LoopTurns

_NOW: Final = "SELECT clock_timestamp() AS now"
# A question that took longer tells too little.
_LONGEST_WAY_SECONDS: Final = 0.5
_log = structlog.get_logger(__name__)


class ClockWatch:
    """The difference as it was last seen; an async context manager that looks again and again."""

    def __init__(
        self, directory: Directory, clock: Clock, *, most: float, every: float, loops: LoopTurns | None = None
    ) -> None:
        """Up to ``most`` seconds are borne; there are ``every`` seconds between looks."""
        self._loops = loops or LoopTurns()
        self._directory = directory
        self._clock = clock
        self._most = most
        self._every = every
        self._looking: asyncio.Task[None] | None = None
        self.seconds = 0.0
        """Positive when this machine is ahead; what the question itself took is its uncertainty."""

    def is_off(self) -> bool:
        """Whether it is further away than is borne."""
        return abs(self.seconds) > self._most

    @property
    def complaint(self) -> str:
        """Say it to an operator."""
        way = "ahead of" if self.seconds > 0 else "behind"
        return (
            f"This server's clock is {abs(self.seconds):.0f} seconds {way} its database's, "
            f"and {self._most:g} are borne: set both by the same time servers (NTP)."
        )

    async def look(self) -> None:
        """Compare; raises Unavailable without the database."""
        began, asked = self._clock.monotonic(), self._clock.now()
        async with self._directory.statement() as tx:
            row = await tx.one(_NOW)
        took = self._clock.monotonic() - began
        if row is None or took > _LONGEST_WAY_SECONDS:
            return
        apart = (asked - row["now"]).total_seconds()
        # The database answered somewhere on the way: what lies within the way is no difference.
        was_off = self.is_off()
        self.seconds = min(apart + took, 0.0) if apart < 0 else apart
        if self.is_off() and not was_off:
            _log.error("clock_off", seconds=round(self.seconds, 3), most=self._most)

    async def __aenter__(self) -> Self:
        """Look before anything is served."""
        with suppress(BridgeError):
            await self.look()
        self._looking = asyncio.create_task(self._keep_looking(), name="clock")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _keep_looking(self) -> None:
        with self._loops.turning("clock", within=LATE_AFTER + 2 * self._every) as turned:
            while True:
                await asyncio.sleep(self._every)
                try:
                    await self.look()
                    turned()
                except BridgeError as failure:
                    _log.debug("clock_not_compared", error=failure.message)
