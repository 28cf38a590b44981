"""Moving several organizations, a bounded number of them side by side: what ``rebalance`` and ``drain`` do with a plan.

Most of a move is waiting: until no process remembers where the organization was, and until the time of grace is over.
Side by side these waits pass for several organizations at once, while the mover still closes one after the other. One
that cannot be moved holds up none of those under way; after it no other is begun.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import TypeVar

Work = TypeVar("Work")
Outcome = TypeVar("Outcome")


async def side_by_side(
    works: Sequence[Work], act: Callable[[Work], Coroutine[None, None, Outcome]], *, most: int
) -> AsyncGenerator[tuple[Work, Outcome]]:
    """Do all, at most so many at a time, and give what came of each as it ends.

    Raises the first error once everything that was under way has ended.
    """
    left = list(reversed(works))
    running: dict[asyncio.Task[Outcome], Work] = {}
    failed: BaseException | None = None
    try:
        while running or (left and failed is None):
            while left and failed is None and len(running) < most:
                work = left.pop()
                running[asyncio.create_task(act(work), name=f"one of several: {work}")] = work
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                work = running.pop(task)
                if (error := task.exception()) is None:
                    yield work, task.result()
                else:
                    failed = failed or error
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if failed is not None:
        raise failed
