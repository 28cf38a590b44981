"""Every statement on hooks' settings, and on what they learn."""

from collections.abc import Mapping
from typing import Any

import msgspec
from psycopg.rows import DictRow

from make_bridge.domain.scenarios.learning import LearningLimits, decode_learned, encode_learned, with_call
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import HookId, OrganizationId, TeamId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

MOST_LISTED = 10_000
_LIST = """
SELECT id, team_id, name, type_name, scenario_id, enabled, settings, token_sealed FROM shard.hooks
WHERE organization_id = %s AND team_id = %s ORDER BY id LIMIT %s
"""
_GET = """
SELECT id, team_id, name, type_name, scenario_id, enabled, settings, token_sealed, learned FROM shard.hooks
WHERE organization_id = %s AND id = %s
"""
_LOCK = _GET + "FOR UPDATE"
_SET = "UPDATE shard.hooks SET settings = %s, name = %s, enabled = %s WHERE organization_id = %s AND id = %s"
_FORGET_LEARNED = "UPDATE shard.hooks SET learned = NULL WHERE organization_id = %s AND id = %s"
_LEARNING = "SELECT settings, learned FROM shard.hooks WHERE organization_id = %s AND id = %s FOR UPDATE"
_SET_LEARNED = "UPDATE shard.hooks SET learned = %s, settings = %s WHERE organization_id = %s AND id = %s"
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


async def forget_learned(tx: WriteTx, organization_id: OrganizationId, hook_id: HookId) -> None:
    """Forget what a hook has learned."""
    await tx.execute(_FORGET_LEARNED, (organization_id, hook_id))


async def learn(
    tx: WriteTx, organization_id: OrganizationId, hook_id: HookId, bundle: Mapping[str, Value], limits: LearningLimits
) -> None:
    """Add a call to what a hook has learned, and end its learning when that was enough of them."""
    row = await tx.one(_LEARNING, (organization_id, hook_id))
    if row is None:
        return
    settings = msgspec.json.decode(bytes(row["settings"]), type=dict[str, Any])
    if not settings.get("learning"):
        return
    learned = with_call(decode_learned(row["learned"]), bundle, limits)
    settings["learning"] = learned.calls < limits.calls
    row_of_it = (encode_learned(learned), msgspec.json.encode(settings), organization_id, hook_id)
    await tx.execute(_SET_LEARNED, row_of_it)


async def delete(tx: WriteTx, organization_id: OrganizationId, hook_id: HookId) -> bool:
    """Remove a hook; False when a scenario has it."""
    return await tx.execute(_DELETE, (organization_id, hook_id)) == 1


def _found(row: DictRow | None) -> DictRow:
    if row is None:
        raise NotFound("There is no such webhook.")
    return row
