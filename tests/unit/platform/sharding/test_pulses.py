"""Signs of life of shards: what a look finds is so, however soon one look follows the other or goes beside it."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from make_bridge.kernel.clock import ManualClock
from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database import shards as module
from make_bridge.platform.database.shards import Shards


class Frozen:
    """Answers nothing, and lets go of who asked a few turns of the loop after that one has given up."""

    number = 1
    is_cut = True

    def __init__(self, turns):
        self.turns = turns

    @asynccontextmanager
    async def engine_statement(self):
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(self.turns):
                await asyncio.sleep(0)
        yield


class Well:
    """Answers after a turn of the loop."""

    number = 0
    is_cut = False

    @asynccontextmanager
    async def engine_statement(self):
        await asyncio.sleep(0)
        yield self

    async def one(self, _query):
        await asyncio.sleep(0)
        return {"alive": 1}


def shards_of(*shards):
    directory: Any = None
    return Shards(directory, {shard.number: shard for shard in shards}, ManualClock(datetime(2026, 11, 22, tzinfo=UTC)))


@pytest.mark.parametrize("turns", range(8))
async def test_one_that_does_not_answer_is_silent_in_every_look(monkeypatch, turns):
    monkeypatch.setattr(module, "_PULSE_SECONDS", 0.01)
    # The other answers, and what the first held is let go of meanwhile.
    shards = shards_of(Well(), Frozen(turns))
    for _ in range(6):
        await shards.feel_pulses()
        assert list(shards.away()) == [1]


async def test_who_is_being_asked_by_somebody_else_is_not_silent():
    shards = shards_of(Well())

    async def look(turns):
        for _ in range(turns):
            await asyncio.sleep(0)
        await shards.feel_pulses()
        return shards.away()

    assert await asyncio.gather(*map(look, range(5))) == [{}] * 5


async def test_who_lives_on_a_shard_that_is_cut_off_is_refused_until_the_first_connection_and_not_until_the_next_look(
    monkeypatch,
):
    monkeypatch.setattr(module, "_PULSE_SECONDS", 0.01)
    frozen = Frozen(0)
    shards = shards_of(frozen)
    assert shards.numbered(1) is frozen
    await shards.feel_pulses()
    with pytest.raises(Unavailable):
        shards.numbered(1)
    frozen.is_cut = False
    assert shards.numbered(1) is frozen
