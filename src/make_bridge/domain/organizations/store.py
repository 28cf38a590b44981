"""The rows of the directory that belong to organizations: themselves, origins, keys, tokens, placements.

The directory is read before a tenant is known, so look-ups by a secret's digest or a key's id stand
here without an organization; everything else names it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from psycopg.rows import DictRow

from make_bridge.domain.organizations.messages import NewOrganization, Organization
from make_bridge.domain.organizations.model import ApiToken
from make_bridge.kernel.errors import NotFound, Unavailable
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.database.arrays import ByteaArray
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_INSERT: Final = """
INSERT INTO directory.organizations (name, timezone, is_demo) VALUES (%s, %s, %s) RETURNING id
"""
# Whoever died before the root team was made left no credentials with anybody: the next attempt takes it over.
_TAKE_UNFINISHED: Final = """
UPDATE directory.organizations SET timezone = %(timezone)s, is_demo = %(is_demo)s, created_at = now()
WHERE id = (
    SELECT id FROM directory.organizations
    WHERE name = %(name)s AND root_team_id IS NULL AND created_at < %(older_than)s
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id
"""
_DROP_KEYS: Final = "DELETE FROM directory.portal_keys WHERE organization_id = %s"
_DROP_ACCESS: Final = "DELETE FROM directory.api_tokens WHERE organization_id = %s"
_DROP_ORIGINS: Final = "DELETE FROM directory.origins WHERE organization_id = %s"
_PLACE: Final = """
INSERT INTO directory.placements AS held (organization_id, shard)
SELECT %s, number FROM directory.shards WHERE number = %s AND state = 'active' FOR SHARE
ON CONFLICT (organization_id) DO UPDATE SET shard = held.shard RETURNING shard
"""
_PLACED: Final = "SELECT shard FROM directory.placements WHERE organization_id = %s"
_ADD_ORIGIN: Final = "INSERT INTO directory.origins (organization_id, origin) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_ADD_DATA_KEY: Final = """
INSERT INTO directory.data_keys (organization_id, version, wrapped) VALUES (%s, %s, %s)
ON CONFLICT (organization_id, version) DO NOTHING
"""
_DATA_KEYS: Final = "SELECT version, wrapped FROM directory.data_keys WHERE organization_id = %s ORDER BY version"
_ADD_KEY: Final = """
INSERT INTO directory.portal_keys (kid, organization_id, slot, secret_sealed, permissions)
VALUES (%s, %s, %s, %s, %s)
"""
_REMOVE_KEY: Final = "DELETE FROM directory.portal_keys WHERE organization_id = %s AND kid = %s"
_FIND_KEY: Final = """
SELECT kid, organization_id, slot, algorithm, secret_sealed, permissions, not_after
FROM directory.portal_keys WHERE kid = %s
"""
_ADD_ACCESS: Final = """
INSERT INTO directory.api_tokens (digest, organization_id, label, permissions) VALUES (%s, %s, %s, %s)
"""
_FIND_ACCESS: Final = """
SELECT id, organization_id, label, permissions, expires_at,
    coalesce(last_used_at > now() - interval '60 seconds', false) AS is_noted
FROM directory.api_tokens
WHERE digest = %s AND (expires_at IS NULL OR expires_at > now())
"""
_LOCK: Final = """
SELECT id, root_team_id FROM directory.organizations WHERE id = %s AND shredded_at IS NULL FOR UPDATE
"""
_SET_ROOT_TEAM: Final = """
UPDATE directory.organizations SET root_team_id = %s WHERE id = %s AND root_team_id IS NULL
"""
_GET: Final = """
SELECT o.id, o.name, o.timezone, o.root_team_id, o.is_demo,
    ARRAY(SELECT g.origin FROM directory.origins g WHERE g.organization_id = o.id ORDER BY g.origin) AS origins
FROM directory.organizations o WHERE o.id = %s AND o.shredded_at IS NULL
"""
_EDIT: Final = "UPDATE directory.organizations SET name = %s, timezone = %s WHERE id = %s"
_IS_LISTED: Final = "SELECT 1 AS listed FROM directory.origins WHERE origin = %s LIMIT 1"
# After a restore, tokens that may have been used in what was lost are let in no more (``platform/backups/restoring``).
_CONSUME: Final = """
INSERT INTO directory.used_tokens (digest, expires_at, claim)
SELECT given.* FROM unnest(%s::bytea[], %s::timestamptz[], %s::bytea[]) AS given (digest, remembered_until, claim)
WHERE given.remembered_until > coalesce(
    (SELECT value::timestamptz FROM directory.facts WHERE name = 'portal_tokens_from'), '-infinity')
ON CONFLICT (digest) DO NOTHING RETURNING claim
"""
_IS_CLAIMED: Final = "SELECT 1 AS claimed FROM directory.used_tokens WHERE digest = %s AND claim = %s"
# A use is remembered past the token's own end: clocks of nodes differ, and verifying grants some leeway.
_PURGE: Final = """
DELETE FROM directory.used_tokens WHERE digest IN (
    SELECT digest FROM directory.used_tokens WHERE expires_at < now() - interval '10 minutes' LIMIT 10000
)
"""
_READ_FACT: Final = "SELECT value FROM directory.facts WHERE name = %s"
_KEEP_FACT: Final = "INSERT INTO directory.facts (name, value) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING"
# Shared: many may read what is in force, and whoever changes it waits for them.
_HOLD_FACT: Final = "SELECT value FROM directory.facts WHERE name = %s FOR SHARE"
_TAKE_FACT: Final = "SELECT value FROM directory.facts WHERE name = %s FOR UPDATE"
_DROP_FACT: Final = "DELETE FROM directory.facts WHERE name = %s"
_WRITE_FACT: Final = """
INSERT INTO directory.facts (name, value) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
# On the shard: the first team of an organization is its root team.
_FIND_ROOT_TEAM: Final = "SELECT id FROM shard.teams WHERE organization_id = %s ORDER BY id LIMIT 1"
_INSERT_ROOT_TEAM: Final = "INSERT INTO shard.teams (organization_id, name) VALUES (%s, %s) RETURNING id"
_LOCK_ROOT_TEAM: Final = "SELECT pg_advisory_xact_lock(hashtextextended('make_bridge.root_team', %s))"
_UNKNOWN: Final = "There is no such organization."


async def insert(tx: WriteTx, new: NewOrganization) -> OrganizationId:
    """Write a new organization."""
    rows = await tx.all(_INSERT, (new.name, new.timezone, new.is_demo))
    return OrganizationId(rows[0]["id"])


async def take_unfinished(tx: WriteTx, new: NewOrganization, older_than: datetime) -> OrganizationId | None:
    """Take over an organization of this name whose making was broken off; its unseen credentials go."""
    parameters = {"name": new.name, "timezone": new.timezone, "is_demo": new.is_demo, "older_than": older_than}
    row = await tx.one(_TAKE_UNFINISHED, parameters)
    if row is None:
        return None
    for statement in (_DROP_KEYS, _DROP_ACCESS, _DROP_ORIGINS):
        await tx.execute(statement, (row["id"],))
    return OrganizationId(row["id"])


async def place(tx: WriteTx, organization_id: OrganizationId, proposed: int) -> int:
    """Say where an organization lives and return it; one that is placed already stays.

    Raises Unavailable when the proposed shard takes nobody any more; one that is being removed waits for this.
    """
    rows = await tx.all(_PLACE, (organization_id, proposed))
    if not rows and (held := await tx.one(_PLACED, (organization_id,))) is not None:
        return int(held["shard"])
    if not rows:
        raise Unavailable("The shard that was proposed takes no new organizations any more: try again in a moment.")
    return int(rows[0]["shard"])


async def add_origins(tx: WriteTx, organization_id: OrganizationId, origins: Iterable[str]) -> None:
    """Let pages of these origins embed the widget."""
    for origin in origins:
        await tx.execute(_ADD_ORIGIN, (organization_id, origin))


async def is_listed(tx: ReadTx, origin: str) -> bool:
    """Say whether any organization lists an origin."""
    return await tx.one(_IS_LISTED, (origin,)) is not None


async def add_data_key(tx: WriteTx, organization_id: OrganizationId, version: int, wrapped: str) -> None:
    """Keep a data key, wrapped by the root key."""
    await tx.execute(_ADD_DATA_KEY, (organization_id, version, wrapped))


async def data_keys(tx: ReadTx, organization_id: OrganizationId) -> dict[int, str]:
    """Return the wrapped data keys by version."""
    return {row["version"]: row["wrapped"] for row in await tx.all(_DATA_KEYS, (organization_id,))}


async def add_key(
    tx: WriteTx, organization_id: OrganizationId, *, kid: str, slot: int, sealed: str, permissions: frozenset[str]
) -> None:
    """Put a portal key into a free slot."""
    await tx.execute(_ADD_KEY, (kid, organization_id, slot, sealed, sorted(permissions)))


async def remove_key(tx: WriteTx, organization_id: OrganizationId, kid: str) -> bool:
    """Remove a portal key; False when the organization has none of this id."""
    return await tx.execute(_REMOVE_KEY, (organization_id, kid)) > 0


async def find_key(tx: ReadTx, kid: str) -> DictRow | None:
    """Return a portal key's row, its secret sealed."""
    return await tx.one(_FIND_KEY, (kid,))


async def add_token(
    tx: WriteTx, organization_id: OrganizationId, *, digest: bytes, label: str, permissions: frozenset[str]
) -> None:
    """Keep the digest of an API token."""
    await tx.execute(_ADD_ACCESS, (digest, organization_id, label, sorted(permissions)))


async def find_token(tx: ReadTx, digest: bytes) -> tuple[ApiToken | None, bool]:
    """Return the API token with this digest, unless it has expired, and whether its use was noted within a minute."""
    row = await tx.one(_FIND_ACCESS, (digest,))
    if row is None:
        return None, False
    found = ApiToken(
        id=row["id"],
        organization_id=row["organization_id"],
        permissions=frozenset(row["permissions"]),
        label=row["label"],
        expires_at=row["expires_at"],
    )
    return found, row["is_noted"]


async def lock(tx: WriteTx, organization_id: OrganizationId) -> TeamId | None:
    """Hold an organization and return its root team, if it has one; raises NotFound."""
    row = await tx.one(_LOCK, (organization_id,))
    if row is None:
        raise NotFound(_UNKNOWN)
    return TeamId(row["root_team_id"]) if row["root_team_id"] is not None else None


async def set_root_team(tx: WriteTx, organization_id: OrganizationId, team_id: TeamId) -> None:
    """Finish an organization: from now on it can be read."""
    await tx.execute(_SET_ROOT_TEAM, (team_id, organization_id))


async def get(tx: ReadTx, organization_id: OrganizationId) -> Organization | None:
    """Return an organization, unless its making was broken off."""
    row = await tx.one(_GET, (organization_id,))
    if row is None or row["root_team_id"] is None:
        return None
    return Organization(
        id=row["id"],
        name=row["name"],
        timezone=row["timezone"],
        root_team_id=row["root_team_id"],
        origins=tuple(row["origins"]),
        is_demo=row["is_demo"],
    )


async def edit(tx: WriteTx, organization_id: OrganizationId, name: str, timezone: str) -> None:
    """Write name and time zone."""
    await tx.execute(_EDIT, (name, timezone, organization_id))


async def consume(tx: WriteTx, uses: Sequence[tuple[bytes, datetime, bytes]]) -> set[bytes]:
    """Remember uses, each with until when and its claim; return the claims of the first, over all nodes.

    They are written in one order everywhere, so that two nodes never wait for each other.
    """
    digests, ends, claims = zip(*sorted(uses), strict=True)
    return {
        bytes(row["claim"]) for row in await tx.all(_CONSUME, (ByteaArray(digests), list(ends), ByteaArray(claims)))
    }


async def is_claimed(tx: ReadTx, digest: bytes, claim: bytes) -> bool:
    """Say whether the use that is remembered is this one."""
    return await tx.one(_IS_CLAIMED, (digest, claim)) is not None


async def purge(tx: WriteTx) -> int:
    """Forget uses of tokens that ended long ago, at most ten thousand at once; return how many."""
    return await tx.execute(_PURGE)


async def read_fact(tx: ReadTx, name: str) -> str | None:
    """Return a fact of the installation, as it was written."""
    row = await tx.one(_READ_FACT, (name,))
    return None if row is None else str(row["value"])


async def hold_fact(tx: WriteTx, name: str) -> str | None:
    """Return a fact that nobody changes before this transaction ends."""
    row = await tx.one(_HOLD_FACT, (name,))
    return None if row is None else str(row["value"])


async def take_fact(tx: WriteTx, name: str) -> str | None:
    """Return a fact that is about to be changed, when nobody builds on it any more."""
    row = await tx.one(_TAKE_FACT, (name,))
    return None if row is None else str(row["value"])


async def drop_fact(tx: WriteTx, name: str) -> None:
    """Forget a fact of the installation."""
    await tx.execute(_DROP_FACT, (name,))


async def keep_first_fact(tx: WriteTx, name: str, value: str) -> str:
    """Keep a fact unless there is one of that name; return the one that stands."""
    await tx.execute(_KEEP_FACT, (name, value))
    return await read_fact(tx, name) or value


async def write_fact(tx: WriteTx, name: str, value: str) -> None:
    """Keep a fact of the installation, in place of what it was before."""
    await tx.execute(_WRITE_FACT, (name, value))


async def ensure_root_team(tx: WriteTx, organization_id: OrganizationId, name: str) -> TeamId:
    """Return the organization's first team on its shard, made when there is none; safe to repeat and to race."""
    await tx.all(_LOCK_ROOT_TEAM, (organization_id,))
    row = await tx.one(_FIND_ROOT_TEAM, (organization_id,))
    if row is None:
        row = (await tx.all(_INSERT_ROOT_TEAM, (organization_id, name)))[0]
    return TeamId(row["id"])
