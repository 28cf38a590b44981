"""Work over streams: a message wakes the consumers of one process, and is acknowledged when they came through.

A loop of `redis_streams.py`. What is to be done, and how far it is, the database says: consumers read it there, under
the lock of their position and in the transaction of their work (`consumers.py`). A message only chooses who looks, so
that not every process does for every event; one that is lost costs a look's pause, one delivered twice a look. What a
process had taken when it died is claimed by another after ``CLAIM_SECONDS``.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from make_bridge.platform.bus.stream_wire import Streams
from make_bridge.platform.bus.transport import Receiver
from make_bridge.platform.observability.metrics import EventCounters

GROUP: Final = "consumers"
CLAIM_SECONDS: Final = 5.0
_CLAIM_EVERY_SECONDS: Final = 1.0
_TIDY_SECONDS: Final = 60.0
_FORGOTTEN_AFTER_MS: Final = 600_000
_AT_ONCE: Final = 500
_log = structlog.get_logger(__name__)


class StreamWork:
    """A process's part in the group that works."""

    def __init__(
        self, client: Redis, node: str, receivers: Mapping[bytes, Receiver], counters: EventCounters, block_ms: int
    ) -> None:
        """``receivers`` by the streams' names; ``node`` is unique among processes."""
        self._client = client
        self._node = node
        self._receivers = receivers
        self._counters = counters
        self._block_ms = block_ms
        self._claim_at = 0.0
        self._tidy_at = 0.0

    async def join(self) -> None:
        """Make the group where there is none, and look once for what was written before; raises RedisError."""
        for stream in self._receivers:
            try:
                await self._client.xgroup_create(stream, GROUP, id="$", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
        await asyncio.gather(*(receiver.work() for receiver in self._receivers.values()))

    async def turn(self) -> None:
        """Wait for messages a while and work; raises RedisError, also when the group is gone."""
        now = asyncio.get_running_loop().time()
        if now >= self._claim_at:
            self._claim_at = now + _CLAIM_EVERY_SECONDS
            await self._claim()
        if now >= self._tidy_at:
            self._tidy_at = now + _TIDY_SECONDS
            await self._tidy()
        streams = dict.fromkeys(self._receivers, ">")
        answer = await self._client.xreadgroup(GROUP, self._node, streams, _AT_ONCE, self._block_ms)  # type: ignore[arg-type]  # a dict is invariant
        found = cast("Streams", answer or ())
        await asyncio.gather(*(self._work(stream, [one[0] for one in entries], "given") for stream, entries in found))

    async def leave(self) -> None:
        """Take this process out of the group, unless it holds messages: those wait to be claimed."""
        for stream in self._receivers:
            for member in await self._client.xinfo_consumers(stream, GROUP):
                if member["name"] == self._node.encode() and not member["pending"]:
                    await self._client.xgroup_delconsumer(stream, GROUP, self._node)

    async def _work(self, stream: bytes, ids: Sequence[bytes], by: str) -> None:
        if not ids or not await self._receivers[stream].work():
            return
        self._counters.worked.labels(by).inc(len(ids))
        await self._client.xack(stream, GROUP, *ids)

    async def _claim(self) -> None:
        for stream in self._receivers:
            idle = int(CLAIM_SECONDS * 1000)
            ids = await self._client.xautoclaim(stream, GROUP, self._node, idle, count=_AT_ONCE, justid=True)
            if ids:
                _log.info("bus_work_claimed", messages=len(ids))
            await self._work(stream, ids, "claimed")

    async def _tidy(self) -> None:
        """Forget processes that are long gone and hold nothing."""
        for stream in self._receivers:
            for member in await self._client.xinfo_consumers(stream, GROUP):
                if not member["pending"] and member["idle"] > _FORGOTTEN_AFTER_MS:
                    await self._client.xgroup_delconsumer(stream, GROUP, member["name"])
