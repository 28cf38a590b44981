"""The relay: gives committed events their positions and tells them, in order, to this process and to all others.

Events are written with the rows they speak of, in many transactions at once, and become visible in the order of their
commits, which nothing in a row shows. So one process leads on each shard (`platform.coordination.leadership`) and gives
positions to what it finds committed; everybody reads by position. A change is told elsewhere within ``LOOK_SECONDS``
twice over at the worst, and within milliseconds where hints pass. A leader that is killed is followed after its term;
until then events wait in the outbox. What is kept is bounded by age and number: a consumer that falls further behind
misses events, and that is counted.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.messages import Event
from make_bridge.platform.bus import event_store, parked_store
from make_bridge.platform.bus.consumers import ConsumerLoop
from make_bridge.platform.bus.event_store import Lead
from make_bridge.platform.bus.events import Consumer, Envelope, LiveSubscription, read_event
from make_bridge.platform.bus.hints import Hints
from make_bridge.platform.coordination.leadership import RENEW_SECONDS, Leadership
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics

DUTY: Final = "relay"
LIVE: Final = "live"
LOOK_SECONDS: Final = 0.4
_BATCH: Final = 1000
_TIDY_SECONDS: Final = 60.0
_TIDY_BATCH: Final = 5000
_TIDY_TURNS: Final = 20
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayConfig:
    """``node`` is unique among processes; events are kept for days and up to a number, parked ones for days."""

    node: str
    kept_days: int = 7
    most_kept: int = 2_000_000
    parked_days: int = 30
    with_hints: bool = True


class Relay:
    """The relays of all shards of one process."""

    def __init__(
        self,
        shards: Shards,
        metrics: Metrics,
        config: RelayConfig,
        live: Sequence[LiveSubscription],
        consumers: Sequence[Consumer],
    ) -> None:
        """``live`` hear every event; of each of ``consumers`` one process at a time does the work."""
        self._relays = [ShardRelay(shard, metrics, config, live, consumers) for shard in shards.all()]

    def hear(self, _context: Context, events: Sequence[Event]) -> None:
        """Say that a command of this process has committed events."""
        if events:
            for relay in self._relays:
                relay.wake()

    async def start(self) -> None:
        """Begin at the present; raises Unavailable."""
        for relay in self._relays:
            await relay.start()

    async def stop(self) -> None:
        """Stop, and let another process lead at once."""
        for relay in self._relays:
            await relay.stop()


class ShardRelay:
    """The relay of one shard: leads where nobody does, and tells this process what is new in any case."""

    def __init__(
        self,
        shard: Shard,
        metrics: Metrics,
        config: RelayConfig,
        live: Sequence[LiveSubscription],
        consumers: Sequence[Consumer],
    ) -> None:
        """Begin without the lead."""
        self._shard = shard
        self._metrics = metrics
        self._config = config
        self._live = live
        self._kinds = {kind.wire_name: kind for subscription in live for kind in subscription.kinds}
        self._consumers = [ConsumerLoop(shard, consumer, metrics) for consumer in consumers]
        self._leadership = Leadership(shard, DUTY, config.node)
        self._hints = Hints(shard, config.node, self._hear_hint)
        self._behind = metrics.events.behind.labels(LIVE, str(shard.number))
        self._awake = asyncio.Event()
        self._committed_here = False
        self._position = 0
        self._lead: Lead | None = None
        self._renew_at = 0.0
        self._tidy_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    def wake(self) -> None:
        """Say that events were committed here; a hint, never needed for correctness."""
        self._committed_here = True
        self._awake.set()

    def _hear_hint(self) -> None:
        self._awake.set()

    async def start(self) -> None:
        """Begin at the present; raises Unavailable."""
        async with self._shard.engine_statement() as tx:
            self._position, _ = await event_store.look(tx)
        loops = [self._keep(), *(loop.keep() for loop in self._consumers)]
        if self._config.with_hints:
            loops += [self._hints.keep_telling(), self._hints.keep_listening()]
        self._tasks += [asyncio.create_task(loop, name=f"relay {self._shard.number}") for loop in loops]

    async def stop(self) -> None:
        """Stop every loop between two steps or in the middle of one: what is not committed is done again elsewhere."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._lead is not None:
            with suppress(Unavailable):
                await self._leadership.resign(self._lead.fence)
            self._lead = None

    async def _keep(self) -> None:
        while True:
            self._awake.clear()
            pause = await self._turn()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._awake.wait()

    async def _turn(self) -> float:
        """Do what is to be done, and return how long there is nothing."""
        try:
            return 0.0 if await self.step() else LOOK_SECONDS
        except Unavailable as error:
            _log.warning("relay_failed", shard=self._shard.number, error=error.message)
        except Exception:  # noqa: BLE001
            # Whatever it is, the events of every tenant hang on this loop: it tells and goes on.
            _log.exception("relay_step_failed", shard=self._shard.number)
        return LOOK_SECONDS

    async def step(self) -> bool:
        """Stamp if this process leads, tell what is new; return whether more waits."""
        now = asyncio.get_running_loop().time()
        if now >= self._renew_at:
            await self._hold(now)
        if self._lead is not None and now >= self._tidy_at:
            self._tidy_at = now + _TIDY_SECONDS
            await self._tidy(self._lead)
        committed_here, self._committed_here = self._committed_here, False
        last, waiting = await self._look()
        stamped = 0
        if self._lead is not None and waiting:
            stamped = await self._stamp(self._lead)
            last, _ = await self._look()
        if stamped or (committed_here and self._lead is None):
            self._hints.tell()
        return await self._tell(last) or stamped >= _BATCH

    async def _hold(self, now: float) -> None:
        self._lead = None
        fence = await self._leadership.hold()
        self._renew_at = now + RENEW_SECONDS
        if fence is not None:
            self._lead = Lead(name=DUTY, owner=self._config.node, fence=fence)

    async def _look(self) -> tuple[int, bool]:
        async with self._shard.engine_statement() as tx:
            return await event_store.look(tx)

    async def _stamp(self, lead: Lead) -> int:
        async with self._shard.engine_statement() as tx:
            stamped = await event_store.stamp(tx, lead, _BATCH)
        self._metrics.events.stamped.inc(stamped)
        return stamped

    async def _tell(self, last: int) -> bool:
        """Tell this process what is new; return whether more is there."""
        if last <= self._position:
            return False
        for loop in self._consumers:
            loop.wake()
        upto = min(last, self._position + _BATCH)
        if self._kinds:
            async with self._shard.engine_statement() as tx:
                self._announce(await event_store.read(tx, self._position, upto, sorted(self._kinds)))
        self._position = upto
        self._behind.set(last - upto)
        return upto < last

    def _announce(self, found: Sequence[Envelope]) -> None:
        events = [event for envelope in found if (event := self._read(envelope)) is not None]
        for subscription in self._live:
            heard = [event for event in events if isinstance(event, subscription.kinds)]
            if not heard:
                continue
            try:
                subscription.hear(heard)
            except Exception:  # noqa: BLE001 - one subscriber's mistake is not the others'
                _log.exception("live_subscriber_failed", shard=self._shard.number)

    def _read(self, envelope: Envelope) -> Event | None:
        """Read an event; one that another version wrote in a shape of its own is passed over and told of."""
        try:
            return read_event(envelope, self._kinds[envelope.type])
        except msgspec.DecodeError:
            _log.warning("event_unreadable", event_id=envelope.id, type=envelope.type)
            return None

    async def _tidy(self, lead: Lead) -> None:
        """Let go what is beyond its bounds, a bounded number at a time."""
        config = self._config
        for _ in range(_TIDY_TURNS):
            async with self._shard.engine_statement() as tx:
                gone = await event_store.trim(tx, lead, days=config.kept_days, most=config.most_kept, batch=_TIDY_BATCH)
            if gone < _TIDY_BATCH:
                break
        async with self._shard.engine_statement() as tx:
            await parked_store.forget(tx, days=config.parked_days, batch=_TIDY_BATCH)
