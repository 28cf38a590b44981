"""Caches: what it costs to find what this process remembers.

Goal: at most 2 µs for a look-up that is remembered, by any of a thousand keys, the one used longest ago kept in order.
The other side is what Python offers for the same: ``functools.lru_cache``, which is written in C and never ends an
entry.
"""

import asyncio
import functools
import itertools
import timeit

from benchmarks.report import Report
from make_bridge.kernel.clock import SystemClock
from make_bridge.platform.cache.near import NearCache, NearLookUp

_KEYS = 1_000
_ROUNDS = 50
_REPEATS = 7


def run(report: Report) -> None:
    """Measure and report."""
    near: NearCache[str, int] = NearCache(SystemClock(), seconds=3600.0, most=_KEYS)
    keys = [f"key-{number}" for number in range(_KEYS)]
    for number, key in enumerate(keys):
        near.put(key, number)
    kept = functools.lru_cache(_KEYS)(len)
    turn = itertools.cycle(keys)
    loop, plain, most = _microseconds(lambda: next(turn)), _microseconds(lambda: kept(next(turn))), _KEYS
    found = _microseconds(lambda: near.get(next(turn)))
    report.line("lru_cache, a hit", f"{plain - loop:.2f} µs")
    report.goal("µs for a hit of the map", found - loop, at_most=2.0)
    report.goal("µs for a hit of the look-up", asyncio.run(_looked_up(keys, most)), at_most=2.0)


def _microseconds(work: object) -> float:
    assert callable(work)
    return min(timeit.repeat(work, number=_ROUNDS * _KEYS, repeat=_REPEATS)) / (_ROUNDS * _KEYS) * 1e6


async def _looked_up(keys: list[str], most: int) -> float:
    async def look_up(key: str) -> int:
        return len(key)

    finder: NearLookUp[str, int] = NearLookUp(SystemClock(), look_up, seconds=3600.0, most=most)
    for key in keys:
        await finder.find(key)
    best = float("inf")
    for _ in range(_REPEATS):
        began = timeit.default_timer()
        for _ in range(_ROUNDS):
            for key in keys:
                await finder.find(key)
        best = min(best, (timeit.default_timer() - began) / (_ROUNDS * _KEYS))
    return best * 1e6
