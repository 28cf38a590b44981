"""What a process does for each shard begins with it, ends with it, and fails with it alone."""

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from make_bridge.kernel.clock import SystemClock
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.pools import Directory, Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.sharding.following import PerShard, ShardTasks
from make_bridge.platform.sharding.map import MappedShard, ShardMap, State
from make_bridge.platform.sharding.scatter import scatter

NO_POOL: Any = SimpleNamespace(line=None)


def fake(number):
    return Shard(number, NO_POOL, NO_POOL)


class Diary:
    def __init__(self, *, refuses=()):
        self.lines = []
        self.refuses = refuses

    async def begin(self, shard):
        if shard.number in self.refuses:
            raise Unavailable
        self.lines.append(("begin", shard.number))

    async def end(self, shard):
        self.lines.append(("end", shard.number))


def shards_of(*numbers, shard_map=None):
    return Shards(Directory(NO_POOL), {number: fake(number) for number in numbers}, SystemClock(), shard_map)


async def test_who_follows_begins_with_what_is_open_and_with_what_comes_and_ends_with_what_goes():
    shards, diary = shards_of(0), Diary()
    await shards.follow(diary)
    await shards.admit(fake(1), AsyncExitStack())
    await shards.dismiss(0)
    await shards.leave(diary)
    assert diary.lines == [("begin", 0), ("begin", 1), ("end", 0), ("end", 1)]
    await shards.admit(fake(2), AsyncExitStack())
    assert ("begin", 2) not in diary.lines


async def test_a_shard_with_which_something_cannot_begin_is_not_open_and_nothing_of_it_is_left():
    shards, first, second = shards_of(0), Diary(), Diary(refuses={1})
    closed: list[int] = []
    await shards.follow(first)
    await shards.follow(second)
    async with AsyncExitStack() as pools:
        pools.callback(closed.append, 1)
        with pytest.raises(Unavailable):
            await shards.admit(fake(1), pools)
    assert closed == [1]
    assert first.lines == [("begin", 0), ("begin", 1), ("end", 1)]
    assert [one.number for one in shards.all()] == [0]


async def test_a_shard_that_falls_silent_while_a_process_starts_is_left_out_and_the_start_goes_on():
    shards = shards_of(0, 1)
    await shards.follow(Diary(refuses={1}))
    assert [one.number for one in shards.all()] == [0]
    with pytest.raises(Unavailable):
        await shards.follow(Diary(refuses={0}))


async def test_a_shard_that_is_not_open_is_away_whether_the_map_has_it_or_not_yet():
    shard_map = ShardMap.of_numbers([0, 1])
    shards = shards_of(0, shard_map=shard_map)
    with pytest.raises(Unavailable) as away:
        shards.numbered(1)
    assert away.value.retry_after >= 1
    with pytest.raises(Unavailable):
        shards.numbered(2)
    assert list(shards.away()) == [1]


async def test_new_organizations_go_where_the_ring_says_among_active_shards_that_are_open():
    states: dict[int, State] = {0: "active", 1: "active", 2: "draining", 3: "joining", 4: "active"}
    shard_map = ShardMap(
        version=1,
        shards={number: MappedShard(number=number, name=str(number), state=state) for number, state in states.items()},
    )
    shards = shards_of(0, 1, 2, 3, shard_map=shard_map)
    ids = [OrganizationId(number * 1024) for number in range(1, 200)]
    proposed = {one: shards.propose(one) for one in ids}
    assert set(proposed.values()) == {0, 1}
    assert all(shard_map.proposal(one) in {proposed[one], 4} for one in ids)
    await shards.dismiss(0)
    await shards.dismiss(1)
    with pytest.raises(Unavailable):
        shards.propose(ids[0])


async def test_parts_are_made_once_at_their_first_use_and_none_once_they_are_closed():
    made: list[int] = []
    closed: list[list[int]] = []

    def make(one):
        made.append(one.number)
        return [one.number]

    parts = PerShard(make)
    zero = fake(0)
    assert parts[zero] is parts[zero]

    async def close(part):
        closed.append(part)

    await parts.close(close)
    assert (made, closed) == ([0], [[0]])
    with pytest.raises(Unavailable):
        parts[fake(1)]


async def test_the_loops_of_one_shard_end_without_those_of_another():
    running = set()

    async def work(one):
        running.add(one.number)
        try:
            await asyncio.Event().wait()
        finally:
            running.discard(one.number)

    tasks = ShardTasks("test", (work,))
    zero, one = fake(0), fake(1)
    await tasks.begin(zero)
    await tasks.begin(one)
    await asyncio.sleep(0)
    assert running == {0, 1}
    await tasks.end(zero)
    assert running == {1}
    await tasks.end(one)
    await tasks.end(one)


async def test_asking_every_shard_takes_no_longer_than_a_deadline_and_names_who_did_not_answer():
    async def ask(one):
        if one.number == 1:
            raise Unavailable("It is down.")
        if one.number == 2:
            await asyncio.Event().wait()
        return one.number * 10

    found = await scatter([fake(3), fake(2), fake(1), fake(0)], ask, seconds=0.05)
    assert found.answers == {0: 0, 3: 30}
    assert found.silent == {1: "It is down.", 2: "No answer within 0.05 s."}


async def test_one_that_does_not_even_let_go_is_not_waited_for():
    stuck = asyncio.Event()

    async def ask(_one):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await stuck.wait()

    found = await scatter([fake(0)], ask, seconds=0.02)
    assert list(found.silent) == [0]
    stuck.set()
    await asyncio.sleep(0)


async def test_no_more_are_asked_at_a_time_than_is_said():
    at_once = most = 0

    async def ask(_one):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.001)
        at_once -= 1

    await scatter([fake(number) for number in range(20)], ask, at_once=3)
    assert most == 3
