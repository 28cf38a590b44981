"""What can be read of what runs take: the sums of the days that were measured."""

from dataclasses import dataclass
from typing import Any

from make_bridge.domain.storage import store
from make_bridge.domain.storage.messages import GetStored, Stored
from make_bridge.domain.storage.model import StorageConfig, in_force
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import PermissionDenied
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.database.transactions import ReadTx


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageViews:
    """The view; ``config`` has what holds for who was given nothing of its own."""

    config: StorageConfig

    async def get_stored(self, tx: ReadTx, context: Context, _query: GetStored) -> Stored:
        """Answer GetStored."""
        if context.team_id is not None:
            raise PermissionDenied("This is told of the whole organization, not of one team.")
        limits = await store.limits_of(tx, context.organization_id)
        days, most_bytes = in_force(limits, self.config)
        sums = await store.stored(tx, context.organization_id)
        return Stored(limits=limits, days=days, most_bytes=most_bytes, **sums)

    def queries(self) -> list[QueryRegistration[Any, Any]]:
        """Return the slice's queries for the composition root."""
        return [QueryRegistration(query=GetStored, view=self.get_stored, permission="usage:read")]
