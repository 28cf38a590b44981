"""Group commit: concurrent requests share one transaction.

One flush is in flight; the next takes all that queued meanwhile, at most ``largest`` items. There
is no timer: under load the batches grow by themselves, alone an item waits for nobody (a fixed
linger of 3 ms halved throughput when measured). A batch shares one fate, so a batch that fails for
a reason of its data is split and tried again until the bad item fails alone. Where an organization has moved away, its
items fail together and the others are written: their callers write them where it lives by now.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from make_bridge.kernel.errors import OrganizationMoved, Unavailable
from make_bridge.platform.database.transactions import BAD_DATA

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Flush = Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]]


class GroupCommit(Generic[Item, Answer]):
    """Collects items while a flush runs; each caller waits for the commit of its own batch."""

    def __init__(
        self,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        tenant: Callable[[Item], int] | None = None,
        splits: tuple[type[Exception], ...] = BAD_DATA,
        largest: int = 500,
        waiting_limit: int = 20_000,
    ) -> None:
        """``flush`` writes and commits a batch and answers in order; errors in ``splits`` blame an item's data.

        ``tenant`` names the organization of an item; without it a batch in which one has moved is split as well.
        """
        self._flush = flush
        self._tenant = tenant
        self._splits: tuple[type[Exception], ...] = splits if tenant is not None else (*splits, OrganizationMoved)
        self._largest = largest
        self._waiting_limit = waiting_limit
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._flusher: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many items wait for a flush; a gauge for load shedding and metrics."""
        return len(self._waiting)

    async def submit(self, item: Item) -> Answer:
        """Write one item with whoever else is there; returns after the commit."""
        if self._closed or len(self._waiting) >= self._waiting_limit:
            message = "The server is writing as fast as it can: try again in a moment."
            raise Unavailable(message, code="overloaded")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._flusher is None:
            # It writes for many: what it logs is of none of them alone, and it belongs to the trace of none.
            self._flusher = asyncio.create_task(self._run(), name="group-commit", context=Context())
        return await future

    async def close(self) -> None:
        """Refuse new items and wait until all queued ones are written."""
        self._closed = True
        while self._flusher is not None:
            await asyncio.shield(self._flusher)

    async def _run(self) -> None:
        try:
            while self._waiting:
                size = min(len(self._waiting), self._largest)
                await self._write([self._waiting.popleft() for _ in range(size)])
                # Who was answered and asks again at once, and what has arrived by now, is in the next batch: else a
                # few that are out of step would stay so, and batches small.
                await asyncio.sleep(0)
        finally:
            self._flusher = None

    async def _write(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._flush([item for item, _ in batch])
        except self._splits as error:
            if len(batch) == 1:
                _fail(batch, error)
                return
            middle = len(batch) // 2
            await self._write(batch[:middle])
            await self._write(batch[middle:])
        except OrganizationMoved as error:
            await self._write_others(batch, error)
        except Exception as error:  # noqa: BLE001 - every waiting caller must learn of it, whatever it is
            _fail(batch, error)
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    async def _write_others(self, batch: list[tuple[Item, asyncio.Future[Answer]]], error: OrganizationMoved) -> None:
        """Fail the items of an organization that has moved, and write those of all others."""
        tenant = self._tenant or (lambda _item: error.organization_id)
        gone = [pair for pair in batch if tenant(pair[0]) == error.organization_id]
        _fail(gone or batch, error)
        if gone and len(gone) < len(batch):
            await self._write([pair for pair in batch if tenant(pair[0]) != error.organization_id])


def _fail(batch: list[tuple[Item, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
