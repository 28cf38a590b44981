"""Refused permissions: who asked for what they may not do has a row in the trail, though nothing was done.

The gates of the APIs and both buses write it, in a transaction of its own. Only those who have shown who they are get
this far, and their rate limit bounds how often; what strangers try stands in the log alone. When the row cannot be
written the refusal stands all the same, and the log says so.
"""

import structlog

from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import BridgeError, PermissionDenied
from make_bridge.platform.audit import record
from make_bridge.platform.audit.record import AuditRecord
from make_bridge.platform.database.shards import Shards

ACTION = "permission.refused"
_log = structlog.get_logger(__name__)


class Refusals:
    """Writes them."""

    def __init__(self, shards: Shards) -> None:
        """Write to the shard of whoever was refused."""
        self._shards = shards

    async def note(self, context: Context, attempt: str, error: PermissionDenied) -> None:
        """Write that ``attempt`` (an act, a query or a route) was refused."""
        refused = AuditRecord(
            context=context, action=ACTION, object=attempt, detail=record.bounded({"reason": error.message})
        )
        try:
            shard = await self._shards.of(context.organization_id)
            async with shard.write(context.organization_id) as tx:
                await record.insert(tx, "shard", refused)
        except BridgeError as failure:
            _log.warning("refusal_not_audited", organization_id=context.organization_id, error=failure.message)
