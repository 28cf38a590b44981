"""Setting what an organization keeps: the operator's affair, or that of who may change the organization."""

from typing import Any

from make_bridge.domain.storage import store
from make_bridge.domain.storage.messages import SetStorageLimits, StorageLimits
from make_bridge.domain.storage.model import checked_bytes, checked_days
from make_bridge.kernel.errors import PermissionDenied
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork


async def set_limits(work: UnitOfWork, command: SetStorageLimits) -> StorageLimits:
    """Set it; raises InvalidInput, PermissionDenied for who is bound to one team."""
    if work.context.team_id is not None:
        raise PermissionDenied("What is kept is said of the whole organization: leave teamId out.")
    organization_id = work.context.organization_id
    limits = StorageLimits(days=checked_days(command.limits.days), bytes=checked_bytes(command.limits.bytes))
    before = await store.limits_of(work.tx, organization_id)
    await store.set_limits(work.tx, organization_id, limits)
    work.touch(f"organization/{organization_id}", days=limits.days, bytes=limits.bytes)
    work.change(before=before, after=limits)
    return limits


def commands() -> list[CommandRegistration[Any, Any]]:
    """Return the slice's commands for the composition root."""
    return [
        CommandRegistration(
            command=SetStorageLimits,
            handler=set_limits,
            result=StorageLimits,
            permission="organizations:write",
            action="organization.set_storage_limits",
            audited=frozenset({"days", "bytes"}),
        )
    ]
