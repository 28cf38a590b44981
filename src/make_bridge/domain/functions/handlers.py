"""What changes custom functions."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from make_bridge.domain.customers import store as customer_store
from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.functions.messages import (
    CreateFunction,
    CustomFunction,
    DeleteFunction,
    FunctionId,
    UpdateFunction,
)
from make_bridge.domain.functions.model import FunctionLimits, checked_description, checked_name, require_room
from make_bridge.domain.functions.store import FunctionStore
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork

_AUDITED: Final = frozenset({"name", "args", "description", "code"})
_UNBORN: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionHandlers:
    """The handlers."""

    limits: FunctionLimits = field(default_factory=FunctionLimits)
    functions: FunctionStore = field(default_factory=FunctionStore)

    async def create(self, work: UnitOfWork, command: CreateFunction) -> CustomFunction:
        """Make one; raises InvalidInput, Conflict for a name that is taken or at the limit, NotFound for the team."""
        organization_id = work.context.organization_id
        require_sight(work.context, command.team_id)
        # Two at once would both find room: they wait for each other at the team.
        await customer_store.lock_team(work.tx, organization_id, command.team_id)
        await customer_store.require_team(work.tx, organization_id, command.team_id)
        new = CustomFunction(
            id=FunctionId(0),
            team_id=command.team_id,
            name=checked_name(command.name, command.code.name),
            args=command.code.args,
            description=checked_description(command.description),
            code=command.code.code,
            author=command.author,
            created_at=_UNBORN,
            updated_at=_UNBORN,
        )
        require_room(await self.functions.count(work.tx, organization_id, command.team_id), self.limits)
        made = await self.functions.insert(work.tx, organization_id, new)
        work.touch(f"function/{made.id}", team=made.team_id)
        work.change(after=made)
        return made

    async def update(self, work: UnitOfWork, command: UpdateFunction) -> CustomFunction:
        """Change one; code that is another goes into the history. The name stays: blueprints have it."""
        organization_id = work.context.organization_id
        known = await self._lock(work, command.function_id)
        changed = known
        if command.description is not None:
            changed = replace(changed, description=checked_description(command.description))
        if command.code is not None:
            checked_name(known.name, command.code.name)
            changed = replace(changed, args=command.code.args, code=command.code.code)
        if changed.code != known.code:
            await self.functions.note(work.tx, organization_id, known, command.author, kept=self.limits.changes)
        changed = await self.functions.update(work.tx, organization_id, changed)
        work.touch(f"function/{known.id}", team=known.team_id)
        work.change(before=known, after=changed)
        return changed

    async def delete(self, work: UnitOfWork, command: DeleteFunction) -> None:
        """Remove one with its history."""
        known = await self._lock(work, command.function_id)
        await self.functions.delete(work.tx, work.context.organization_id, known.id)
        work.touch(f"function/{known.id}", team=known.team_id)
        work.change(before=known)

    async def _lock(self, work: UnitOfWork, function_id: FunctionId) -> CustomFunction:
        known = await self.functions.lock(work.tx, work.context.organization_id, function_id)
        require_sight(work.context, known.team_id)
        return known


def commands(limits: FunctionLimits) -> list[CommandRegistration[Any, Any]]:
    """Return the slice's commands for the composition root."""
    handlers, write = FunctionHandlers(limits=limits), "functions:write"
    return [
        CommandRegistration(
            command=CreateFunction, handler=handlers.create, result=CustomFunction, permission=write,
            action="function.create", audited=_AUDITED,
        ),
        CommandRegistration(
            command=UpdateFunction, handler=handlers.update, result=CustomFunction, permission=write,
            action="function.update", audited=_AUDITED,
        ),
        CommandRegistration(
            command=DeleteFunction, handler=handlers.delete, result=None, permission=write,
            action="function.delete", audited=_AUDITED,
        ),
    ]  # fmt: skip
