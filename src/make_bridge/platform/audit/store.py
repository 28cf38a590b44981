"""Every statement of chaining and verifying, for both homes of the trail.

Sealing acts as ``bridge_engine`` on a shard and as ``bridge_directory`` in the directory. The head's row is the lock:
who has it reads the unsealed rows and gives them their places, so even two that both think they lead make one chain.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from make_bridge.kernel.ids import OrganizationId
from make_bridge.kernel.messages import Home
from make_bridge.platform.audit.chain import GENESIS, ChainedRow
from make_bridge.platform.audit.record import in_both
from make_bridge.platform.audit.signing import Head, Kind
from make_bridge.platform.bus.event_store import Lead
from make_bridge.platform.database.transactions import ReadTx, Row, WriteTx

_LEADS: Final = """
SELECT 1 AS holds, set_config('idle_in_transaction_session_timeout', '3s', true)
FROM shard.leaders WHERE name = %(name)s AND owner = %(owner)s AND fence = %(fence)s FOR SHARE
"""
_WAITING: Final = in_both("""
WITH RECURSIVE found AS (
    (SELECT organization_id FROM home.audit WHERE seal IS NULL AND organization_id > %s
     ORDER BY organization_id LIMIT 1)
    UNION ALL
    SELECT (SELECT a.organization_id FROM home.audit a WHERE a.seal IS NULL AND a.organization_id > f.organization_id
            ORDER BY a.organization_id LIMIT 1)
    FROM found f WHERE f.organization_id IS NOT NULL
)
SELECT organization_id FROM found WHERE organization_id IS NOT NULL LIMIT %s
""")
_ANY_WAITING: Final = in_both(
    "SELECT organization_id FROM home.audit WHERE seal IS NULL ORDER BY organization_id LIMIT 1"
)
_BEGIN_HEADS: Final = in_both("""
INSERT INTO home.audit_heads (organization_id, hash, signature) SELECT unnest(%s::bigint[]), %s, ''
ON CONFLICT DO NOTHING
""")
_LOCK_HEADS: Final = in_both("""
SELECT organization_id, sequence, hash, signature, anchored, anchored_at < now() - interval '1 day' AS is_due
FROM home.audit_heads WHERE organization_id = ANY(%s::bigint[]) ORDER BY organization_id FOR UPDATE
""")
_UNSEALED: Final = in_both("""
SELECT a.* FROM unnest(%s::bigint[]) AS o(organization_id) CROSS JOIN LATERAL (
    SELECT id, organization_id, actor_kind, actor, action, object, detail, before, after, request_id, address,
        created_at
    FROM home.audit WHERE organization_id = o.organization_id AND seal IS NULL ORDER BY id LIMIT %s) AS a
ORDER BY a.organization_id, a.id
""")
_SEAL: Final = in_both("""
UPDATE home.audit a SET sequence = s.sequence, seal = s.seal
FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[]) AS s(id, sequence, seal) WHERE a.id = s.id AND a.seal IS NULL
""")
_MOVE_HEAD: Final = in_both(
    "UPDATE home.audit_heads SET sequence = %s, hash = %s, signature = %s WHERE organization_id = %s"
)
_ANCHORED: Final = in_both("UPDATE home.audit_heads SET anchored = %s, anchored_at = now() WHERE organization_id = %s")
_CHECKPOINT: Final = in_both("""
INSERT INTO home.audit_checkpoints (organization_id, kind, sequence, hash, signature) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
""")
_UNANCHORED: Final = in_both("""
SELECT organization_id FROM home.audit_heads
WHERE sequence > anchored AND anchored_at < now() - interval '1 day' LIMIT %s
""")
_EXPIRED: Final = in_both("""
SELECT h.organization_id FROM home.audit_heads h
WHERE EXISTS (SELECT FROM home.audit a WHERE a.organization_id = h.organization_id AND a.seal IS NOT NULL
              AND a.created_at < now() - make_interval(days => %s)) LIMIT %s
