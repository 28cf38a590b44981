"""What was filled in beforehand, sealed anew under a newer data key: what a rotation does with this slice's secrets."""

from dataclasses import dataclass
from typing import Final

from make_bridge.domain.credential_requests.prefill import purpose_of
from make_bridge.domain.organizations.keys import place_of
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.security.sealing import KeyRing, Sealed

# The key that sealed a box is its second part.
_LEFT: Final = """
SELECT count(*) AS left_over FROM shard.requested_credentials
WHERE organization_id = %s AND prefill_sealed IS NOT NULL AND split_part(prefill_sealed, '.', 2) <> %s
"""
_TAKE: Final = """
SELECT number, prefill_sealed FROM shard.requested_credentials
WHERE organization_id = %s AND prefill_sealed IS NOT NULL AND split_part(prefill_sealed, '.', 2) <> %s
ORDER BY number LIMIT %s FOR UPDATE
"""
_WRITE: Final = """
UPDATE shard.requested_credentials SET prefill_sealed = given.sealed
FROM unnest(%s::bigint[], %s::text[]) AS given (number, sealed)
WHERE requested_credentials.organization_id = %s AND requested_credentials.number = given.number
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPrefills:
    """See the module."""

    async def left(self, tx: WriteTx, organization_id: OrganizationId, key: str) -> int:
        """Return how many are sealed by another key than this one."""
        return int((await tx.all(_LEFT, (organization_id, key)))[0]["left_over"])

    async def reseal(self, tx: WriteTx, organization_id: OrganizationId, ring: KeyRing, most: int) -> int:
        """Seal a few anew; return how many."""
        rows = await tx.all(_TAKE, (organization_id, ring.current.name, most))
        sealed = [
            ring.reseal(place_of(organization_id, purpose_of(row["number"])), Sealed(row["prefill_sealed"])).text
            for row in rows
        ]
        if rows:
            await tx.execute(_WRITE, ([row["number"] for row in rows], sealed, organization_id))
        return len(rows)
