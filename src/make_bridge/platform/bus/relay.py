"""The relay: gives committed events their positions and tells them, in order, to this process and to all others.

Events are written with the rows they speak of, in many transactions at once, and become visible in the order of their
commits, which nothing in a row shows. So one process leads on each shard (`platform.coordination.leadership`) and gives
positions to what it finds committed. From there they pass through a transport (`transport.py`), or are read by position
where none carries them; either way ends in the same two places, the process's `Audience` and its consumers. What comes
through a transport is taken as far as it follows on what was told before; anything else is read in the database, which
a process compares itself with now and then in any case: every ``LOOK_SECONDS`` when it leads or nothing carries, less
often else. A leader that is killed is followed after its term; until then events wait in the outbox. What is kept is
bounded by age and number: a consumer that falls further behind misses events, and that is counted.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.messages import Event
from make_bridge.platform.bus import event_store, parked_store
from make_bridge.platform.bus.consumers import ConsumerLoop
from make_bridge.platform.bus.event_store import Lead
from make_bridge.platform.bus.events import Consumer, Envelope, LiveSubscription
from make_bridge.platform.bus.live import Audience
from make_bridge.platform.bus.transport import Transport
from make_bridge.platform.coordination.leadership import leases
from make_bridge.platform.coordination.port import CandidacyOf
from make_bridge.platform.coordination.tenure import Tenure
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.observability.metrics.loops import LATE_AFTER

DUTY: Final = "relay"
LIVE: Final = "live"
LOOK_SECONDS: Final = 0.4
_BATCH: Final = 1000
_MOST_ARRIVED: Final = 10_000
_TIDY_SECONDS: Final = 60.0
_TIDY_BATCH: Final = 5000
_TIDY_TURNS: Final = 20
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayConfig:
    """``node`` is unique among processes; events are kept for days and up to a number, parked ones for days.

    Where ``candidacy_of`` gives no other way, a lease decides who leads.
    """

    node: str
    kept_days: int = 7
    most_kept: int = 2_000_000
    parked_days: int = 30
    candidacy_of: CandidacyOf | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Who is told in this process: ``live`` of every event; of each of ``consumers`` one process does the work.

    ``hinted`` is called when another process says that there may be something to do.
    """

    live: Sequence[LiveSubscription] = ()
    consumers: Sequence[Consumer] = ()
    hinted: Callable[[], None] | None = None


class Relay:
    """The relays of all shards of one process."""

    def __init__(self, shards: Shards, metrics: Metrics, config: RelayConfig, told: Told, transport: Transport) -> None:
        """``transport`` belongs to this relay from now on."""
        self._shards = shards
        self._transport = transport
        self._make = partial(ShardRelay, metrics=metrics, config=config, told=told, transport=transport)
        self._relays: dict[Shard, ShardRelay] = {}

    def hear(self, _context: Context, events: Sequence[Event]) -> None:
        """Say that a command of this process has committed events."""
        if events:
            for relay in self._relays.values():
                relay.wake()

    def hint(self) -> None:
        """Tell the other processes that there is something to do."""
        for relay in self._relays.values():
            self._transport.hint(relay.shard.number)

    async def start(self) -> None:
        """Begin at the present, on every shard; raises Unavailable."""
        await self._shards.follow(self)
        await self._transport.start()

    async def stop(self) -> None:
        """Stop, and let another process lead at once."""
        await self._transport.stop()
        await self._shards.leave(self)

    async def begin(self, shard: Shard) -> None:
        """Begin at a shard's present; raises Unavailable."""
        relay = self._make(shard)
        await relay.start()
        self._relays[shard] = relay
        self._transport.join(shard, relay)

    async def end(self, shard: Shard) -> None:
        """Stop on one shard."""
        relay = self._relays.pop(shard, None)
        if relay is not None:
            await self._transport.leave(shard)
            await relay.stop()


