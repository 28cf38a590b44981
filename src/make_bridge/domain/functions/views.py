"""What can be read of custom functions."""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.functions.messages import (
    Change,
    CustomFunction,
    GetFunction,
    GetFunctionHistory,
    ListFunctions,
    Use,
)
from make_bridge.domain.functions.store import FunctionStore
from make_bridge.engine.blueprint.called_functions import functions_called
from make_bridge.engine.blueprint.parse import parse_blueprint
from make_bridge.kernel.context import Context
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx

_PORTION: Final = 20
_MOST_USES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionViews:
    """The views."""

    functions: FunctionStore = field(default_factory=FunctionStore)

    async def list_functions(self, tx: ReadTx, context: Context, query: ListFunctions) -> list[CustomFunction]:
        """Answer ListFunctions; raises NotFound for a team out of sight."""
        require_sight(context, query.team_id)
        return await self.functions.of_team(tx, context.organization_id, query.team_id)

    async def get_function(self, tx: ReadTx, context: Context, query: GetFunction) -> CustomFunction:
        """Answer GetFunction; raises NotFound."""
        found = await self.functions.get(tx, context.organization_id, query.function_id)
        require_sight(context, found.team_id)
        return replace(found, scenarios=await self._uses(tx, context, found))

    async def get_history(self, tx: ReadTx, context: Context, query: GetFunctionHistory) -> list[Change]:
        """Answer GetFunctionHistory; raises NotFound."""
        found = await self.functions.get(tx, context.organization_id, query.function_id)
        require_sight(context, found.team_id)
        return await self.functions.history(tx, context.organization_id, found.id)

    async def _uses(self, tx: ReadTx, context: Context, function: CustomFunction) -> tuple[Use, ...]:
        """Return the first scenarios that call it; a few blueprints at a time, because they may be large."""
        uses: list[Use] = []
        after = 0
        while len(uses) < _MOST_USES:
            found = await self.functions.mentions(tx, context.organization_id, function, after=after, most=_PORTION)
            uses += [Use(id=each.id, name=each.name) for each in found if _calls(each.blueprint, function.name)]
            if len(found) < _PORTION:
                break
            after = found[-1].id
        return tuple(uses[:_MOST_USES])


def _calls(blueprint: bytes, name: str) -> bool:
    return any(name in names for names in functions_called(parse_blueprint(blueprint)).values())


def queries() -> list[QueryRegistration[Any, Any]]:
    """Return the slice's queries for the composition root."""
    views, read = FunctionViews(), "functions:read"
    return [
        QueryRegistration(query=ListFunctions, view=views.list_functions, permission=read, may_lag=True),
        QueryRegistration(query=GetFunction, view=views.get_function, permission=read),
        QueryRegistration(query=GetFunctionHistory, view=views.get_history, permission=read, may_lag=True),
    ]
