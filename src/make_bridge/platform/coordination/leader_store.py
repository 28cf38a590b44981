"""The rows of ``shard.leaders``: a name, its holder, until when, and a fence that only grows.

Both adapters write them. A lease takes a row whose term is over. Whoever was elected takes it at once, from whomever it
may be, because the election has said that the former holder is gone; it keeps the term up to date all the same, so that
processes which know no ZooKeeper leave it its lead.
"""

from datetime import timedelta
from typing import Final

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.transactions import WriteTx

TERM: Final = timedelta(seconds=10)

_HOLD: Final = """
INSERT INTO shard.leaders AS l (name, owner, fence, until) VALUES (%(name)s, %(owner)s, 1, now() + %(term)s)
ON CONFLICT (name) DO UPDATE SET
    fence = CASE WHEN l.owner = excluded.owner AND l.until > now() THEN l.fence ELSE l.fence + 1 END,
    owner = excluded.owner, until = excluded.until
WHERE l.owner = excluded.owner OR l.until <= now()
RETURNING fence
"""
_TAKE: Final = """
INSERT INTO shard.leaders AS l (name, owner, fence, until) VALUES (%(name)s, %(owner)s, 1, now() + %(term)s)
ON CONFLICT (name) DO UPDATE SET fence = l.fence + 1, owner = excluded.owner, until = excluded.until
RETURNING fence
"""
_KEEP: Final = """
UPDATE shard.leaders SET until = now() + %(term)s
WHERE name = %(name)s AND owner = %(owner)s AND fence = %(fence)s RETURNING fence
"""
_RESIGN: Final = "UPDATE shard.leaders SET until = now() WHERE name = %s AND owner = %s AND fence = %s"
# Who falls asleep in the middle of a guarded transaction keeps the row for three seconds, and nobody waits longer.
_LEADS: Final = """
SELECT 1 AS holds, set_config('idle_in_transaction_session_timeout', '3s', true)
FROM shard.leaders WHERE name = %s AND owner = %s AND fence = %s FOR SHARE
"""


async def hold(shard: Shard, name: str, owner: str) -> int | None:
    """Take a row that is free, or keep one's own, for another term; return the fence, None while it is another's."""
    async with shard.engine_statement() as tx:
        row = await tx.one(_HOLD, {"name": name, "owner": owner, "term": TERM})
    return None if row is None else int(row["fence"])


async def take(shard: Shard, name: str, owner: str) -> int:
    """Take the row under the next fence, whoever has it."""
    async with shard.engine_statement() as tx:
        row = await tx.one(_TAKE, {"name": name, "owner": owner, "term": TERM})
    if row is None:
        raise Unavailable("The database gave no fence.")
    return int(row["fence"])


async def keep(shard: Shard, name: str, owner: str, fence: int) -> bool:
    """Keep the row for another term; return whether it is still one's own."""
    async with shard.engine_statement() as tx:
        row = await tx.one(_KEEP, {"name": name, "owner": owner, "fence": fence, "term": TERM})
    return row is not None


async def resign(shard: Shard, name: str, owner: str, fence: int) -> None:
    """End the term now, if the row is still one's own."""
    async with shard.engine_statement() as tx:
        await tx.execute(_RESIGN, (name, owner, fence))


async def require(tx: WriteTx, name: str, owner: str, fence: int) -> None:
    """Let a transaction go on only under the fence in force, which nobody raises before it commits."""
    if await tx.one(_LEADS, (name, owner, fence)) is None:
        message = f"'{name}' has passed to another process meanwhile; nothing was changed."
        raise Unavailable(message)
