"""Work that waits for the sandbox, in threads beside the event loop: so many at a time, and of one organization half.

A call of JavaScript blocks whoever makes it, so nobody on the event loop makes one. Who finds no place waits here, as a
coroutine that holds nothing. That one organization never has more than half of the threads keeps the others going while
its functions use up their time.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from typing import TypeVar
from weakref import WeakValueDictionary

Result = TypeVar("Result")
Waiting = Callable[[], AbstractContextManager[None]]


class Aside:
    """See the module."""

    def __init__(self, threads: int) -> None:
        """Start no thread before there is work."""
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="aside")
        self._places = asyncio.Semaphore(threads)
        self._share = max(1, threads // 2)
        self._shares: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    async def run(self, organization_id: int, work: Callable[[], Result], *, waiting: Waiting = nullcontext) -> Result:
        """Return what the work returns; raises what it raises. ``waiting`` is entered while there is no place."""
        share = self._shares.get(organization_id)
        if share is None:
            share = self._shares[organization_id] = asyncio.Semaphore(self._share)
        async with AsyncExitStack() as held:
            with waiting() if share.locked() or self._places.locked() else nullcontext():
                await held.enter_async_context(share)
                await held.enter_async_context(self._places)
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Take no more work, and leave what waits undone."""
        self._threads.shutdown(wait=False, cancel_futures=True)
