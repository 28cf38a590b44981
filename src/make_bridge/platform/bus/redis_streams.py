"""The transport over Redis Streams: what the leader stamped is handed to every process, and to one of them as work.

Made by `boot.py` where there is a Redis. Each shard has a stream of its events, of bounded length, which every process
reads from where it began (`XREAD`, all shards over one connection), and in which one group works (`stream_work.py`); a
second, short stream carries hints. A process takes no position from Redis: when it begins, when its connection broke,
when a stream was emptied, evicted or begun anew by a Redis that knows nothing, it is told to look in the database.

When Redis is away or takes nothing (full, following another) hints go by NOTIFY, which is listened to all the while.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

import structlog
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError, ResponseError

from make_bridge.platform.bus.events import Envelope
from make_bridge.platform.bus.postgres_transport import PostgresTransport
from make_bridge.platform.bus.stream_wire import Entries, Streams, StreamWire
from make_bridge.platform.bus.stream_work import StreamWork
from make_bridge.platform.bus.transport import Receiver
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.observability.metrics import EventCounters
from make_bridge.platform.redis.client import connect, key_name
from make_bridge.platform.redis.config import RedisConfig

_BLOCK_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 1.0
_PUBLISH_SECONDS: Final = 0.5
_CLOSE_SECONDS: Final = 1.0
_CANCEL_AGAIN_SECONDS: Final = 0.05
_VERIFY_SECONDS: Final = 1.0
_BETWEEN_HINTS_SECONDS: Final = 0.003
_WAITING_CONNECTIONS: Final = 2
_AT_ONCE: Final = 200
_MOST_HINTS: Final = 100
_BEGINNING: Final = b"0-0"
_NODE: Final = b"node"
T = TypeVar("T")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsConfig:
    """``most_messages`` bounds a shard's stream, ``payload_bytes`` what of an event's data travels."""

    redis: RedisConfig
    node: str
    most_messages: int
    payload_bytes: int
    look_seconds: float
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One shard's streams and who hears them."""

    number: int
    receiver: Receiver
    events: bytes
    hints: bytes
    wire: StreamWire


