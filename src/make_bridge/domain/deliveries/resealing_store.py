"""Signing secrets of webhook endpoints sealed anew: what a rotation does with this slice's secrets."""

from dataclasses import dataclass
from typing import Final

from make_bridge.domain.deliveries.messages import EndpointId
from make_bridge.domain.deliveries.sending import purpose_of
from make_bridge.domain.organizations.keys import place_of
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.security.sealing import KeyRing, Sealed

# The key that sealed a box is its second part; of an endpoint without a previous secret there is one box.
_OLD: Final = """
FROM shard.webhook_endpoints
WHERE organization_id = %s AND (split_part(secret_sealed, '.', 2) <> %s OR split_part(previous_sealed, '.', 2) <> %s)
"""
_LEFT: Final = "SELECT count(*) AS left_over" + _OLD
_TAKE: Final = "SELECT id, secret_sealed, previous_sealed" + _OLD + " ORDER BY id LIMIT %s FOR UPDATE"
_WRITE: Final = """
UPDATE shard.webhook_endpoints SET secret_sealed = %s, previous_sealed = %s WHERE organization_id = %s AND id = %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedEndpoints:
    """See the module."""

    async def left(self, tx: WriteTx, organization_id: OrganizationId, key: str) -> int:
        """Return how many are sealed by another key than this one."""
        return int((await tx.all(_LEFT, (organization_id, key, key)))[0]["left_over"])

    async def reseal(self, tx: WriteTx, organization_id: OrganizationId, ring: KeyRing, most: int) -> int:
        """Seal a few anew; return how many."""
        key = ring.current.name
        rows = await tx.all(_TAKE, (organization_id, key, key, most))
        for row in rows:
            place = place_of(organization_id, purpose_of(EndpointId(row["id"])))
            secret, previous = row["secret_sealed"], row["previous_sealed"]
            anew = [None if box is None else ring.reseal(place, Sealed(box)).text for box in (secret, previous)]
            await tx.execute(_WRITE, (*anew, organization_id, row["id"]))
        return len(rows)
