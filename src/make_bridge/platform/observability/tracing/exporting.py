"""The exporter: takes spans from the loop that serves, and posts them to the collector from a thread of its own.

Nothing that happens to the collector reaches a request. Spans wait in a queue with a bound; one that finds it full is
dropped and counted. The thread has a loop of its own, so one deadline holds over a whole export, whatever the other
side does with its bytes. A batch that is not taken is tried again a few times, with pauses, where that can help, and is
then dropped and counted. At the end what waits is sent within one more deadline, and the process does not wait longer.

The thread sleeps until there is something to send, and a moment more, so that there is a batch.
"""

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import Final

import aiohttp
import structlog

from make_bridge.kernel.entropy import chance
from make_bridge.platform.observability.metrics.traces import Loss, TraceCounters
from make_bridge.platform.observability.tracing.config import ExportConfig
from make_bridge.platform.observability.tracing.encoding import Encoder, refused_by
from make_bridge.platform.observability.tracing.spans import Span

_TYPE: Final = "application/x-protobuf"
_MOST_ANSWER: Final = 64 * 1024
_TRIES: Final = 3
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 5.0
# What the protocol says may be tried again.
_LATER: Final = frozenset({429, 502, 503, 504})
_OK: Final = 200
_AFTER_OK: Final = 300
_log = structlog.get_logger(__name__)


class _Failure(Exception):
    """An export that came to nothing; ``pause`` is what the collector asked for, when another try may help."""

    def __init__(self, loss: Loss, *, may_help: bool = False, pause: float = 0.0) -> None:
        super().__init__(loss)
        self.loss: Loss = loss
        self.may_help = may_help
        self.pause = pause


class Exporter:
    """See the module. ``offer`` is called by one thread, everything else of it runs on another."""

    def __init__(self, config: ExportConfig, encoder: Encoder, counters: TraceCounters) -> None:
        """Nothing runs before ``start``."""
        self._config = config
        self._encoder = encoder
        self._counters = counters
        self._waiting: deque[Span] = deque()
        self._sending = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._awake = asyncio.Event()
        self._closing = asyncio.Event()
        self._started = threading.Event()
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="span-export", daemon=True)
        counters.watch(lambda: len(self._waiting) + self._sending)

    def offer(self, span: Span) -> None:
        """Take a span, or drop and count it; never waits."""
        waiting = self._waiting
        if len(waiting) >= self._config.most_waiting:
            self._counters.dropped["full"].inc()
            return
        waiting.append(span)
        if len(waiting) in {1, self._config.batch}:
            self._wake()

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()
        self._started.wait()

    async def close(self) -> None:
        """Send what waits, for one deadline at most; what is left is counted."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._closing.set)
            self._wake()
        await asyncio.to_thread(self._thread.join, self._config.deadline + 1.0)
        left = len(self._waiting)
        if left:
            self._counters.dropped["closing"].inc(left)
            _log.warning("spans_left_at_the_end", spans=left)

    def _wake(self) -> None:
        # The loop is closed where the thread has ended before: nobody will send any more.
        with suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._awake.set)

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._started.set()
            runner.run(self._keep_sending())

    async def _keep_sending(self) -> None:
        deadline = self._config.deadline
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=deadline),
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            sending = asyncio.create_task(self._send_until_closed(session))
            await self._closing.wait()
            await asyncio.wait([sending], timeout=deadline)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send_until_closed(self, session: aiohttp.ClientSession) -> None:
        while self._waiting or not self._closing.is_set():
            self._awake.clear()
            if not self._waiting:
                await self._awake.wait()
                self._awake.clear()
            if len(self._waiting) < self._config.batch and not self._closing.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._config.every):
                        await self._awake.wait()
            await self._send_batch(session)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the moment in which the process ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    async def _send_batch(self, session: aiohttp.ClientSession) -> None:
        waiting = self._waiting
        batch = [waiting.popleft() for _ in range(min(len(waiting), self._config.batch))]
        if not batch:
            return
        self._sending, refused = len(batch), 0
        # What is cut off in the middle of this was cut off by the end of the process.
        loss: Loss | None = "closing"
        try:
            refused = await self._deliver(session, self._encoder.encode(batch))
            loss = None
        except _Failure as failure:
            loss = failure.loss
        except Exception as error:  # noqa: BLE001 - whatever it is, the next batch has its own chance
            _log.error("spans_not_encoded", error=type(error).__name__)
            loss = "refused"
        finally:
            self._sending = 0
            self._count(len(batch), refused, loss)

    def _count(self, spans: int, refused: int, loss: Loss | None) -> None:
        """Count a batch, and tell in the log when it begins to fail and when it works again."""
        if loss is None:
            self._counters.exported.inc(spans - refused)
            self._counters.dropped["refused"].inc(refused)
        else:
            self._counters.dropped[loss].inc(spans)
        is_failing = loss is not None
        if is_failing != self._is_failing and loss != "closing":
            self._is_failing = is_failing
            _log.warning("spans_not_taken", reason=loss) if is_failing else _log.info("spans_taken_again")

    async def _deliver(self, session: aiohttp.ClientSession, body: bytes) -> int:
        """Post a batch, again where that may help; return how many of it were refused. Raises _Failure."""
        pause = _FIRST_PAUSE
        for tries_left in range(_TRIES - 1, -1, -1):
            try:
                return await self._post(session, body)
            except _Failure as failure:
                if not (failure.may_help and tries_left) or self._closing.is_set():
                    raise
                await self._pause(min(max(pause, failure.pause) * (1 + chance() / 5), _LONGEST_PAUSE))
                pause *= 2
        raise AssertionError("the last try returns or raises")

    async def _post(self, session: aiohttp.ClientSession, body: bytes) -> int:
        headers = {**dict(self._config.headers), "content-type": _TYPE, "user-agent": "Make-Bridge"}
        try:
            async with session.post(self._config.url, data=body, headers=headers, allow_redirects=False) as response:
                if response.status in _LATER:
                    asked = response.headers.get("retry-after", "")
                    pause = float(asked) if asked.isdecimal() and len(asked) < 5 else 0.0  # noqa: PLR2004 - digits
                    raise _Failure("refused", may_help=True, pause=pause)
                if not _OK <= response.status < _AFTER_OK:
                    raise _Failure("refused")
                return _read(response.content_type, await _read_bounded(response.content))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            raise _Failure("unreachable", may_help=True) from None


async def _read_bounded(content: aiohttp.StreamReader) -> bytes:
    pieces, size = [], 0
    async for piece in content.iter_any():
        size += len(piece)
        if size > _MOST_ANSWER:
            raise _Failure("unreadable")
        pieces.append(piece)
    return b"".join(pieces)


def _read(content_type: str, answer: bytes) -> int:
    """Return how many spans were refused; raises _Failure for an answer that no collector gives."""
    if not answer:
        return 0
    refused = refused_by(answer) if content_type == _TYPE else None
    if refused is None:
        raise _Failure("unreadable")
    return refused