class RedisStreams:
    """See the module."""

    def __init__(self, config: StreamsConfig, counters: EventCounters, beside: PostgresTransport) -> None:
        """``beside`` is the way without Redis."""
        self.look_seconds = config.look_seconds
        self.payload_bytes = config.payload_bytes
        self._config = config
        self._counters = counters
        self._beside = beside
        self._lines: dict[int, _Line] = {}
        self._lineup = 0
        """Another number whenever a shard comes or goes: who reads the streams begins again then."""
        self._waiting = connect(
            config.redis, connections=_WAITING_CONNECTIONS, seconds=_BLOCK_SECONDS + _PATIENCE_SECONDS
        )
        self._client = connect(config.redis)
        self._turns = asyncio.Semaphore(config.redis.connections)
        self._hears = False
        self._works = False
        self._write_again_at = 0.0
        self._due = asyncio.Event()
        self._hinted: set[int] = set()
        self._work: StreamWork | None = None
        self._tasks: list[asyncio.Task[None]] = []
        counters.watch(lambda: self.carries)

    @property
    def carries(self) -> bool:
        """Say whether Redis is heard, and took what it was told last."""
        return self._hears and self._works and asyncio.get_running_loop().time() >= self._write_again_at

    def join(self, shard: Shard, receiver: Receiver) -> None:
        """Have a shard's streams handed to its receiver."""
        self._beside.join(shard, receiver)
        config = self._config
        events, hints = (key_name(config.redis.prefix, config.secret, of, shard.number) for of in ("events", "hints"))
        wire = StreamWire(config.secret, events, payload_bytes=config.payload_bytes)
        self._lines[shard.number] = _Line(
            number=shard.number, receiver=receiver, events=events.encode(), hints=hints.encode(), wire=wire
        )
        self._lineup += 1

    async def leave(self, shard: Shard) -> None:
        """Hand over nothing of a shard any more; what is on its way comes to nobody."""
        self._lines.pop(shard.number, None)
        self._lineup += 1
        await self._beside.leave(shard)

    def hint(self, shard: int) -> None:
        """Tell the other processes that there is something to do."""
        if not self.carries:
            self._beside.hint(shard)
            return
        self._hinted.add(shard)
        self._due.set()

    async def publish(self, shard: int, envelopes: Sequence[Envelope]) -> bool:
        """Add to the shard's stream, which lets go of its oldest; return whether Redis took it."""
        line, most = self._lines.get(shard), self._config.most_messages
        if line is None:
            return False
        async with self._turns:
            pipe = self._client.pipeline(transaction=False)
            for fields in line.wire.write(envelopes):
                pipe.xadd(line.events, fields, maxlen=most, approximate=True)  # type: ignore[arg-type]  # a dict is invariant
            is_told = await self._send(pipe)
        self._counters.published["ok" if is_told else "failed"].inc(len(envelopes))
        if not is_told:
            self._beside.hint(shard)
        return is_told

    async def start(self) -> None:
        """Begin to listen, and to try."""
        await self._beside.start()
        loops = (self._keep_hearing(), self._keep_working(), self._keep_hinting())
        self._tasks += [asyncio.create_task(loop, name="bus streams") for loop in loops]

    async def stop(self) -> None:
        """Stop, leave the group and close."""
        # The client may answer a cancellation with an error of its own: then the loop goes on, and is told once more.
        while going := [task for task in self._tasks if not task.done()]:
            for task in going:
                task.cancel()
            await asyncio.wait(going, timeout=_CANCEL_AGAIN_SECONDS)
        self._tasks.clear()
        is_known, self._hears = self._hears, False
        with suppress(TimeoutError, RedisError, OSError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                if self._work is not None and is_known:
                    await self._work.leave()
        for client in (self._client, self._waiting):
            with suppress(TimeoutError, RedisError, OSError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await client.aclose(close_connection_pool=True)
        await self._beside.stop()

    async def _keep_hearing(self) -> None:
        while True:
            try:
                await self._hear()
            except (TimeoutError, RedisError, OSError) as error:
                self._lose("hears", type(error).__name__)
            except Exception:  # noqa: BLE001 - whatever comes from outside, the process lives
                _log.exception("bus_not_heard")
                self._lose("hears", "fault")
            await asyncio.sleep(self._config.redis.probe_seconds)

    async def _hear(self) -> None:
        """Hand over whatever is added to the streams from now on; ends by an error, or when there are others."""
        lineup = self._lineup
        cursors = await self._ends()
        if not cursors:
            return
        self._hears = True
        self._look()
        verify_at = 0.0
        while lineup == self._lineup:
            answer = await self._within(self._waiting.xread(cursors, _AT_ONCE, int(_BLOCK_SECONDS * 1000)))  # type: ignore[arg-type]  # a dict is invariant
            for stream, entries in cast("Streams", answer or ()):
                cursors[stream] = entries[-1][0]
                self._hand_over(stream, entries)
            now = asyncio.get_running_loop().time()
            if now >= verify_at:
                verify_at = now + _VERIFY_SECONDS
                await self._verify(cursors)

    async def _verify(self, cursors: dict[bytes, bytes]) -> None:
        """Go back to the beginning of streams that were begun anew since: their numbers may be smaller than ours."""
        for stream, end in (await self._ends()).items():
            if stream in cursors and _order(end) < _order(cursors[stream]):
                cursors[stream] = _BEGINNING
                _log.warning("bus_stream_begun_anew")
                self._look()

    async def _ends(self) -> dict[bytes, bytes]:
        """Return the number that each stream gave last."""
        ends: dict[bytes, bytes] = {}
        for line in list(self._lines.values()):
            for stream in (line.events, line.hints):
                try:
                    facts = await self._within(self._client.xinfo_stream(stream))
                    ends[stream] = facts["last-generated-id"]
                except ResponseError as error:
                    if "no such key" not in str(error):
                        raise
                    ends[stream] = _BEGINNING
        return ends

    def _hand_over(self, stream: bytes, entries: Entries) -> None:
        for line in self._lines.values():
            if stream == line.events:
                self._hand_over_events(line, entries)
            elif stream == line.hints and any((fields or {}).get(_NODE) != self._own for _, fields in entries):
                line.receiver.hint()

    def _hand_over_events(self, line: _Line, entries: Entries) -> None:
        """Hand over what is ours; the rest is counted and forgotten."""
        envelopes: list[Envelope] = []
        dropped = 0
        for _, fields in entries:
            read = line.wire.read(fields or {})
            if isinstance(read, list):
                envelopes += read
            else:
                self._counters.dropped[read].inc()
                dropped += 1
        if dropped:
            _log.warning("bus_messages_dropped", shard=line.number, messages=dropped)
        if envelopes:
            line.receiver.arrive(envelopes)

    async def _work_together(self) -> None:
        """Take work from the streams; ends by an error, or when there are others."""
        lineup = self._lineup
        receivers = {line.events: line.receiver for line in self._lines.values()}
        if not receivers:
            return
        work = StreamWork(self._waiting, self._config.node, receivers, self._counters, int(_BLOCK_SECONDS * 1000))
        await work.join()
        self._work, self._works = work, True
        self._look()
        while lineup == self._lineup:
            await work.turn()

    async def _keep_working(self) -> None:
        while True:
            try:
                await self._work_together()
            except (TimeoutError, RedisError, OSError) as error:
                self._lose("works", type(error).__name__)
            except Exception:  # noqa: BLE001 - whatever comes from outside, the process lives
                _log.exception("bus_not_worked")
                self._lose("works", "fault")
            await asyncio.sleep(self._config.redis.probe_seconds)

    async def _keep_hinting(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            hinted, self._hinted = self._hinted, set()
            async with self._turns:
                pipe = self._client.pipeline(transaction=False)
                for shard in hinted & self._lines.keys():
                    pipe.xadd(self._lines[shard].hints, {_NODE: self._own}, maxlen=_MOST_HINTS, approximate=True)
                is_told = await self._send(pipe)
            if not is_told:
                for shard in hinted:
                    self._beside.hint(shard)
            await asyncio.sleep(_BETWEEN_HINTS_SECONDS)

    @property
    def _own(self) -> bytes:
        return self._config.node.encode()

    async def _send(self, pipe: Pipeline) -> bool:
        try:
            async with asyncio.timeout(_PUBLISH_SECONDS):
                await pipe.execute()
        except (TimeoutError, RedisError, OSError) as error:
            self._write_again_at = asyncio.get_running_loop().time() + self._config.redis.probe_seconds
            _log.warning("bus_not_written", reason=type(error).__name__)
            self._look()
            return False
        return True

    async def _within(self, answer: Awaitable[T]) -> T:
        async with asyncio.timeout(_BLOCK_SECONDS + _PATIENCE_SECONDS):
            return await answer

    def _lose(self, of: str, reason: str) -> None:
        """Know that Redis is away, and let everybody look in the database from now on."""
        if self._hears and self._works:
            _log.warning("bus_away", of=of, reason=reason)
        if of == "hears":
            self._hears = False
        else:
            self._works = False
        self._look()

    def _look(self) -> None:
        for line in self._lines.values():
            line.receiver.look()


def _order(number: bytes) -> tuple[int, int]:
    moment, _, place = number.partition(b"-")
    return int(moment), int(place or 0)
