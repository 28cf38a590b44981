"""Work beside the event loop: who has a place, and that one organization never has them all."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from make_bridge.platform.sandbox.aside import Aside
from support.waiting import until_async


class Work:
    """Something that goes on until it is let go, and how many of it go on at a time."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)
        self.running = 0
        self.waiting = 0

    def __call__(self) -> int:
        self.running += 1
        self.begun.release()
        self.go.wait(10)
        return threading.get_ident()

    async def has_waiting(self) -> bool:
        return self.waiting > 0

    async def begins(self, times: int) -> None:
        for _ in range(times):
            assert await asyncio.to_thread(self.begun.acquire, timeout=10)

    @contextmanager
    def wait(self) -> Iterator[None]:
        self.waiting += 1
        yield
        self.waiting -= 1


async def test_one_organization_has_half_of_the_places_and_the_others_go_on():
    aside, hostile = Aside(4), Work()
    theirs = [asyncio.create_task(aside.run(1, hostile, waiting=hostile.wait)) for _ in range(6)]
    await hostile.begins(2)
    assert await asyncio.wait_for(aside.run(2, threading.get_ident), 10) != threading.get_ident()
    assert (hostile.running, hostile.waiting) == (2, 4)
    hostile.go.set()
    await asyncio.gather(*theirs)
    assert (hostile.running, hostile.waiting) == (6, 0)
    aside.close()


async def test_who_gives_up_waiting_leaves_its_place_to_others():
    aside, first = Aside(2), Work()
    holding = asyncio.create_task(aside.run(1, first))
    await first.begins(1)
    waiting = asyncio.create_task(aside.run(1, first, waiting=first.wait))
    await until_async(first.has_waiting, "somebody waits", within=10)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    first.go.set()
    await holding
    assert isinstance(await asyncio.wait_for(aside.run(1, threading.get_ident), 10), int)
    aside.close()
