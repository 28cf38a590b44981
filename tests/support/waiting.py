"""Waiting for what happens in another process: asked again and again, up to a deadline.

There is no signal to wait on across processes, so black-box tests ask; what they never do is sleep and hope.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Answer = TypeVar("Answer")
_PAUSE = 0.02


def until(condition: Callable[[], Answer | None], what: str, *, within: float, pause: float = _PAUSE) -> Answer:
    """Return the first truthy answer of `condition`; fail with `what` when none comes in `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {within:g} s in vain until {what}"
        time.sleep(pause)


async def until_async(condition: Callable[[], Awaitable[bool]], what: str, *, within: float) -> None:
    """Return when `condition` holds; fail with `what` when it does not in `within` seconds."""
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline, f"waited {within:g} s in vain until {what}"
        await asyncio.sleep(_PAUSE)
