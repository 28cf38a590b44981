"""Which grants were not renewed for long, across organizations: read by the leader, without any token."""

from dataclasses import dataclass
from typing import Final

from make_bridge.kernel.ids import ComponentId, OrganizationId
from make_bridge.platform.database.transactions import ReadTx

# A connection's turn comes at a moment of its own within the last fifth; it changes with each renewal.
_IDLE: Final = """
SELECT connection_id, organization_id, version FROM shard.oauth_grants
WHERE has_refresh AND connection_id > %(after)s AND (leased_until IS NULL OR leased_until < now())
    AND renewed_at <= now() - make_interval(
        secs => %(idle)s * (1 - 0.2 * (hashint8(connection_id * 31 + version) & 1023) / 1023.0))
ORDER BY connection_id LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleGrant:
    """Whose tokens were got long ago."""

    connection_id: ComponentId
    organization_id: OrganizationId
    version: int


async def idle(tx: ReadTx, after: int, idle_seconds: float, most: int) -> list[IdleGrant]:
    """Return the next grants behind ``after`` that were not renewed for so long, about."""
    rows = await tx.all(_IDLE, {"after": after, "idle": idle_seconds, "most": most})
    return [
        IdleGrant(
            connection_id=ComponentId(row["connection_id"]),
            organization_id=OrganizationId(row["organization_id"]),
            version=row["version"],
        )
        for row in rows
    ]
