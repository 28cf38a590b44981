"""Consumers at work: each takes the events after its position, and moves it in the transaction that holds its work.

One loop per consumer and shard in every process; the lock of the position's row lets one process at a time through. A
process that is killed leaves the position where it was, and another takes the same events again; so work inside the
transaction is done once, and what it queues for the outside is told at least once. A batch that fails is taken one by
one. An event that fails ``MOST_TRIES`` times is parked and counted; until then it holds up its own consumer only. What
somebody asks to be tried again is tried by itself: taken, it is gone from the parked ones; else it waits to be asked
for anew.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.bus import event_store, parked_store
from make_bridge.platform.bus.events import Consumer, Envelope
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.observability.metrics.loops import LATE_AFTER

MOST_TRIES: Final = 6
_FIRST_PAUSE_SECONDS: Final = 1.0
_BATCH: Final = 200
_REPLAYED_AT_ONCE: Final = 20
_LOOK_SECONDS: Final = 2.0
_LONGEST_ERROR: Final = 500
_log = structlog.get_logger(__name__)


class ConsumerLoop:
    """One consumer on one shard."""

    def __init__(self, shard: Shard, consumer: Consumer, metrics: Metrics) -> None:
        """Begin with nothing known of its position."""
        self._shard = shard
        self._consumer = consumer
        self._awake = asyncio.Event()
        self._next: asyncio.Future[bool] | None = None
        labels = (consumer.name, str(shard.number))
        self._behind = metrics.events.behind.labels(*labels)
        self._delivered = metrics.events.delivered.labels(*labels)
        self._parked = metrics.events.parked.labels(*labels)
        self._missed = metrics.events.missed.labels(*labels)
        self._loops = metrics.loops

    def wake(self) -> None:
        """Say that there are events with a new position."""
        self._awake.set()

    async def pass_through(self) -> bool:
        """Have a look begun from now on, and wait for its end; return whether it came through."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        self.wake()
        # One of several who wait may be cancelled.
        return await asyncio.shield(self._next)

    async def keep(self) -> None:
        """Consume for as long as the process runs."""
        is_member = False
        with self._loops.turning(f"consumer {self._consumer.name}", self._shard.number, within=LATE_AFTER) as turned:
            while True:
                self._awake.clear()
                waiting, self._next = self._next, None
                came_through = False
                try:
                    if not is_member:
                        async with self._shard.engine_statement() as tx:
                            await event_store.join(tx, self._consumer.name)
                        is_member = True
                    while await self.step():
                        pass
                    came_through = True
                    turned()
                except Unavailable as error:
                    _log.warning("events_not_consumed", consumer=self._consumer.name, error=error.message)
                except Exception:  # noqa: BLE001
                    # Whatever it is, the consumers of every tenant hang on such loops: it tells and goes on.
                    _log.exception("consumer_failed", consumer=self._consumer.name, shard=self._shard.number)
                if waiting is not None:
                    waiting.set_result(came_through)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await self._awake.wait()

    async def step(self) -> bool:
        """Take one batch, and what is asked for of the parked ones; return whether more is there for it."""
        async with self._shard.engine_statement() as tx:
            glance = await event_store.peek(tx, self._consumer.name)
        self._behind.set(glance.behind)
        more = glance.asked and await self._replay()
        if glance.waits or not glance.behind:
            return more
        return await self._advance() or more

    async def _advance(self) -> bool:
        """Take the batch after the position; return whether there are further ones."""
        async with self._shard.engine_write() as tx:
            standing = await event_store.hold(tx, self._consumer.name)
            if standing is None or standing.waits or standing.position >= standing.last:
                return False
            start = max(standing.position, standing.trimmed)
            upto = min(standing.last, start + _BATCH)
            found = await event_store.read(tx, start, upto, self._consumer.types)
            turn = await self._take(tx, found, standing.tries)
            reached = upto if turn.failed is None else turn.failed.position - 1
            await event_store.move(tx, self._consumer.name, reached, turn.tries, _pause(turn.tries))
        self._missed.inc(start - standing.position)
        self._delivered.inc(turn.taken)
        self._parked.inc(turn.parked)
        self._behind.set(standing.last - reached)
        # Who was told of more meanwhile found the position locked and went away: look once more for them.
        self._awake.set()
        return turn.failed is None and reached < standing.last

    async def _replay(self) -> bool:
        """Try parked events that are asked for, under the same lock as all work; return whether there may be more."""
        taken = 0
        async with self._shard.engine_write() as tx:
            if await event_store.hold(tx, self._consumer.name) is None:
                return False
            found = await parked_store.asked_for(tx, self._consumer.name, _REPLAYED_AT_ONCE)
            for asked in found:
                complaint = await self._try(tx, [asked.envelope])
                if complaint is None:
                    await parked_store.taken(tx, asked.parked_id)
                    taken += 1
                else:
                    await parked_store.failed_again(tx, asked.parked_id, complaint)
        self._delivered.inc(taken)
        return len(found) == _REPLAYED_AT_ONCE

    async def _take(self, tx: WriteTx, found: Sequence[Envelope], tries: int) -> "_Turn":
        """Take a batch as a whole, or, when that fails, up to the event that has to be tried again."""
        turn = _Turn()
        if not found:
            return turn
        if tries == 0 and await self._try(tx, found) is None:
            turn.taken = len(found)
            return turn
        for envelope in found:
            complaint = await self._try(tx, [envelope])
            tries = 0 if complaint is None else tries + 1
            if complaint is None:
                turn.taken += 1
            elif tries >= MOST_TRIES:
                await parked_store.park(tx, self._consumer.name, envelope, complaint)
                _log.error("event_parked", consumer=self._consumer.name, event_id=envelope.id, type=envelope.type)
                turn.parked += 1
                tries = 0
            else:
                turn.failed, turn.tries = envelope, tries
                break
        return turn

    async def _try(self, tx: WriteTx, envelopes: Sequence[Envelope]) -> str | None:
        """Consume under a savepoint; return what went wrong, in words without data."""
        await tx.execute("SAVEPOINT events")
        try:
            await self._consumer.consume(tx, envelopes)
        except Exception as error:  # noqa: BLE001 - whatever a consumer raises is its failure, not the loop's
            await tx.execute("ROLLBACK TO SAVEPOINT events")
            _log.warning("event_failed", consumer=self._consumer.name, event_id=envelopes[0].id, exc_info=True)
            return f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
        await tx.execute("RELEASE SAVEPOINT events")
        return None


class _Turn:
    """What came of one batch: ``failed`` is the event to be tried again, after ``tries`` tries."""

    __slots__ = ("failed", "parked", "taken", "tries")

    def __init__(self) -> None:
        self.taken = 0
        self.parked = 0
        self.tries = 0
        self.failed: Envelope | None = None


def _pause(tries: int) -> float:
    return 0.0 if tries == 0 else _FIRST_PAUSE_SECONDS * 2 ** (tries - 1)