class ShardRelay:
    """The relay of one shard: leads where nobody does, and tells this process what is new in any case."""

    def __init__(self, shard: Shard, metrics: Metrics, config: RelayConfig, told: Told, transport: Transport) -> None:
        """Begin without the lead."""
        self.shard = shard
        self._hinted = told.hinted
        self._metrics = metrics
        self._config = config
        self._audience = Audience(told.live)
        self._consumers = [ConsumerLoop(shard, consumer, metrics) for consumer in told.consumers]
        self._transport = transport
        self._tenure = Tenure((config.candidacy_of or leases(config.node))(shard, DUTY))
        metrics.coordination.watch(DUTY, shard, self._tenure)
        self._behind = metrics.events.behind.labels(LIVE, str(shard.number))
        self._awake = asyncio.Event()
        self._committed_here = False
        self._is_asked = False
        self._arrived: list[Envelope] = []
        self._position = 0
        self._lead: Lead | None = None
        self._look_at = 0.0
        self._tidy_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    def wake(self) -> None:
        """Say that events were committed here; never needed for correctness."""
        self._committed_here = True
        self._awake.set()

    def hint(self) -> None:
        """Hear that another process has something to do."""
        self.look()
        if self._hinted is not None:
            self._hinted()

    def look(self) -> None:
        """Hear that something may have been missed."""
        self._is_asked = True
        self._awake.set()

    def arrive(self, envelopes: Sequence[Envelope]) -> None:
        """Take what came through the transport; beyond what may wait here it is read later."""
        if len(self._arrived) + len(envelopes) > _MOST_ARRIVED:
            self._arrived.clear()
            self.look()
            return
        self._arrived += envelopes
        self._awake.set()

    async def work(self) -> bool:
        """Let the consumers take what there is; return whether each has looked and come through."""
        return all(await asyncio.gather(*(loop.pass_through() for loop in self._consumers)))

    async def start(self) -> None:
        """Begin at the present; raises Unavailable."""
        async with self.shard.engine_statement() as tx:
            self._position, _ = await event_store.look(tx)
        loops = [self._keep(), *(loop.keep() for loop in self._consumers)]
        self._tasks += [asyncio.create_task(loop, name=f"relay {self.shard.number}") for loop in loops]

    async def stop(self) -> None:
        """Stop every loop between two steps or in the middle of one: what is not committed is done again elsewhere."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._lead = None
        await self._tenure.end()

    async def _keep(self) -> None:
        with self._metrics.loops.turning("relay", self.shard.number, within=LATE_AFTER) as turned:
            while True:
                self._awake.clear()
                pause = await self._turn()
                if pause is not None:
                    turned()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS if pause is None else pause):
                        await self._awake.wait()

    async def _turn(self) -> float | None:
        """Do what is to be done, and return how long there is nothing; None where that went wrong."""
        try:
            return 0.0 if await self.step() else self._pause()
        except Unavailable as error:
            _log.warning("relay_failed", shard=self.shard.number, error=error.message)
        except Exception:  # noqa: BLE001
            # Whatever it is, the events of every tenant hang on this loop: it tells and goes on.
            _log.exception("relay_step_failed", shard=self.shard.number)
        self._is_asked = True
        return None

    def _pause(self) -> float:
        return max(min(self._look_at, self._tenure.ask_at) - asyncio.get_running_loop().time(), 0.0)

    async def step(self) -> bool:
        """Tell what came, and look in the database when there is a reason; return whether more waits there."""
        now = asyncio.get_running_loop().time()
        await self._hold()
        if self._lead is not None and now >= self._tidy_at:
            self._tidy_at = now + _TIDY_SECONDS
            async with self._tenure.acting():
                await self._tidy(self._lead)
        committed_here, self._committed_here = self._committed_here, False
        is_asked, self._is_asked = self._is_asked, False
        arrived, self._arrived = self._arrived, []
        lacks_some = not self._take(arrived, "redis")
        if committed_here and self._lead is None:
            self._transport.hint(self.shard.number)
        leads_here = committed_here and self._lead is not None
        if not (lacks_some or is_asked or leads_here or now >= self._look_at):
            return False
        if lacks_some:
            self._metrics.events.gaps.inc()
        return await self._look_around(now)

    async def _look_around(self, now: float) -> bool:
        """Stamp if this process leads, and come up to what the database has; return whether more waits."""
        last, waiting = await self._look()
        stamped = 0
        if self._lead is not None and waiting:
            async with self._tenure.acting():
                stamped = await self._stamp(self._lead)
            last, _ = await self._look()
        if stamped:
            await self._publish(last - stamped, last)
        more = await self._tell(last) or stamped >= _BATCH
        seldom = self._transport.carries and self._lead is None
        self._look_at = now + (self._transport.look_seconds if seldom else LOOK_SECONDS)
        return more

    async def _hold(self) -> None:
        led, self._lead = self._lead is not None, None
        fence = await self._tenure.fence()
        if fence is None:
            return
        self._lead = Lead(name=DUTY, owner=self._tenure.owner, fence=fence)
        if not led:
            # The leader before may have stamped what it did not come to publish.
            self._is_asked = True
            self._transport.hint(self.shard.number)

    async def _look(self) -> tuple[int, bool]:
        async with self.shard.engine_statement() as tx:
            return await event_store.look(tx)

    async def _stamp(self, lead: Lead) -> int:
        async with self.shard.engine_statement() as tx:
            stamped = await event_store.stamp(tx, lead, _BATCH)
        self._metrics.events.stamped.inc(stamped)
        return stamped

    async def _publish(self, after: int, upto: int) -> None:
        """Tell the other processes, and this one as if it had heard it from another."""
        transport = self._transport
        if not transport.carries:
            transport.hint(self.shard.number)
            return
        async with self.shard.engine_statement() as tx:
            fresh = await event_store.carry(tx, after, upto, transport.payload_bytes)
        if not await transport.publish(self.shard.number, fresh):
            self._wake_consumers()
        self._take(fresh, "database")

    def _take(self, envelopes: Sequence[Envelope], by: str) -> bool:
        """Tell what follows on what was told before; return whether nothing is missing."""
        following: list[Envelope] = []
        is_whole = True
        for envelope in envelopes:
            if envelope.position <= self._position:
                continue
            is_too_large = not envelope.data and self._audience.wants(envelope.type)
            if envelope.position > self._position + 1 or is_too_large:
                is_whole = False
                break
            self._position = envelope.position
            following.append(envelope)
        self._announce(following, by)
        return is_whole

    async def _tell(self, last: int) -> bool:
        """Read what the database has beyond what was told, and tell it; return whether more is there."""
        if last < self._position:
            # Only a database that was put back has fewer: what it tells from now on is new.
            _log.warning("positions_went_back", shard=self.shard.number, position=self._position, last=last)
            self._position = last
        if last <= self._position:
            return False
        self._wake_consumers()
        upto = min(last, self._position + _BATCH)
        if self._audience.types:
            async with self.shard.engine_statement() as tx:
                found = await event_store.read(tx, self._position, upto, self._audience.types)
            self._announce(found, "database")
        self._position = upto
        self._behind.set(last - upto)
        return upto < last

    def _announce(self, envelopes: Sequence[Envelope], by: str) -> None:
        if envelopes:
            self._metrics.events.heard[by].inc(self._audience.tell(envelopes))

    def _wake_consumers(self) -> None:
        for loop in self._consumers:
            loop.wake()

    async def _tidy(self, lead: Lead) -> None:
        """Let go what is beyond its bounds, a bounded number at a time."""
        config = self._config
        for _ in range(_TIDY_TURNS):
            async with self.shard.engine_statement() as tx:
                gone = await event_store.trim(tx, lead, days=config.kept_days, most=config.most_kept, batch=_TIDY_BATCH)
            if gone < _TIDY_BATCH:
                break
        async with self.shard.engine_statement() as tx:
            await parked_store.forget(tx, days=config.parked_days, batch=_TIDY_BATCH)
