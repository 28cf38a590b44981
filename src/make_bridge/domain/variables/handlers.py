"""What changes custom variables. Who changed what is kept beside them; the audit trail holds names, not values."""

from dataclasses import dataclass
from typing import Any

from make_bridge.domain.customers import store as customer_store
from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.variables import store
from make_bridge.domain.variables.messages import Act, ChangeVariable, CreateVariable, DeleteVariable, Variable
from make_bridge.domain.variables.model import VariableLimits, checked_name, checked_type, checked_value
from make_bridge.kernel.errors import Conflict, NotFound, PermissionDenied
from make_bridge.kernel.ids import TeamId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork

_AUDITED = frozenset({"name", "type_id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableHandlers:
    """The handlers."""

    limits: VariableLimits

    async def create(self, work: UnitOfWork, command: CreateVariable) -> Variable:
        """Make one; raises InvalidInput, Conflict for a name that is taken and at the limit, and NotFound."""
        await self._lock(work, command.team_id)
        name, kind = checked_name(command.name, command.team_id), checked_type(command.type_id)
        value = checked_value(kind, command.value, self.limits)
        if await self._find(work, command.team_id, name) is not None:
            raise Conflict(f"There is a variable {name} already.", code="variable_exists")
        if await store.count(work.tx, work.context.organization_id, command.team_id) >= self.limits.variables:
            message = f"There are at most {self.limits.variables} variables: delete one that nobody needs."
            raise Conflict(message, code="variables_limit")
        made = Variable(team_id=command.team_id, name=name, type_id=kind.value, value=value)
        await store.put(work.tx, work.context.organization_id, made)
        await self._note(work, "create", None, made)
        return made

    async def change(self, work: UnitOfWork, command: ChangeVariable) -> Variable:
        """Change one; the next run reads it so."""
        await self._lock(work, command.team_id)
        before = await self._known(work, command.team_id, command.name)
        kind = checked_type(before.type_id if command.type_id is None else command.type_id)
        value = checked_value(kind, before.value if command.value is None else command.value, self.limits)
        after = Variable(team_id=before.team_id, name=before.name, type_id=kind.value, value=value)
        await store.put(work.tx, work.context.organization_id, after)
        await self._note(work, "update", before, after)
        return after

    async def delete(self, work: UnitOfWork, command: DeleteVariable) -> None:
        """Remove one."""
        await self._lock(work, command.team_id)
        known = await self._known(work, command.team_id, command.name)
        await store.delete(work.tx, work.context.organization_id, known.team_id, known.name)
        await self._note(work, "delete", known, None)

    async def _lock(self, work: UnitOfWork, team_id: TeamId | None) -> None:
        if team_id is None:
            if work.context.team_id is not None:
                raise PermissionDenied("These variables are the whole organization's: leave teamId out.")
        else:
            require_sight(work.context, team_id)
            await customer_store.require_team(work.tx, work.context.organization_id, team_id)
        await store.lock(work.tx, work.context.organization_id)

    async def _find(self, work: UnitOfWork, team_id: TeamId | None, name: str) -> Variable | None:
        return await store.find(work.tx, work.context.organization_id, team_id, name)

    async def _known(self, work: UnitOfWork, team_id: TeamId | None, name: str) -> Variable:
        known = await self._find(work, team_id, name)
        if known is None:
            raise NotFound("There is no such variable.")
        return known

    async def _note(self, work: UnitOfWork, act: Act, before: Variable | None, after: Variable | None) -> None:
        context = work.context
        await store.note(work.tx, context.organization_id, act, before, after, context.actor, most=self.limits.changes)
        variable = after or before
        if variable is not None:
            holder = "organization" if variable.team_id is None else f"team/{variable.team_id}"
            work.touch(f"variable/{holder}/{variable.name}")
            work.change(before=before, after=after)


def commands(limits: VariableLimits) -> list[CommandRegistration[Any, Any]]:
    """Return the slice's commands for the composition root."""
    handlers, write = VariableHandlers(limits=limits), "variables:write"
    return [
        CommandRegistration(
            command=CreateVariable,
            handler=handlers.create,
            result=Variable,
            permission=write,
            action="variable.create",
            audited=_AUDITED,
        ),
        CommandRegistration(
            command=ChangeVariable,
            handler=handlers.change,
            result=Variable,
            permission=write,
            action="variable.change",
            audited=_AUDITED,
        ),
        CommandRegistration(
            command=DeleteVariable,
            handler=handlers.delete,
            result=None,
            permission=write,
            action="variable.delete",
            audited=_AUDITED,
        ),
    ]
