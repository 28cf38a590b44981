"""What can be read of custom variables."""

from dataclasses import dataclass
from typing import Any

from make_bridge.domain.customers import store as customer_store
from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.organizations.zones import Zones
from make_bridge.domain.variables import store
from make_bridge.domain.variables.messages import ListVariableChanges, ListVariables, Variable, VariableChange
from make_bridge.domain.variables.model import Type
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import TeamId
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableViews:
    """The views; ``zones`` tells one of the system's own."""

    zones: Zones

    async def list_variables(self, tx: ReadTx, context: Context, query: ListVariables) -> list[Variable]:
        """Answer ListVariables; raises NotFound for a team out of sight."""
        await _require_team(tx, context, query.team_id)
        own = await store.list_of(tx, context.organization_id, query.team_id)
        return [*await self._of_system(context, query.team_id), *own]

    async def list_changes(self, tx: ReadTx, context: Context, query: ListVariableChanges) -> list[VariableChange]:
        """Answer ListVariableChanges; raises NotFound for a variable that there never was."""
        await _require_team(tx, context, query.team_id)
        found = await store.changes(tx, context.organization_id, query.team_id, query.name)
        if not found and await store.find(tx, context.organization_id, query.team_id, query.name) is None:
            raise NotFound("There is no such variable.")
        return found

    async def _of_system(self, context: Context, team_id: TeamId | None) -> list[Variable]:
        number, text = Type.NUMBER.value, Type.STRING.value
        if team_id is not None:
            return [Variable(team_id=team_id, name="id", type_id=number, value=team_id, is_system=True)]
        zone = (await self.zones.of(context.organization_id)).key
        return [
            Variable(team_id=None, name="id", type_id=number, value=context.organization_id, is_system=True),
            Variable(team_id=None, name="timezone", type_id=text, value=zone, is_system=True),
        ]

    def queries(self) -> list[QueryRegistration[Any, Any]]:
        """Return the slice's queries for the composition root."""
        read = "variables:read"
        return [
            QueryRegistration(query=ListVariables, view=self.list_variables, permission=read, may_lag=True),
            QueryRegistration(query=ListVariableChanges, view=self.list_changes, permission=read, may_lag=True),
        ]


async def _require_team(tx: ReadTx, context: Context, team_id: TeamId | None) -> None:
    if team_id is not None:
        require_sight(context, team_id)
        await customer_store.require_team(tx, context.organization_id, team_id)
