"""Addresses and signing secrets of webhooks sealed anew: what a rotation does with this slice's secrets."""

from dataclasses import dataclass
from typing import Final

import msgspec
from psycopg.rows import DictRow

from make_bridge.domain.organizations.keys import place_of
from make_bridge.domain.scenarios.hook_handlers import secret_purpose
from make_bridge.domain.scenarios.inbound import decode_inbound, with_inbound
from make_bridge.kernel.ids import HookId, OrganizationId
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.security.sealing import KeyRing, Sealed

# The key that sealed a box is its second part. The secrets of one rule are always sealed together.
_LEFT: Final = """
SELECT count(*) AS left_over FROM shard.hooks
WHERE organization_id = %(organization)s AND (split_part(token_sealed, '.', 2) <> %(key)s
    OR (position('"secrets"'::bytea IN settings) > 0 AND position(%(box)s::bytea IN settings) = 0))
"""
_TAKE: Final = """
SELECT id, token_sealed, settings FROM shard.hooks
WHERE organization_id = %(organization)s AND (split_part(token_sealed, '.', 2) <> %(key)s
    OR (position('"secrets"'::bytea IN settings) > 0 AND position(%(box)s::bytea IN settings) = 0))
ORDER BY id LIMIT %(most)s FOR UPDATE
"""
_WRITE: Final = """
UPDATE shard.hooks SET token_sealed = given.token, settings = given.settings
FROM unnest(%s::bigint[], %s::text[], %s::bytea[]) AS given (id, token, settings)
WHERE hooks.organization_id = %s AND hooks.id = given.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedHooks:
    """See the module."""

    async def left(self, tx: WriteTx, organization_id: OrganizationId, key: str) -> int:
        """Return how many are sealed by another key than this one."""
        return int((await tx.all(_LEFT, _chosen(organization_id, key)))[0]["left_over"])

    async def reseal(self, tx: WriteTx, organization_id: OrganizationId, ring: KeyRing, most: int) -> int:
        """Seal a few anew; return how many."""
        rows = await tx.all(_TAKE, _chosen(organization_id, ring.current.name) | {"most": most})
        tokens = [
            ring.reseal(place_of(organization_id, ("hook", row["id"], "token")), Sealed(row["token_sealed"])).text
            for row in rows
        ]
        settings = [_settings(row, organization_id, ring) for row in rows]
        if rows:
            await tx.execute(_WRITE, ([row["id"] for row in rows], tokens, settings, organization_id))
        return len(rows)


def _chosen(organization_id: OrganizationId, key: str) -> dict[str, object]:
    return {"organization": organization_id, "key": key, "box": f'"v1.{key}.'.encode()}


def _settings(row: DictRow, organization_id: OrganizationId, ring: KeyRing) -> bytes:
    settings = bytes(row["settings"])
    rules = decode_inbound(settings)
    if rules.signature is None or not rules.signature.secrets:
        return settings
    place = place_of(organization_id, secret_purpose(HookId(row["id"])))
    secrets = [ring.reseal(place, Sealed(sealed)).text for sealed in rules.signature.secrets]
    signature = msgspec.structs.replace(rules.signature, secrets=secrets)
    return with_inbound(settings, msgspec.structs.replace(rules, signature=signature))
