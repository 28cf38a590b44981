"""Wiring of what processes share: Redis with the far cache over it, and the relay of events."""

from contextlib import AsyncExitStack

from make_bridge.domain.activity.counting import Counting
from make_bridge.kernel.roles import Role
from make_bridge.platform.bus.events import LiveSubscription
from make_bridge.platform.bus.relay import Relay, RelayConfig, Told
from make_bridge.platform.cache.far import FarCache
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.redis.client import RedisClient
from make_bridge.settings import LoadedSettings, Settings
from make_bridge.wiring.bus import transport_of
from make_bridge.wiring.caches import wire_far_cache
from make_bridge.wiring.domain import Domain
from make_bridge.wiring.executions import HEARD_FROM_AFAR, Executions


async def open_redis(stack: AsyncExitStack, domain: Domain, settings: Settings) -> RedisClient | None:
    """Open the way to Redis, where there is one."""
    config = settings.redis()
    if config is None:
        return None
    counters = domain.metrics.redis
    return await stack.enter_async_context(RedisClient(config, key_secret=domain.key_secret, counters=counters))


def far_cache_of(
    stack: AsyncExitStack, domain: Domain, redis: RedisClient | None, settings: Settings
) -> FarCache | None:
    """Have this process share with others what it reads, where there is Redis."""
    if redis is None:
        return None
    far = wire_far_cache(redis, domain.clock, domain.key_secret, domain.metrics, settings)
    domain.catalogue.share(far)
    stack.push_async_callback(domain.catalogue.answers.close)
    return far


def relay_of(domain: Domain, executions: "Executions", metrics: Metrics, loaded: LoadedSettings) -> Relay:
    """Return what tells this process and all others of events."""
    live = LiveSubscription(kinds=HEARD_FROM_AFAR, hear=executions.hear_from_afar)
    hinted = executions.worker.wake if Role.WORKER in loaded.settings.roles else None
    config = RelayConfig(node=loaded.node_id, candidacy_of=domain.candidacy_of)
    told = Told(live=[live, domain.catalogue.subscription()], consumers=[Counting(), domain.telling], hinted=hinted)
    return Relay(domain.shards, metrics, config, told, transport_of(metrics, domain.key_secret, loaded))
