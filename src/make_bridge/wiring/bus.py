"""The event bus's wiring: by which way events pass between processes."""

import hashlib
from typing import Final

from make_bridge.platform.bus.postgres_transport import PostgresTransport
from make_bridge.platform.bus.redis_streams import RedisStreams
from make_bridge.platform.bus.transport import Transport
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.settings import LoadedSettings

_PURPOSE: Final = b"event streams"


def transport_of(metrics: Metrics, key_secret: bytes, loaded: LoadedSettings) -> Transport:
    """Return Redis Streams where there is a Redis, unless settings say otherwise; ``key_secret`` is everybody's."""
    notifying = PostgresTransport(loaded.node_id)
    secret = hashlib.blake2b(key_secret, person=_PURPOSE, digest_size=32).digest()
    config = loaded.settings.streams(loaded.node_id, secret)
    return notifying if config is None else RedisStreams(config, metrics.events, notifying)
