"""The rows of the directory that make the shard map: shards with their states, and pins of organizations."""

from collections.abc import Mapping
from typing import Final

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.transactions import ReadTx, Row, WriteTx

# FOR UPDATE: who places an organization on a shard holds its row until the commit.
_LOCK: Final = "SELECT number, state, weight, address FROM directory.shards WHERE number = %s FOR UPDATE"
_BEGIN: Final = "INSERT INTO directory.shards (number, name, weight, state) VALUES (%s, %s, %s, 'joining')"
_WRITE_ADDRESS: Final = "UPDATE directory.shards SET address = %s WHERE number = %s"
_ADDRESSES: Final = "SELECT number, address FROM directory.shards WHERE address IS NOT NULL ORDER BY number FOR UPDATE"
_SET_STATE: Final = "UPDATE directory.shards SET state = %s WHERE number = %s"
_FORGET: Final = "UPDATE directory.shards SET state = 'removed', address = NULL WHERE number = %s"
_SET_WEIGHT: Final = "UPDATE directory.shards SET weight = %s WHERE number = %s"
_COUNT_OTHERS: Final = "SELECT count(*) AS others FROM directory.shards WHERE state = 'active' AND number <> %s"
_COUNT_HERE: Final = """
SELECT (SELECT count(*) FROM directory.placements WHERE shard = %(number)s) AS placed,
    (SELECT count(*) FROM directory.placements WHERE pin = %(number)s) AS pinned
"""
_COUNTS: Final = "SELECT shard, count(*) AS organizations FROM directory.placements GROUP BY shard"
_PIN: Final = "UPDATE directory.placements SET pin = %s WHERE organization_id = %s RETURNING shard"
_PAGE: Final = """
SELECT o.id, o.name, o.created_at, p.shard, p.pin
FROM directory.organizations o JOIN directory.placements p ON p.organization_id = o.id
WHERE o.id > %(after)s AND o.shredded_at IS NULL AND (%(shard)s::smallint IS NULL OR p.shard = %(shard)s)
ORDER BY o.id LIMIT %(most)s
"""
# On the organization's shard.
_FIGURES: Final = """
SELECT (SELECT count(*) FROM shard.teams WHERE organization_id = %(organization)s) AS teams,
    (SELECT coalesce(sum(executions), 0) FROM shard.usage_daily
     WHERE organization_id = %(organization)s AND day = (now() AT TIME ZONE 'UTC')::date) AS executions
"""


async def lock(tx: WriteTx, number: int) -> Row | None:
    """Return a shard's row, held until the commit: nobody is placed there meanwhile."""
    return await tx.one(_LOCK, (number,))


async def begin(tx: WriteTx, number: int, weight: int) -> None:
    """Write down a shard that is about to join."""
    await tx.execute(_BEGIN, (number, f"shard-{number}", weight))


async def write_address(tx: WriteTx, number: int, sealed: str) -> None:
    """Keep what a shard is served by, sealed."""
    await tx.execute(_WRITE_ADDRESS, (sealed, number))


async def addresses(tx: WriteTx) -> Mapping[int, str]:
    """Return every kept address, held until the commit."""
    return {row["number"]: row["address"] for row in await tx.all(_ADDRESSES)}


async def set_state(tx: WriteTx, number: int, state: str) -> None:
    """Write a shard's state."""
    await tx.execute(_SET_STATE, (state, number))


async def set_weight(tx: WriteTx, number: int, weight: int) -> bool:
    """Write a shard's weight; False where there is none."""
    return await tx.execute(_SET_WEIGHT, (weight, number)) > 0


async def forget(tx: WriteTx, number: int) -> None:
    """Mark a shard as removed: its address goes, its number stays taken."""
    await tx.execute(_FORGET, (number,))


async def count_others(tx: ReadTx, number: int) -> int:
    """Return how many other shards take organizations."""
    row = await tx.one(_COUNT_OTHERS, (number,))
    return 0 if row is None else int(row["others"])


async def count_here(tx: ReadTx, number: int) -> tuple[int, int]:
    """Return how many organizations are placed on a shard, and how many are pinned to it."""
    row = await tx.one(_COUNT_HERE, {"number": number})
    return (0, 0) if row is None else (int(row["placed"]), int(row["pinned"]))


async def counts(tx: ReadTx) -> dict[int, int]:
    """Return how many organizations live on each shard."""
    return {row["shard"]: int(row["organizations"]) for row in await tx.all(_COUNTS)}


async def pin(tx: WriteTx, organization_id: OrganizationId, number: int | None) -> int | None:
    """Write where an organization is to live; return where it lives, None for one that is not there."""
    row = await tx.one(_PIN, (number, organization_id))
    return None if row is None else int(row["shard"])


async def page(tx: ReadTx, after: int, most: int, shard: int | None) -> list[Row]:
    """Return organizations with their placements, in the order of their ids: each once, wherever it moves."""
    return await tx.all(_PAGE, {"after": after, "most": most, "shard": shard})


async def figures(tx: ReadTx, organization_id: OrganizationId) -> Row | None:
    """Return what an organization has and did today, from its shard."""
    return await tx.one(_FIGURES, {"organization": organization_id})
