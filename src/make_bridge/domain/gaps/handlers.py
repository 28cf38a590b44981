"""Saying what is expected of a webhook."""

from typing import Any

from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.gaps import store
from make_bridge.domain.gaps.messages import Expectation, ExpectCalls
from make_bridge.domain.gaps.model import checked_expectation
from make_bridge.domain.scenarios import hook_store
from make_bridge.kernel.errors import InvalidInput
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork


async def expect(work: UnitOfWork, command: ExpectCalls) -> Expectation:
    """Set it; raises NotFound, InvalidInput. A webhook is silent at the earliest so long after this."""
    organization_id, hook_id = work.context.organization_id, command.hook_id
    row = await hook_store.lock(work.tx, organization_id, hook_id)
    require_sight(work.context, row["team_id"])
    if (command.mode == "expected") != (command.seconds is not None):
        sentence = "Give 'seconds' with the mode 'expected', and with no other."
        raise InvalidInput(sentence, fields={"seconds": sentence})
    seconds = None if command.seconds is None else checked_expectation(command.seconds)
    await store.expect(work.tx, organization_id, hook_id, command.mode, seconds)
    work.touch(f"hook/{hook_id}", mode=command.mode, seconds=seconds)
    return Expectation(hook_id=hook_id, mode=command.mode, seconds=seconds)


def commands() -> list[CommandRegistration[Any, Any]]:
    """Return the slice's commands for the composition root."""
    return [
        CommandRegistration(
            command=ExpectCalls,
            handler=expect,
            result=Expectation,
            permission="scenarios:write",
            action="hook.expect",
            audited=frozenset({"mode", "seconds"}),
        )
    ]
