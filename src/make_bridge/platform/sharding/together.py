"""Whether PostgreSQL takes the connections that all servers of an installation may open together.

Each server writes down how large its pools are (``watching``), and every one opens every shard, so any of them can
count for all. Who came first has its part: of several that start at one moment only the last is one too many. What
happens on failure: who cannot count is told Unavailable, and nobody is refused for it.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.platform.database.budget import KEPT_FREE, READ_ALLOWED, Server, most_connections
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards

LIVE: Final = timedelta(seconds=10)
_LOOK_SECONDS: Final = 1.0
_SIZES: Final = """
SELECT connections FROM directory.shard_views
WHERE seen_at > now() - %(live)s AND connections > 0 AND (
    %(up_to)s::text IS NULL
    OR (since, server) <= (SELECT own.since, own.server FROM directory.shard_views own WHERE own.server = %(up_to)s)
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What so many servers may open at most at one PostgreSQL, and how many it takes."""

    where: Server
    servers: int
    most: int
    allowed: int

    @property
    def is_too_much(self) -> bool:
        """Say whether less would stay free than has to."""
        return self.most > self.allowed - KEPT_FREE

    def __str__(self) -> str:
        """Say it in a sentence."""
        host, port = self.where
        who = f"{self.servers} servers together" if self.servers > 1 else "One server"
        return f"{who} may open {self.most} of the {self.allowed} connections of the PostgreSQL at {host}:{port}"


async def demands(shards: Shards, up_to: str | None = None) -> list[Demand]:
    """Return what the running servers may open at each PostgreSQL, or they up to one of them, by when they came.

    Raises Unavailable.
    """
    async with shards.directory.statement() as tx:
        sizes = [int(row["connections"]) for row in await tx.all(_SIZES, {"live": LIVE, "up_to": up_to})]
    directory, opened = shards.directory.server, {shard.server: shard for shard in shards.all()}
    counts = Counter(shard.server for shard in shards.all())
    return [
        Demand(
            where=server,
            servers=len(sizes),
            most=sum(most_connections(size, directories=server == directory, shards=counts[server]) for size in sizes),
            allowed=await _allowed(shards, opened.get(server)),
        )
        for server in sorted({directory, *opened})
    ]


async def require_room(shards: Shards, server: str, *, within: float) -> None:
    """Wait until there is room for a server beside those that came before it; raises ConfigurationError, Unavailable.

    Those that were killed count for a moment longer, so it is not said at once that there is none.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + within
    while too_much := [demand for demand in await demands(shards, server) if demand.is_too_much]:
        if loop.time() >= until:
            raise ConfigurationError(advice(too_much))
        await asyncio.sleep(_LOOK_SECONDS)


def advice(too_much: Sequence[Demand]) -> str:
    """Say what is too much, and what to do."""
    return (
        f"{'; '.join(map(str, too_much))}, of which {KEPT_FREE} have to stay free: lower "
        "MAKE_BRIDGE_DATABASE_CONNECTIONS, run fewer servers, or raise max_connections there."
    )


async def _allowed(shards: Shards, shard: Shard | None) -> int:
    async with shards.directory.statement() if shard is None else shard.engine_statement() as tx:
        row = await tx.one(READ_ALLOWED)
    return 0 if row is None else int(row["allowed"])
