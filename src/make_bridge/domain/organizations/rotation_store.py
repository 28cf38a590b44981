"""The rows that rotations go through: wrapped data keys, and what the directory itself keeps sealed."""

from datetime import datetime
from typing import Final

from psycopg.rows import DictRow

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

# Who has wrapped a box is its second part.
_COUNT: Final = "SELECT count(*) AS left_over FROM directory.data_keys WHERE split_part(wrapped, '.', 2) <> %s"
_TAKE: Final = """
SELECT organization_id, version, wrapped FROM directory.data_keys
WHERE split_part(wrapped, '.', 2) <> %s ORDER BY organization_id, version LIMIT %s FOR UPDATE
"""
_WRAP: Final = "UPDATE directory.data_keys SET wrapped = %s WHERE organization_id = %s AND version = %s"
_NEWEST: Final = """
SELECT version, created_at FROM directory.data_keys WHERE organization_id = %s ORDER BY version DESC LIMIT 1
"""
_DATE: Final = """
UPDATE directory.data_keys SET created_at = greatest(clock_timestamp(), %s)
WHERE organization_id = %s AND version = %s
"""
_SECONDS_OLD: Final = """
SELECT extract(epoch FROM clock_timestamp() - created_at)::float8 AS seconds FROM directory.data_keys
WHERE organization_id = %s AND version = %s
"""
_ORGANIZATIONS: Final = """
SELECT id FROM directory.organizations
WHERE root_team_id IS NOT NULL AND shredded_at IS NULL AND id > %s ORDER BY id LIMIT %s
"""
_TAKE_KEYS: Final = """
SELECT kid, secret_sealed FROM directory.portal_keys
WHERE organization_id = %s AND split_part(secret_sealed, '.', 2) <> %s FOR UPDATE
"""
_SEAL_KEY: Final = "UPDATE directory.portal_keys SET secret_sealed = %s WHERE organization_id = %s AND kid = %s"
# A sealed fact is "<organization> <box>".
_TAKE_FACTS: Final = """
SELECT name, value FROM directory.facts
WHERE split_part(value, ' ', 1) = %s AND split_part(value, '.', 2) NOT IN ('', %s) FOR UPDATE
"""
_SHRED: Final = """
UPDATE directory.organizations SET shredded_at = coalesce(shredded_at, now()) WHERE id = %s RETURNING id
"""
_DROP_DATA_KEYS: Final = "DELETE FROM directory.data_keys WHERE organization_id = %s"
_DROP_PORTAL_KEYS: Final = "DELETE FROM directory.portal_keys WHERE organization_id = %s"
_DROP_TOKENS: Final = "DELETE FROM directory.api_tokens WHERE organization_id = %s"
# On the shard: nothing that could run goes on.
_STOP_HOOKS: Final = "UPDATE shard.hooks SET enabled = false WHERE organization_id = %s AND enabled"
_STOP_SCENARIOS: Final = """
UPDATE shard.scenarios SET state = 'inactive', next_run_at = NULL WHERE organization_id = %s AND state = 'active'
"""


async def count_wrapped_by_others(tx: ReadTx, root: str) -> int:
    """Return how many data keys are wrapped by another root than this one."""
    return int((await tx.all(_COUNT, (root,)))[0]["left_over"])


async def take_wrapped_by_others(tx: WriteTx, root: str, most: int) -> list[DictRow]:
    """Hold a few data keys that are wrapped by another root."""
    return await tx.all(_TAKE, (root, most))


async def wrap_anew(tx: WriteTx, organization_id: OrganizationId, version: int, wrapped: str) -> None:
    """Write a data key wrapped by another root."""
    await tx.execute(_WRAP, (wrapped, organization_id, version))


async def newest_version(tx: ReadTx, organization_id: OrganizationId) -> tuple[int, datetime] | None:
    """Return the newest version of a data key and when it was made."""
    row = await tx.one(_NEWEST, (organization_id,))
    return None if row is None else (row["version"], row["created_at"])


async def date_version(tx: WriteTx, organization_id: OrganizationId, version: int, not_before: datetime) -> None:
    """Say when a version was made: not before it was asked for, whatever the clocks of two databases say."""
    await tx.execute(_DATE, (not_before, organization_id, version))


async def seconds_since(tx: ReadTx, organization_id: OrganizationId, version: int) -> float:
    """Return how long a version has been there."""
    row = await tx.one(_SECONDS_OLD, (organization_id, version))
    return 0.0 if row is None else float(row["seconds"])


async def organizations_after(tx: ReadTx, last: int, most: int) -> list[OrganizationId]:
    """Return organizations by their ids."""
    return [OrganizationId(row["id"]) for row in await tx.all(_ORGANIZATIONS, (last, most))]


async def take_portal_keys(tx: WriteTx, organization_id: OrganizationId, key: str) -> list[DictRow]:
    """Hold the portal keys that are sealed by another data key than this one."""
    return await tx.all(_TAKE_KEYS, (organization_id, key))


async def seal_portal_key(tx: WriteTx, organization_id: OrganizationId, kid: str, sealed: str) -> None:
    """Write a portal key sealed anew."""
    await tx.execute(_SEAL_KEY, (sealed, organization_id, kid))


async def take_facts(tx: WriteTx, organization_id: OrganizationId, key: str) -> list[DictRow]:
    """Hold the facts that are sealed for an organization by another data key than this one."""
    return await tx.all(_TAKE_FACTS, (str(organization_id), key))


async def shred(tx: WriteTx, organization_id: OrganizationId) -> bool:
    """Destroy an organization's keys and the ways in; False when there is none of this id. May be repeated."""
    if await tx.one(_SHRED, (organization_id,)) is None:
        return False
    for statement in (_DROP_DATA_KEYS, _DROP_PORTAL_KEYS, _DROP_TOKENS):
        await tx.execute(statement, (organization_id,))
    return True


async def stop_everything(tx: WriteTx, organization_id: OrganizationId) -> None:
    """Switch an organization's webhooks and scenarios off, on its shard."""
    await tx.execute(_STOP_HOOKS, (organization_id,))
    await tx.execute(_STOP_SCENARIOS, (organization_id,))
