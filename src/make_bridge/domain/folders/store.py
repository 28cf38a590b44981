"""The rows of folders. Every statement names the organization besides the row-level policy.

That a folder, the one it stands in and the scenarios in it are one team's, foreign keys over both columns hold.
"""

from typing import Final

from psycopg.rows import DictRow

from make_bridge.domain.folders.messages import FolderId
from make_bridge.domain.folders.model import FolderRow
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_ALL: Final = """
SELECT f.id, f.team_id, f.parent_id, f.name, (
    SELECT count(*) FROM shard.scenarios s WHERE s.organization_id = f.organization_id AND s.folder_id = f.id
) AS scenarios
FROM shard.scenario_folders f WHERE f.organization_id = %s AND f.team_id = %s
"""
# Changes to a team's folders come one after the other; it does not hinder what else hangs a row on the team.
_LOCK_TEAM: Final = "SELECT id FROM shard.teams WHERE organization_id = %s AND id = %s FOR NO KEY UPDATE"
_TEAM_OF: Final = "SELECT team_id FROM shard.scenario_folders WHERE organization_id = %s AND id = %s"
_HOLD: Final = """
SELECT id FROM shard.scenario_folders WHERE organization_id = %s AND id = %s AND team_id = %s FOR KEY SHARE
"""
# Whoever puts a scenario into the folder at this moment is waited for, or waits and finds it gone.
_LOCK: Final = "SELECT id FROM shard.scenario_folders WHERE organization_id = %s AND id = %s FOR UPDATE"
_INSERT: Final = """
INSERT INTO shard.scenario_folders (organization_id, team_id, parent_id, name) VALUES (%s, %s, %s, %s) RETURNING id
"""
_UPDATE: Final = """
UPDATE shard.scenario_folders SET name = %s, parent_id = %s, updated_at = now() WHERE organization_id = %s AND id = %s
"""
_MOVE_FOLDERS: Final = """
UPDATE shard.scenario_folders SET parent_id = %s WHERE organization_id = %s AND parent_id = %s
"""
_MOVE_SCENARIOS: Final = "UPDATE shard.scenarios SET folder_id = %s WHERE organization_id = %s AND folder_id = %s"
_DELETE: Final = "DELETE FROM shard.scenario_folders WHERE organization_id = %s AND id = %s"


async def all_of(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> list[FolderRow]:
    """Return every folder of a team: the limit of their number bounds it."""
    return [_row(row) for row in await tx.all(_ALL, (organization_id, team_id))]


async def lock_team(tx: WriteTx, organization_id: OrganizationId, team_id: TeamId) -> None:
    """Keep others from changing the team's folders until the transaction ends; raises NotFound."""
    if await tx.one(_LOCK_TEAM, (organization_id, team_id)) is None:
        raise NotFound("There is no such team.")


async def team_of(tx: ReadTx, organization_id: OrganizationId, folder_id: FolderId) -> TeamId:
    """Return whose a folder is; raises NotFound."""
    row = await tx.one(_TEAM_OF, (organization_id, folder_id))
    if row is None:
        raise NotFound("There is no such folder.")
    return TeamId(row["team_id"])


async def require(tx: ReadTx, organization_id: OrganizationId, folder_id: FolderId, team_id: TeamId | None) -> None:
    """Raise NotFound unless the folder is the organization's, and the team's when one is given."""
    if await team_of(tx, organization_id, folder_id) != team_id and team_id is not None:
        raise NotFound("There is no such folder in this team.")


async def hold(tx: WriteTx, organization_id: OrganizationId, folder_id: FolderId, team_id: TeamId) -> None:
    """Keep a team's folder from being deleted until the transaction ends; raises NotFound."""
    if await tx.one(_HOLD, (organization_id, folder_id, team_id)) is None:
        raise NotFound("There is no such folder in this team.")


async def insert(
    tx: WriteTx, organization_id: OrganizationId, team_id: TeamId, parent_id: FolderId | None, name: str
) -> FolderId:
    """Write a new one."""
    rows = await tx.all(_INSERT, (organization_id, team_id, parent_id, name))
    return FolderId(rows[0]["id"])


async def update(
    tx: WriteTx, organization_id: OrganizationId, folder_id: FolderId, name: str, parent_id: FolderId | None
) -> None:
    """Write name and place."""
    await tx.execute(_UPDATE, (name, parent_id, organization_id, folder_id))


async def delete(tx: WriteTx, organization_id: OrganizationId, folder: FolderRow) -> None:
    """Remove one, after what it holds has moved to where it stood."""
    await tx.one(_LOCK, (organization_id, folder.id))
    await tx.execute(_MOVE_FOLDERS, (folder.parent_id, organization_id, folder.id))
    await tx.execute(_MOVE_SCENARIOS, (folder.parent_id, organization_id, folder.id))
    await tx.execute(_DELETE, (organization_id, folder.id))


def _row(row: DictRow) -> FolderRow:
    return FolderRow(
        id=row["id"],
        team_id=row["team_id"],
        parent_id=row["parent_id"],
        name=row["name"],
        scenarios=row["scenarios"],
    )
