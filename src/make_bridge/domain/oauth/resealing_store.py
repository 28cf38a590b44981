"""Secrets of applications, tokens and attempts sealed anew: what a rotation does with this slice's secrets.

Tokens are renewed while this runs: a row is locked while it is sealed anew, and tokens that come later are sealed by
the newest key anyway. Attempts live for minutes; what a job carries is opened by the older versions that are kept.
"""

from dataclasses import dataclass
from typing import Final

from make_bridge.domain.oauth import sealed
from make_bridge.domain.oauth.messages import ApplicationId
from make_bridge.domain.organizations.keys import Purpose, place_of
from make_bridge.kernel.ids import ComponentId, OrganizationId
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.security.sealing import KeyRing, Sealed

# The key that sealed a box is its second part.
_LEFT: Final = """
SELECT (SELECT count(*) FROM shard.oauth_applications
        WHERE organization_id = %(organization)s AND split_part(client_secret_sealed, '.', 2) <> %(key)s)
     + (SELECT count(*) FROM shard.oauth_grants WHERE organization_id = %(organization)s
        AND (split_part(access_sealed, '.', 2) <> %(key)s OR split_part(refresh_sealed, '.', 2) <> %(key)s))
    AS left_over
"""
_TAKE_APPLICATIONS: Final = """
SELECT id, client_secret_sealed FROM shard.oauth_applications
WHERE organization_id = %s AND split_part(client_secret_sealed, '.', 2) <> %s ORDER BY id LIMIT %s FOR UPDATE
"""
_WRITE_APPLICATION: Final = """
UPDATE shard.oauth_applications SET client_secret_sealed = %s WHERE organization_id = %s AND id = %s
"""
_TAKE_GRANTS: Final = """
SELECT connection_id, access_sealed, refresh_sealed FROM shard.oauth_grants
WHERE organization_id = %s AND (split_part(access_sealed, '.', 2) <> %s OR split_part(refresh_sealed, '.', 2) <> %s)
ORDER BY connection_id LIMIT %s FOR UPDATE
"""
_WRITE_GRANTS: Final = """
UPDATE shard.oauth_grants SET access_sealed = given.access, refresh_sealed = given.refresh
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS given (id, access, refresh)
WHERE oauth_grants.organization_id = %s AND oauth_grants.connection_id = given.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedGrants:
    """See the module."""

    async def left(self, tx: WriteTx, organization_id: OrganizationId, key: str) -> int:
        """Return how many are sealed by another key than this one."""
        [row] = await tx.all(_LEFT, {"organization": organization_id, "key": key})
        return int(row["left_over"])

    async def reseal(self, tx: WriteTx, organization_id: OrganizationId, ring: KeyRing, most: int) -> int:
        """Seal a few anew; return how many."""
        key = ring.current.name

        def anew(purpose: Purpose, box: str | None) -> str | None:
            return None if box is None else ring.reseal(place_of(organization_id, purpose), Sealed(box)).text

        applications = await tx.all(_TAKE_APPLICATIONS, (organization_id, key, most))
        for row in applications:
            box = anew(sealed.client_secret(ApplicationId(row["id"])), row["client_secret_sealed"])
            await tx.execute(_WRITE_APPLICATION, (box, organization_id, row["id"]))
        grants = await tx.all(_TAKE_GRANTS, (organization_id, key, key, most))
        if grants:
            ids = [ComponentId(row["connection_id"]) for row in grants]
            pairs = list(zip(ids, grants, strict=True))
            access = [anew(sealed.token(number, "access"), row["access_sealed"]) for number, row in pairs]
            refresh = [anew(sealed.token(number, "refresh"), row["refresh_sealed"]) for number, row in pairs]
            await tx.execute(_WRITE_GRANTS, (ids, access, refresh, organization_id))
        return len(applications) + len(grants)
