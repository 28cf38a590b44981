"""Redis in front of the used tokens: a token that was used is refused without asking the database.

``boot`` puts it before ``keys.TokenLedger`` where there is a Redis. Redis may say "used", and is believed; whatever
else it says, or does not say, the database decides as ever. So a Redis that forgot everything lets no token in twice.
A mark is taken back when the database has decided nothing, since nobody was let in then.
"""

from datetime import datetime
from typing import Protocol

from redis.asyncio import Redis

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.observability.metrics import RedisCounters
from make_bridge.platform.redis.client import RedisClient

_MILLISECONDS = 1000


class Ledger(Protocol):
    """The authority over used tokens."""

    async def consume(self, kid: str, jti: str, organization_id: OrganizationId, expires_at: datetime) -> bool:
        """Use a token; True for the first use only."""
        ...


class FrontedLedger:
    """See the module; itself a ``Ledger``."""

    def __init__(self, ledger: Ledger, redis: RedisClient, counters: RedisCounters) -> None:
        """Ask ``redis`` first, and ``ledger`` whenever that does not say "used"."""
        self._ledger = ledger
        self._redis = redis
        self._counters = counters

    async def consume(self, kid: str, jti: str, organization_id: OrganizationId, expires_at: datetime) -> bool:
        """Use a token; True for the first use only."""
        key = self._redis.key("used", organization_id, kid, jti)
        until = int(expires_at.timestamp() * _MILLISECONDS)

        async def mark(redis: Redis) -> bool:
            return bool(await redis.set(key, 1, nx=True, pxat=until))

        is_new = await self._redis.call(mark)
        if is_new is False:
            self._counters.tokens_seen.inc()
            return False
        try:
            return await self._ledger.consume(kid, jti, organization_id, expires_at)
        except BaseException:
            if is_new:
                await self._redis.call(lambda redis: redis.delete(key))
            raise
