"""Asking every shard at once: bounded, each with its own deadline, and one that does not answer is named.

For what an operator sees and for the care of tables. What concerns one organization goes to its own shard and never
comes by here.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.database.pools import Shard

AT_ONCE: Final = 8
SECONDS: Final = 5.0
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scattered(Generic[Answer]):
    """What came back, and which shards did not answer, with the reason; both by number, in order."""

    answers: Mapping[int, Answer]
    silent: Mapping[int, str]


async def scatter(
    shards: Sequence[Shard],
    ask: Callable[[Shard], Coroutine[None, None, Answer]],
    *,
    seconds: float = SECONDS,
    at_once: int = AT_ONCE,
) -> Scattered[Answer]:
    """Ask each shard; takes as long as the slowest, and no longer than its deadline lets it."""
    turns = asyncio.Semaphore(at_once)

    async def one(shard: Shard) -> "Answer | _Silence":
        async with turns:
            return await _within(seconds, ask(shard))

    ordered = sorted(shards, key=lambda shard: shard.number)
    found = await asyncio.gather(*(one(shard) for shard in ordered))
    pairs = [(shard.number, answer) for shard, answer in zip(ordered, found, strict=True)]
    return Scattered(
        answers={number: answer for number, answer in pairs if not isinstance(answer, _Silence)},
        silent={number: str(answer) for number, answer in pairs if isinstance(answer, _Silence)},
    )


async def _within(seconds: float, asking: Coroutine[None, None, Answer]) -> "Answer | _Silence":
    """Wait so long; what takes longer is given up and not waited for: a server that froze does not even let go."""
    work = asyncio.ensure_future(asking)
    try:
        done, _ = await asyncio.wait({work}, timeout=seconds)
        if done:
            return await work
    except BridgeError as error:
        return _Silence(error.message)
    finally:
        work.cancel()
    work.add_done_callback(_forget)
    return _Silence(f"No answer within {seconds:g} s.")


def _forget(late: asyncio.Future[Answer]) -> None:
    """Take note of how it ended, so that nobody is told that nobody did."""
    if not late.cancelled():
        late.exception()


class _Silence(str):
    """Why a shard did not answer."""

    __slots__ = ()
