"""What tests of the event bus share: an event, ears, and processes of one installation inside the test's own."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from make_bridge.kernel.ids import OrganizationId
from make_bridge.kernel.messages import Event, message
from make_bridge.platform.bus import event_store
from make_bridge.platform.bus.event_store import Lead
from make_bridge.platform.bus.events import Consumer, Envelope, LiveSubscription
from make_bridge.platform.bus.postgres_transport import PostgresTransport
from make_bridge.platform.bus.redis_streams import RedisStreams, StreamsConfig
from make_bridge.platform.bus.relay import DUTY, Relay, RelayConfig, Told
from make_bridge.platform.bus.transport import Transport
from make_bridge.platform.coordination.leadership import Leadership
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.redis.config import RedisConfig
from support.redis_process import RedisProcess

By = Literal["postgresql", "redis"]
BOTH: tuple[By, ...] = ("postgresql", "redis")
SECRET = b"0" * 32
LOOK_SECONDS = 3.0
MOST_EVENTS = 100
PAYLOAD_BYTES = 200
_INSERT = "INSERT INTO shard.outbox (organization_id, type, subject, payload) VALUES (%s, %s, 'thing/1', %s)"


@message
class Happened(Event):
    """Something happened."""

    wire_name: ClassVar[str] = "test.happened.v1"
    number: int
    filling: str = ""


class Ear:
    """Keeps what it hears, and says when that is enough."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._news = asyncio.Event()

    def hear(self, events: Sequence[Event]) -> None:
        self.numbers += [event.number for event in events if isinstance(event, Happened)]
        self._news.set()

    async def until(self, count: int, within: float = 10.0) -> list[int]:
        async with asyncio.timeout(within):
            while len(self.numbers) < count:
                self._news.clear()
                await self._news.wait()
        return self.numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What one process has of the bus."""

    relay: Relay
    transport: Transport
    metrics: Metrics
    ear: Ear

    def value(self, name: str, **labels: str) -> float:
        samples = (
            sample
            for family in text_string_to_metric_families(self.metrics.render().decode())
            for sample in family.samples
        )
        return next((one.value for one in samples if one.name == name and one.labels == labels), 0.0)

    async def tell(self, shard: Shard, organization_id: OrganizationId, *numbers: int, filling: str = "") -> None:
        """Commit events here, as commands do."""
        await commit(shard, organization_id, numbers, filling=filling)
        self.relay.hear(None, [Happened(number=0)])  # type: ignore[arg-type]  # nobody reads the context


async def commit(
    shard: Shard, organization_id: OrganizationId, numbers: Iterable[int], *, filling: str = "", kind: str = ""
) -> None:
    """Commit events, and tell nobody."""
    async with shard.write(organization_id) as tx:
        for number in numbers:
            payload = msgspec.json.encode(Happened(number=number, filling=filling))
            await tx.execute(_INSERT, (organization_id, kind or Happened.wire_name, payload))


async def reset(shard: Shard) -> None:
    """Begin without events, parked ones and a leader."""
    async with shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.outbox")
        await tx.execute("DELETE FROM shard.parked_events")
        await tx.execute("UPDATE shard.leaders SET until = now()")
        await tx.execute("UPDATE shard.event_positions SET trimmed = last")


async def stamped(shard: Shard, after: int = 0) -> list[Envelope]:
    async with shard.engine_statement() as tx:
        last, _ = await event_store.look(tx)
        return await event_store.read(tx, after, last, None)


async def lead(shard: Shard, node: str) -> Lead:
    fence = await Leadership(shard, DUTY, node).hold()
    assert fence is not None
    return Lead(name=DUTY, owner=node, fence=fence)


async def stamp(shard: Shard, held: Lead) -> int:
    """Give positions as a leader does that dies before it has told anybody."""
    async with shard.engine_statement() as tx:
        return await event_store.stamp(tx, held, 1000)


def streams_config(redis: RedisProcess, node: str, *, look_seconds: float = LOOK_SECONDS) -> StreamsConfig:
    """Short in everything, so that its bounds are met."""
    return StreamsConfig(
        redis=RedisConfig(url=redis.url, prefix="test", seconds=1.0, probe_seconds=0.1, connections=4),
        node=node,
        most_messages=MOST_EVENTS,
        payload_bytes=PAYLOAD_BYTES,
        look_seconds=look_seconds,
        secret=SECRET,
    )


@asynccontextmanager
async def process(
    shards: Shards,
    redis: RedisProcess | None,
    *,
    node: str | None = None,
    consumers: Sequence[Consumer] = (),
    look_seconds: float = LOOK_SECONDS,
) -> AsyncIterator[Process]:
    """Run one process's part of the bus; with a Redis, its first moments are waited for."""
    name, metrics, ear = node or secrets.token_hex(4), Metrics(), Ear()
    transport: Transport = PostgresTransport(name)
    if redis is not None:
        config = streams_config(redis, name, look_seconds=look_seconds)
        transport = RedisStreams(config, metrics.events, PostgresTransport(name))
    told = Told(live=[LiveSubscription(kinds=(Happened,), hear=ear.hear)], consumers=consumers)
    relay = Relay(shards, metrics, RelayConfig(node=name), told, transport)
    await relay.start()
    try:
        yield Process(relay=relay, transport=transport, metrics=metrics, ear=ear)
    finally:
        await relay.stop()
