"""Which servers serve together, and how many of them hold each rate limit: a row for each in the directory.

``boot`` opens one where limits are on. A server writes its row at its start and every few seconds, and reads how many
others did so within fifteen; the database's clock decides. One that ends takes its row along, one that is killed is
counted for fifteen seconds more. What happens on failure: without the database the numbers stay what they were.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

import structlog

from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.database.pools import Directory

LIVE: Final = timedelta(seconds=15)
_FORGOTTEN: Final = timedelta(minutes=5)
_log = structlog.get_logger(__name__)

_BEAT: Final = """
WITH forgotten AS (
    DELETE FROM directory.servers WHERE name IN (
        SELECT name FROM directory.servers WHERE seen_at < now() - %(forgotten)s AND name <> %(name)s
        LIMIT 100 FOR UPDATE SKIP LOCKED
    )
), beat AS (
    INSERT INTO directory.servers AS s (name, limits) VALUES (%(name)s, %(limits)s)
    ON CONFLICT (name) DO UPDATE SET limits = excluded.limits, seen_at = now()
)
SELECT held.name, count(*) AS servers FROM directory.servers s, unnest(s.limits) AS held(name)
WHERE s.seen_at > now() - %(live)s AND s.name <> %(name)s AND held.name = ANY(%(limits)s)
GROUP BY held.name
"""
_LEAVE: Final = "DELETE FROM directory.servers WHERE name = %s"


class Membership:
    """One server's place among the others; an async context manager."""

    def __init__(
        self,
        directory: Directory,
        name: str,
        limits: Sequence[str],
        counted: Callable[[Mapping[str, int]], None],
        *,
        seconds: float,
    ) -> None:
        """``name`` is this process's alone; ``counted`` hears how many servers hold each limit, this one included."""
        self._directory = directory
        self._name = name
        self._limits = list(limits)
        self._counted = counted
        self._seconds = seconds
        self._beating: asyncio.Task[None] | None = None

    async def beat(self) -> None:
        """Say that this server lives, and hear of the others."""
        given = {"name": self._name, "limits": self._limits, "live": LIVE, "forgotten": _FORGOTTEN}
        async with self._directory.statement() as tx:
            rows = await tx.all(_BEAT, given)
        others = {row["name"]: int(row["servers"]) for row in rows}
        self._counted({name: 1 + others.get(name, 0) for name in self._limits})

    async def __aenter__(self) -> Self:
        """Join before anything is served: a server that comes must not begin with the whole of a limit."""
        await self.beat()
        self._beating = asyncio.create_task(self._keep_beating(), name="membership")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        try:
            async with self._directory.statement() as tx:
                await tx.execute(_LEAVE, (self._name,))
        except BridgeError as failure:
            _log.debug("server_not_left", error=failure.message)

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self.beat()
            except BridgeError as error:
                _log.warning("server_not_counted", error=error.message)