""")
_OLDEST: Final = in_both("""
SELECT sequence, seal, created_at < now() - make_interval(days => %s) AS is_old
FROM home.audit WHERE organization_id = %s AND sequence IS NOT NULL ORDER BY sequence LIMIT %s
""")
_DROP: Final = in_both("SELECT home.drop_audit(%s, %s) AS gone")
_ORGANIZATIONS: Final = {
    "shard": """
SELECT organization_id FROM shard.audit_heads WHERE organization_id > %s ORDER BY organization_id LIMIT %s
""",
    "directory": """
SELECT organization_id FROM (
    SELECT organization_id FROM directory.audit_heads UNION SELECT id FROM directory.organizations) AS known
WHERE organization_id > %s ORDER BY organization_id LIMIT %s
""",
}
_HEAD: Final = in_both("SELECT sequence, hash, signature FROM home.audit_heads WHERE organization_id = %s")
_STANDING: Final = in_both("""
SELECT (SELECT count(*) FROM home.audit WHERE organization_id = %(organization)s AND seal IS NULL) AS waiting,
    EXISTS (SELECT FROM home.audit WHERE organization_id = %(organization)s AND seal IS NOT NULL) AS has_sealed
""")
_CHECKPOINTS: Final = in_both("""
SELECT sequence, hash, signature FROM home.audit_checkpoints
WHERE organization_id = %s AND kind = %s AND sequence > %s ORDER BY sequence LIMIT %s
""")
_LAST_CHECKPOINT: Final = in_both("""
SELECT sequence, hash, signature FROM home.audit_checkpoints
WHERE organization_id = %s AND kind = %s ORDER BY sequence DESC LIMIT 1
""")
_PAGE: Final = in_both("""
SELECT id, organization_id, actor_kind, actor, action, object, detail, before, after, request_id, address, created_at,
    sequence, seal
FROM home.audit WHERE organization_id = %s AND sequence > %s AND sequence <= %s ORDER BY sequence LIMIT %s
""")


class KeptHead(msgspec.Struct, frozen=True, kw_only=True):
    """A chain's head with what is known of its anchors; ``is_due`` after a day without one."""

    head: Head
    signature: bytes
    anchored: int = 0
    is_due: bool = False


async def leads(tx: WriteTx, lead: Lead) -> bool:
    """Say whether this is still the leader, and keep it so until the transaction ends."""
    return await tx.one(_LEADS, msgspec.structs.asdict(lead)) is not None


async def waiting_organizations(tx: ReadTx, home: Home, after: int, most: int) -> list[int]:
    """Return organizations behind an id that have unsealed rows; by index, so at no cost where there are none."""
    return [row["organization_id"] for row in await tx.all(_WAITING[home], (after, most))]


async def is_any_waiting(tx: ReadTx, home: Home) -> bool:
    """Say whether any row is unsealed."""
    return await tx.one(_ANY_WAITING[home]) is not None


async def lock_heads(tx: WriteTx, home: Home, organizations: Sequence[int]) -> dict[int, KeptHead]:
    """Lock the heads of chains until the transaction ends, and begin those that have none."""
    wanted = list(organizations)
    await tx.execute(_BEGIN_HEADS[home], (wanted, GENESIS))
    rows = await tx.all(_LOCK_HEADS[home], (wanted,))
    return {
        row["organization_id"]: KeptHead(
            head=_head(home, row["organization_id"], row),
            signature=row["signature"],
            anchored=row["anchored"],
            is_due=row["is_due"],
        )
        for row in rows
    }


async def unsealed(tx: ReadTx, home: Home, organizations: Sequence[int], most: int) -> list[ChainedRow]:
    """Return at most ``most`` unsealed rows of each organization, in the order of their ids."""
    return [msgspec.convert(row, ChainedRow) for row in await tx.all(_UNSEALED[home], (list(organizations), most))]


async def seal(tx: WriteTx, home: Home, sealed: Sequence[tuple[int, int, bytes]]) -> int:
    """Give rows (by id) their places and hashes; return how many had none."""
    return await tx.execute(_SEAL[home], [list(column) for column in zip(*sealed, strict=True)])


