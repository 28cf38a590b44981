"""Screening: known attack strings in requests of the APIs and the console are told, and never refused.

Off unless ``input_screening`` is ``report``. Asked by the gates once they know who sends a request; what strangers send
is refused anyway and stands in the log. What was sent is never written, only which kinds of words were in it: in the
log, and for so many requests of an organization in an hour as a row of its audit trail. A row that cannot be written
is let go.
"""

from typing import Final

import structlog
from starlette.requests import Request

from make_bridge.kernel.clock import Clock
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.audit import record
from make_bridge.platform.audit.record import AuditRecord
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.limits.local import LocalRateLimit
from make_bridge.platform.limits.port import Rate
from make_bridge.platform.security.probes import kinds_of

ACTION: Final = "probe.seen"
_HOUR: Final = 3600.0
_ORGANIZATIONS: Final = 10_000
_log = structlog.get_logger(__name__)


class Screening:
    """See the module."""

    def __init__(self, shards: Shards, clock: Clock, *, rows_per_hour: int) -> None:
        """Write at most so many rows for each organization; 0 writes none."""
        self._shards = shards
        self._most = rows_per_hour
        rate = Rate(name="probes", most=rows_per_hour, seconds=_HOUR)
        self._rows = LocalRateLimit(rate, clock, keys=_ORGANIZATIONS)

    async def look(self, request: Request, context: Context, route: str, body: bytes) -> None:
        """Tell what kinds of attack strings are in the address and the body of a request."""
        scope = request.scope
        address: bytes = scope.get("raw_path") or scope["path"].encode()
        places = {"address": address + b"?" + scope["query_string"], "body": body}
        seen = {place: kinds for place, text in places.items() if (kinds := kinds_of(text))}
        if not seen:
            return
        _log.warning("probe_seen", organization_id=context.organization_id, route=route, seen=seen)
        if self._most and not self._rows.take(context.organization_id):
            await self._write(context, route, seen)

    async def _write(self, context: Context, route: str, seen: dict[str, list[str]]) -> None:
        row = AuditRecord(context=context, action=ACTION, object=route, detail=record.bounded(dict(seen)))
        try:
            shard = await self._shards.of(context.organization_id)
            async with shard.write(context.organization_id) as tx:
                await record.insert(tx, "shard", row)
        except BridgeError as failure:
            _log.warning("probe_not_audited", organization_id=context.organization_id, error=failure.message)
