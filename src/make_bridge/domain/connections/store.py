"""The rows of connections and keys. Secrets stand in them sealed, and leave only through ``sealed``.

Every statement names the organization besides the row-level policy.
"""

from dataclasses import dataclass
from typing import Final

from psycopg.rows import DictRow

from make_bridge.domain.connections.messages import Component
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ComponentId, OrganizationId, TeamId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

# The id is a part of what the secret is sealed for, so it is drawn first.
_NEW_ID: Final = "SELECT shard.new_id() AS id"
_INSERT: Final = """
INSERT INTO shard.connections (id, organization_id, team_id, kind, type, name, state, secret_sealed)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
_GET: Final = """
SELECT id, team_id, kind, type, name, state, secret_sealed FROM shard.connections
WHERE organization_id = %s AND id = %s
"""
_LIST: Final = """
SELECT id, team_id, kind, type, name, state FROM shard.connections
WHERE organization_id = %(organization)s AND team_id = %(team)s
    AND (%(kind)s::text IS NULL OR kind = %(kind)s) AND (%(type)s::text IS NULL OR type = %(type)s)
ORDER BY id LIMIT 1000
"""
_LOCK: Final = _GET + "FOR UPDATE"
_EDIT: Final = """
UPDATE shard.connections SET name = %s, secret_sealed = %s, updated_at = now() WHERE organization_id = %s AND id = %s
"""
_DELETE: Final = "DELETE FROM shard.connections WHERE organization_id = %s AND id = %s"
_SET_STATE: Final = """
UPDATE shard.connections SET state = %s, updated_at = now() WHERE organization_id = %s AND id = %s
"""
_UNKNOWN: Final = "There is no such connection or key."


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedComponent:
    """A connection or key with its secret, still sealed."""

    component: Component
    sealed: str

    def __repr__(self) -> str:
        """Show no secret."""
        return f"SealedComponent({self.component.id})"


@dataclass(frozen=True, slots=True)
class ComponentStore:
    """Connections and keys of one organization, inside the transaction given."""

    async def new_id(self, tx: WriteTx) -> ComponentId:
        """Draw the id of a new component."""
        rows = await tx.all(_NEW_ID)
        return ComponentId(rows[0]["id"])

    async def insert(self, tx: WriteTx, organization_id: OrganizationId, new: SealedComponent) -> None:
        """Write a new component."""
        made = new.component
        values = (made.id, organization_id, made.team_id, made.kind, made.type, made.name, made.state, new.sealed)
        await tx.execute(_INSERT, values)

    async def get(self, tx: ReadTx, organization_id: OrganizationId, component_id: ComponentId) -> SealedComponent:
        """Return a component; raises NotFound."""
        row = await tx.one(_GET, (organization_id, component_id))
        if row is None:
            raise NotFound(_UNKNOWN)
        return SealedComponent(component=_component(row), sealed=row["secret_sealed"])

    async def lock(self, tx: WriteTx, organization_id: OrganizationId, component_id: ComponentId) -> SealedComponent:
        """Return a component and hold its row until the transaction ends; raises NotFound."""
        row = await tx.one(_LOCK, (organization_id, component_id))
        if row is None:
            raise NotFound(_UNKNOWN)
        return SealedComponent(component=_component(row), sealed=row["secret_sealed"])

    async def edit(self, tx: WriteTx, organization_id: OrganizationId, changed: SealedComponent) -> None:
        """Write a component's name and its values."""
        component = changed.component
        await tx.execute(_EDIT, (component.name, changed.sealed, organization_id, component.id))

    async def set_state(
        self, tx: WriteTx, organization_id: OrganizationId, component_id: ComponentId, state: str
    ) -> None:
        """Say whether a connection can be used."""
        await tx.execute(_SET_STATE, (state, organization_id, component_id))

    async def delete(self, tx: WriteTx, organization_id: OrganizationId, component_id: ComponentId) -> None:
        """Remove a component."""
        await tx.execute(_DELETE, (organization_id, component_id))

    async def list(
        self,
        tx: ReadTx,
        organization_id: OrganizationId,
        team_id: TeamId,
        *,
        kind: str | None = None,
        type_name: str | None = None,
    ) -> list[Component]:
        """Return a team's components, oldest first."""
        parameters = {"organization": organization_id, "team": team_id, "kind": kind, "type": type_name}
        return [_component(row) for row in await tx.all(_LIST, parameters)]


def _component(row: DictRow) -> Component:
    return Component(
        id=row["id"],
        team_id=row["team_id"],
        kind=row["kind"],
        type=row["type"],
        name=row["name"],
        state=row["state"],
    )
