"""Figures that a database has to be asked for: read now and then, never while somebody waits for the page.

Each is a loop of its own, so one that hangs with its database holds up neither the others nor the page: it grows old,
and ``reading_age_seconds`` says how old. Beside them goes the watch over the event loop itself, which asks nobody.
``boot`` starts them all and ends them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import structlog

from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.observability.metrics import ReadingGauges

Read = Callable[[], Awaitable[None]]
_LAG_SECONDS: Final = 0.25
_log = structlog.get_logger(__name__)


class Readings:
    """See the module; an async context manager."""

    def __init__(self, gauges: ReadingGauges, reads: Mapping[str, Read], *, every: float, patience: float) -> None:
        """``reads`` take their figures in, by name; ``every`` and ``patience`` (for one of them) are seconds."""
        self._gauges = gauges
        self._reads = reads
        self._every = every
        self._patience = patience
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Begin; nothing waits for the first look."""
        self._tasks = [
            asyncio.create_task(self._keep(of, read), name=f"reading {of}") for of, read in self._reads.items()
        ]
        self._tasks.append(asyncio.create_task(self._feel(), name="event loop lag"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _keep(self, of: str, read: Read) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        self._gauges.age.labels(of).set_function(lambda: loop.time() - last)
        while True:
            began = loop.time()
            try:
                async with asyncio.timeout(self._patience):
                    await read()
            except (BridgeError, TimeoutError):
                # The age tells; what is away is logged by whoever needs it.
                self._gauges.failures.labels(of).inc()
            except Exception:  # noqa: BLE001
                # A figure that cannot be read is no reason to lose it for good.
                self._gauges.failures.labels(of).inc()
                _log.exception("reading_failed", of=of)
            else:
                last = began
            await asyncio.sleep(self._every)

    async def _feel(self) -> None:
        """Sleep, and note how much later than asked the loop came back: what every request waits as well."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_SECONDS
            await asyncio.sleep(_LAG_SECONDS)
            self._gauges.lag.observe(max(loop.time() - due, 0.0))
