"""Every statement on hooks' settings."""

from psycopg.rows import DictRow

from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import HookId, OrganizationId, TeamId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

MOST_LISTED = 10_000
_LIST = """
SELECT id, team_id, name, type_name, scenario_id, enabled, settings, token_sealed FROM shard.hooks
WHERE organization_id = %s AND team_id = %s ORDER BY id LIMIT %s
"""
_GET = """
SELECT id, team_id, name, type_name, scenario_id, enabled, settings, token_sealed FROM shard.hooks
WHERE organization_id = %s AND id = %s
"""
_LOCK = _GET + "FOR UPDATE"
_SET = "UPDATE shard.hooks SET settings = %s, name = %s, enabled = %s WHERE organization_id = %s AND id = %s"
_DELETE = "DELETE FROM shard.hooks WHERE organization_id = %s AND id = %s AND scenario_id IS NULL"


async def list_hooks(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> list[DictRow]:
    """Return a team's hooks."""
    return await tx.all(_LIST, (organization_id, team_id, MOST_LISTED))


async def get(tx: ReadTx, organization_id: OrganizationId, hook_id: HookId) -> DictRow:
    """Return a hook; raises NotFound."""
    return _found(await tx.one(_GET, (organization_id, hook_id)))


async def lock(tx: WriteTx, organization_id: OrganizationId, hook_id: HookId) -> DictRow:
    """Return a hook and hold its row until the transaction ends."""
    return _found(await tx.one(_LOCK, (organization_id, hook_id)))


async def edit(
    tx: WriteTx, organization_id: OrganizationId, hook_id: HookId, *, settings: bytes, name: str, enabled: bool
) -> None:
    """Write a hook's settings, its name and whether it takes calls."""
    await tx.execute(_SET, (settings, name, enabled, organization_id, hook_id))


async def delete(tx: WriteTx, organization_id: OrganizationId, hook_id: HookId) -> bool:
    """Remove a hook; False when a scenario has it."""
    return await tx.execute(_DELETE, (organization_id, hook_id)) == 1


def _found(row: DictRow | None) -> DictRow:
    if row is None:
        raise NotFound("There is no such webhook.")
    return row
