"""Connections that no run uses keep their consent: their tokens are renewed now and then, before the provider lets go.

Runs renew what they use (``keeping``). A connection whose scenario runs twice a year would lose its consent meanwhile,
because many providers let a refresh token die that was not used for some weeks or months. So one process for each
shard, the leader, looks for connections whose tokens were got longer ago than ``idle_seconds`` and has the keeper renew
them, a few at a time, in rounds with a pause: who fails is met again in the next round and keeps nobody waiting.

The leader decides only who looks. What keeps two renewals apart is the grant's own fence and lease, as for runs: a
leader that slept past its term, or a run that needs the token now, shares one call with this or finds it done.
When a connection's turn comes is spread over the last fifth of the time, so that those made in one hour are not due in
one hour for ever.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from make_bridge.domain.oauth import idle_store
from make_bridge.domain.oauth.idle_store import IdleGrant
from make_bridge.domain.oauth.keeping import TokenKeeper, TokenLost
from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.coordination.leadership import leases
from make_bridge.platform.coordination.port import CandidacyOf
from make_bridge.platform.coordination.tenure import Tenure
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.observability.metrics.loops import LATE_AFTER
from make_bridge.platform.sharding.following import PerShard

DUTY: Final = "oauth"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleConfig:
    """``node`` is unique among processes; 0 ``idle_seconds`` renews nothing that no run asks for.

    Where ``candidacy_of`` gives no other way, a lease decides who leads.
    """

    node: str
    idle_seconds: float = 86_400.0
    at_once: int = 4
    look_seconds: float = 4.0
    round_seconds: float = 900.0
    candidacy_of: CandidacyOf | None = None


class IdleRenewal:
    """The loops of all shards of one process."""

    def __init__(self, shards: Shards, keeper: TokenKeeper, metrics: Metrics, config: IdleConfig) -> None:
        """``keeper`` renews."""
        self._shards = shards
        self._is_on = config.idle_seconds > 0
        self.loops = PerShard(partial(ShardRenewal, keeper=keeper, metrics=metrics, config=config))

    async def start(self) -> None:
        """Begin looking."""
        if self._is_on:
            await self._shards.follow(self)

    async def stop(self) -> None:
        """Stop, and let another process lead at once; what the keeper has begun it ends."""
        await self._shards.leave(self)

    async def begin(self, shard: Shard) -> None:
        """Begin looking on a shard."""
        self.loops[shard].start()

    async def end(self, shard: Shard) -> None:
        """Stop on one shard."""
        loop = self.loops.pop(shard, None)
        if loop is not None:
            await loop.stop()


class ShardRenewal:
    """Renews what is idle on one shard while this process leads there."""

    def __init__(self, shard: Shard, keeper: TokenKeeper, metrics: Metrics, config: IdleConfig) -> None:
        """Begin without the lead, at the beginning of a round."""
        self._shard = shard
        self._keeper = keeper
        self._metrics = metrics
        self._config = config
        self._tenure = Tenure((config.candidacy_of or leases(config.node))(shard, DUTY))
        metrics.coordination.watch(DUTY, shard, self._tenure)
        self._after = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin looking."""
        self._task = asyncio.create_task(self._keep(), name=f"oauth idle {self._shard.number}")

    async def stop(self) -> None:
        """Stop; what is not renewed is by whoever leads next."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._tenure.end()

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        next_round = 0.0
        with self._metrics.loops.turning(
            "idle OAuth", self._shard.number, within=LATE_AFTER + self._config.look_seconds
        ) as turned:
            while True:
                is_over = False
                try:
                    # Between rounds the lead is kept, so that they begin no more often where many processes are.
                    if await self._tenure.fence() is not None and loop.time() >= next_round:
                        async with self._tenure.acting():
                            is_over = await self.turn()
                    turned()
                except BridgeError as error:
                    _log.warning("oauth_idle_failed", shard=self._shard.number, error=error.message)
                except Exception:  # noqa: BLE001
                    # Whatever it is, the consents of every tenant hang on this loop: it tells and goes on.
                    _log.exception("oauth_idle_failed", shard=self._shard.number)
                if is_over:
                    next_round = loop.time() + self._config.round_seconds
                await asyncio.sleep(self._config.look_seconds)

    async def turn(self) -> bool:
        """Renew the next few; return whether they were the last of a round."""
        config = self._config
        async with self._shard.engine_statement() as tx:
            found = await idle_store.idle(tx, self._after, config.idle_seconds, config.at_once)
        await self._renew(found)
        is_over = len(found) < config.at_once
        self._after = 0 if is_over else found[-1].connection_id
        return is_over

    async def _renew(self, found: Sequence[IdleGrant]) -> None:
        await asyncio.gather(*(self._renew_one(grant) for grant in found))

    async def _renew_one(self, grant: IdleGrant) -> None:
        """Renew one, and count what came of it; a failure concerns nobody else."""
        try:
            is_renewed = await self._keeper.renew_idle(grant.organization_id, grant.connection_id, grant.version)
        except TokenLost:
            result = "lost"
        except BridgeError:
            result = "failed"
        except Exception:  # noqa: BLE001
            _log.exception("oauth_idle_failed", shard=self._shard.number, connection_id=grant.connection_id)
            result = "failed"
        else:
            result = "renewed" if is_renewed else "done_already"
        self._metrics.oauth.idle_renewals[result].inc()