async def move_head(tx: WriteTx, head: Head, signature: bytes) -> None:
    """Write the newest head of a chain."""
    await tx.execute(_MOVE_HEAD[head.home], (head.sequence, head.hash, signature, head.organization_id))


async def add_checkpoint(tx: WriteTx, kind: Kind, head: Head, signature: bytes) -> None:
    """Keep a place of a chain."""
    await tx.execute(_CHECKPOINT[head.home], (head.organization_id, kind, head.sequence, head.hash, signature))


async def note_anchor(tx: WriteTx, head: Head) -> None:
    """Write which place of a chain was anchored last."""
    await tx.execute(_ANCHORED[head.home], (head.sequence, head.organization_id))


async def unanchored(tx: ReadTx, home: Home, most: int) -> list[int]:
    """Return organizations whose chain grew, and was anchored a day ago or earlier."""
    return [row["organization_id"] for row in await tx.all(_UNANCHORED[home], (most,))]


async def expired(tx: ReadTx, home: Home, days: int, most: int) -> list[int]:
    """Return organizations with sealed rows older than so many days."""
    return [row["organization_id"] for row in await tx.all(_EXPIRED[home], (days, most))]


async def last_old(tx: ReadTx, home: Home, organization_id: int, days: int, most: int) -> Head | None:
    """Return the last of the oldest ``most`` rows up to which all are older than so many days."""
    last = None
    for row in await tx.all(_OLDEST[home], (days, organization_id, most)):
        if not row["is_old"]:
            break
        last = Head(home=home, organization_id=organization_id, sequence=row["sequence"], hash=row["seal"])
    return last


async def drop(tx: WriteTx, head: Head) -> int:
    """Delete all rows up to a checkpoint; return how many."""
    row = await tx.one(_DROP[head.home], (head.organization_id, head.sequence))
    return 0 if row is None else int(row["gone"])


async def organizations(tx: ReadTx, home: Home, after: int, most: int) -> list[OrganizationId]:
    """Return organizations that have, or must have, a trail here, by id."""
    return [OrganizationId(row["organization_id"]) for row in await tx.all(_ORGANIZATIONS[home], (after, most))]


async def head_of(tx: ReadTx, home: Home, organization_id: int) -> KeptHead | None:
    """Return the head of a chain, None before its first row."""
    row = await tx.one(_HEAD[home], (organization_id,))
    return None if row is None else KeptHead(head=_head(home, organization_id, row), signature=row["signature"])


async def standing(tx: ReadTx, home: Home, organization_id: int) -> tuple[int, bool]:
    """Return how many rows wait to be sealed, and whether there are sealed ones."""
    row = await tx.one(_STANDING[home], {"organization": organization_id})
    return (0, False) if row is None else (int(row["waiting"]), bool(row["has_sealed"]))


async def checkpoints(
    tx: ReadTx, home: Home, organization_id: int, kind: Kind, *, after: int, most: int
) -> list[KeptHead]:
    """Return places of a chain that were kept, by sequence."""
    rows = await tx.all(_CHECKPOINTS[home], (organization_id, kind, after, most))
    return [KeptHead(head=_head(home, organization_id, row), signature=row["signature"]) for row in rows]


async def last_checkpoint(tx: ReadTx, home: Home, organization_id: int, kind: Kind) -> KeptHead | None:
    """Return the newest place of a chain that was kept."""
    row = await tx.one(_LAST_CHECKPOINT[home], (organization_id, kind))
    return None if row is None else KeptHead(head=_head(home, organization_id, row), signature=row["signature"])


async def page(tx: ReadTx, head: Head, after: int, most: int) -> list[ChainedRow]:
    """Return rows of a chain behind a place, up to its head."""
    rows = await tx.all(_PAGE[head.home], (head.organization_id, after, head.sequence, most))
    return [msgspec.convert(row, ChainedRow) for row in rows]


def _head(home: Home, organization_id: int, row: Row) -> Head:
    return Head(home=home, organization_id=organization_id, sequence=row["sequence"], hash=row["hash"])
