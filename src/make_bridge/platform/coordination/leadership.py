"""Leadership by a row of the database: a name, its holder, until when, and a fencing number.

For duties that one process of many does at a time (the scheduler). The database's clock decides. Whoever acts as the
leader shows its fence in the transaction that acts, under a lock of the row: a leader that slept past its term finds
another number there and changes nothing. What happens on failure: without the database nobody leads; a leader that
is killed is followed after its term, one that resigns at once.
"""

from datetime import timedelta
from typing import Final

from make_bridge.platform.database.pools import Shard

TERM: Final = timedelta(seconds=10)
RENEW_SECONDS: Final = 3.0

_HOLD: Final = """
INSERT INTO shard.leaders AS l (name, owner, fence, until) VALUES (%(name)s, %(owner)s, 1, now() + %(term)s)
ON CONFLICT (name) DO UPDATE SET
    fence = CASE WHEN l.owner = excluded.owner AND l.until > now() THEN l.fence ELSE l.fence + 1 END,
    owner = excluded.owner, until = excluded.until
WHERE l.owner = excluded.owner OR l.until <= now()
RETURNING fence
"""
_RESIGN: Final = "UPDATE shard.leaders SET until = now() WHERE name = %s AND owner = %s AND fence = %s"


class Leadership:
    """One process's claim to one duty on one shard."""

    def __init__(self, shard: Shard, name: str, owner: str) -> None:
        """``owner`` is the node's name, unique among the processes of an installation."""
        self._shard = shard
        self.name = name
        self.owner = owner

    async def hold(self) -> int | None:
        """Take or keep the lead for another term; return the fence, None while somebody else leads."""
        async with self._shard.engine_statement() as tx:
            row = await tx.one(_HOLD, {"name": self.name, "owner": self.owner, "term": TERM})
        return None if row is None else int(row["fence"])

    async def resign(self, fence: int) -> None:
        """Let another process lead at once."""
        async with self._shard.engine_statement() as tx:
            await tx.execute(_RESIGN, (self.name, self.owner, fence))
