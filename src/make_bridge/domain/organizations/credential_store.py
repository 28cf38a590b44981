"""The rows of portal keys and API tokens as their owners see and change them; the edge's look-ups are in ``store``."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from psycopg.rows import DictRow

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_KEYS: Final = """
SELECT kid, slot, algorithm, permissions, not_after, created_at FROM directory.portal_keys
WHERE organization_id = %s ORDER BY created_at DESC, slot
"""
# By the wall clock: a transaction that waited for another began before it.
_ADD_KEY: Final = """
INSERT INTO directory.portal_keys (kid, organization_id, slot, algorithm, secret_sealed, permissions, created_at)
VALUES (%(kid)s, %(organization)s, %(slot)s, %(algorithm)s, %(sealed)s, %(permissions)s, clock_timestamp())
"""
_END_KEY: Final = "UPDATE directory.portal_keys SET not_after = %s WHERE organization_id = %s AND kid = %s"
_TOKENS: Final = """
SELECT id, label, permissions, created_at, last_used_at, expires_at FROM directory.api_tokens
WHERE organization_id = %s ORDER BY id
"""
_ONE: Final = """
SELECT id, label, permissions, created_at, last_used_at, expires_at FROM directory.api_tokens
WHERE organization_id = %s AND id = %s
"""
_COUNT: Final = "SELECT count(*) AS held FROM directory.api_tokens WHERE organization_id = %s"
_ADD: Final = """
INSERT INTO directory.api_tokens (digest, organization_id, label, permissions, expires_at)
VALUES (%s, %s, %s, %s, %s) RETURNING id
"""
_REMOVE: Final = "DELETE FROM directory.api_tokens WHERE organization_id = %s AND id = %s"
_TOUCH: Final = """
UPDATE directory.api_tokens SET last_used_at = now()
WHERE id = %s AND (last_used_at IS NULL OR last_used_at < now() - interval '60 seconds')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """A portal key as it is written."""

    kid: str
    slot: int
    algorithm: str
    sealed: str = field(repr=False)
    permissions: frozenset[str]


async def keys(tx: ReadTx, organization_id: OrganizationId) -> list[DictRow]:
    """Return an organization's portal keys without their secrets, the newest first."""
    return await tx.all(_KEYS, (organization_id,))


async def add_key(tx: WriteTx, organization_id: OrganizationId, new: StoredKey) -> None:
    """Put a portal key into a free slot."""
    values = {
        "kid": new.kid,
        "organization": organization_id,
        "slot": new.slot,
        "algorithm": new.algorithm,
        "sealed": new.sealed,
        "permissions": sorted(new.permissions),
    }
    await tx.execute(_ADD_KEY, values)


async def end_key(tx: WriteTx, organization_id: OrganizationId, kid: str, not_after: datetime) -> None:
    """Say until when a portal key is accepted."""
    await tx.execute(_END_KEY, (not_after, organization_id, kid))


async def tokens(tx: ReadTx, organization_id: OrganizationId) -> list[DictRow]:
    """Return an organization's API tokens without their digests, oldest first."""
    return await tx.all(_TOKENS, (organization_id,))


async def token(tx: ReadTx, organization_id: OrganizationId, token_id: int) -> DictRow | None:
    """Return one API token without its digest."""
    return await tx.one(_ONE, (organization_id, token_id))


async def count_tokens(tx: ReadTx, organization_id: OrganizationId) -> int:
    """Return how many API tokens an organization has."""
    return int((await tx.all(_COUNT, (organization_id,)))[0]["held"])


async def add_token(
    tx: WriteTx,
    organization_id: OrganizationId,
    *,
    digest: bytes,
    label: str,
    permissions: frozenset[str],
    expires_at: datetime | None,
) -> int:
    """Keep the digest of an API token; return its id."""
    rows = await tx.all(_ADD, (digest, organization_id, label, sorted(permissions), expires_at))
    return int(rows[0]["id"])


async def remove_token(tx: WriteTx, organization_id: OrganizationId, token_id: int) -> bool:
    """Remove an API token; False when the organization has none of this id."""
    return await tx.execute(_REMOVE, (organization_id, token_id)) > 0


async def touch_token(tx: WriteTx, token_id: int) -> None:
    """Note that an API token is in use, at most once a minute over all nodes."""
    await tx.execute(_TOUCH, (token_id,))
