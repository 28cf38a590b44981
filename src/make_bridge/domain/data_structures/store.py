"""The rows of data structures. Every statement names the organization besides the row-level policy."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from psycopg.errors import ForeignKeyViolation
from psycopg.rows import DictRow

from make_bridge.domain.data_structures.messages import DataStructure, DataStructureId
from make_bridge.kernel.errors import Conflict, NotFound
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_COLUMNS: Final = "id, team_id, name, spec, strict"
_INSERT: Final = f"""
INSERT INTO shard.data_structures (organization_id, team_id, name, spec, strict)
VALUES (%s, %s, %s, %s, %s) RETURNING {_COLUMNS}
"""
_GET: Final = f"SELECT {_COLUMNS} FROM shard.data_structures WHERE organization_id = %s AND id = %s"
_LOCK: Final = f"{_GET} FOR UPDATE"
_LIST: Final = f"""
SELECT {_COLUMNS} FROM shard.data_structures WHERE organization_id = %s AND team_id = %s ORDER BY id LIMIT 10000
"""
_UPDATE: Final = f"""
UPDATE shard.data_structures SET name = %s, spec = %s, strict = %s, updated_at = now()
WHERE organization_id = %s AND id = %s RETURNING {_COLUMNS}
"""
_DELETE: Final = "DELETE FROM shard.data_structures WHERE organization_id = %s AND id = %s"
_UNKNOWN: Final = "There is no such data structure."


@dataclass(frozen=True, slots=True)
class DataStructureStore:
    """Data structures of one organization, inside the transaction given."""

    async def insert(self, tx: WriteTx, organization_id: OrganizationId, new: DataStructure) -> DataStructure:
        """Write a new one; its id is drawn here."""
        spec = msgspec.json.encode(new.spec)
        try:
            rows = await tx.all(_INSERT, (organization_id, new.team_id, new.name, spec, new.strict))
        except ForeignKeyViolation as error:
            raise NotFound("This team was deleted a moment ago.") from error
        return _structure(rows[0])

    async def get(self, tx: ReadTx, organization_id: OrganizationId, structure_id: DataStructureId) -> DataStructure:
        """Return one; raises NotFound."""
        return _found(await tx.one(_GET, (organization_id, structure_id)))

    async def lock(self, tx: WriteTx, organization_id: OrganizationId, structure_id: DataStructureId) -> DataStructure:
        """Return one that nobody else changes until the transaction ends; raises NotFound."""
        return _found(await tx.one(_LOCK, (organization_id, structure_id)))

    async def list(self, tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> list[DataStructure]:
        """Return a team's structures, oldest first."""
        return [_structure(row) for row in await tx.all(_LIST, (organization_id, team_id))]

    async def update(self, tx: WriteTx, organization_id: OrganizationId, changed: DataStructure) -> DataStructure:
        """Write name, description and strictness."""
        spec = msgspec.json.encode(changed.spec)
        values = (changed.name, spec, changed.strict, organization_id, changed.id)
        return _found(await tx.one(_UPDATE, values))

    async def delete(self, tx: WriteTx, organization_id: OrganizationId, structure_id: DataStructureId) -> None:
        """Remove one; raises Conflict while a data store uses it."""
        try:
            await tx.execute(_DELETE, (organization_id, structure_id))
        except ForeignKeyViolation as error:
            message = "A data store uses this data structure: give it another one, or none, and then delete this."
            raise Conflict(message, code="data_structure_in_use") from error


def _found(row: DictRow | None) -> DataStructure:
    if row is None:
        raise NotFound(_UNKNOWN)
    return _structure(row)


def _structure(row: DictRow) -> DataStructure:
    return DataStructure(
        id=row["id"],
        team_id=row["team_id"],
        name=row["name"],
        spec=msgspec.json.decode(bytes(row["spec"]), type=list[dict[str, Any]]),
        strict=row["strict"],
    )
