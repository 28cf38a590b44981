"""A dependency is believed to be away, or back, after a few looks in a row; each is looked at by itself."""

import asyncio
from datetime import UTC, datetime

import pytest

from make_bridge.kernel.clock import ManualClock, SystemClock
from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.observability.looks import LookConfig, Looks, Seen
from support.waiting import until_async

START = datetime(2026, 11, 22, tzinfo=UTC)
CONFIG = LookConfig(seconds=0.01, rise=2, fall=3)
ENOUGH = 20.0


class Thing:
    def __init__(self, name="thing"):
        self.name = name
        self.reason = ""
        self.looks = 0
        self.gate = None

    async def probe(self):
        self.looks += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.reason == "raises":
            raise RuntimeError("hunter2")
        if self.reason:
            raise Unavailable(self.reason)
        return {self.name: Seen()}


@pytest.fixture
def thing():
    return Thing()


@pytest.fixture
def clock():
    return ManualClock(START)


@pytest.fixture
def looks(thing, clock):
    return Looks({"thing": thing.probe}, CONFIG, clock)


async def seen(looks, times=1):
    for _ in range(times):
        await looks.look()
    [dependency] = looks.all()
    return dependency.is_up


async def test_the_first_look_decides_alone(looks, thing):
    thing.reason = "It is away."
    assert not await seen(looks)
    [dependency] = looks.all()
    assert (dependency.reason, dependency.since) == ("It is away.", START)


async def test_so_many_bad_looks_in_a_row_are_believed_and_as_many_good_ones(looks, thing, clock):
    assert await seen(looks, 3)
    thing.reason = "It is away."
    assert await seen(looks, 2)
    clock.advance(5)
    assert not await seen(looks)
    [dependency] = looks.all()
    assert (dependency.since - START).total_seconds() == 5
    thing.reason = ""
    assert not await seen(looks, 1)
    assert dependency.reason == "It is away."
    assert await seen(looks, 1)
    assert dependency.reason == ""


async def test_one_good_look_between_bad_ones_begins_the_count_anew(looks, thing):
    assert await seen(looks)
    for _ in range(5):
        thing.reason = "It is away."
        assert await seen(looks, 2)
        thing.reason = ""
        assert await seen(looks)


async def test_a_mistake_in_a_look_is_a_look_that_failed_and_quotes_nothing(looks, thing):
    thing.reason = "raises"
    assert not await seen(looks)
    [dependency] = looks.all()
    assert dependency.reason == "The look failed: RuntimeError."


async def test_several_of_a_kind_come_and_go(clock):
    shown = {"one": Seen(), "two": Seen(reason="It is away.", seconds=0.5)}

    async def probe():
        return dict(shown)

    looks = Looks({"things": probe}, CONFIG, clock)
    await looks.look()
    assert {name: found.is_up for name, found in looks.of("things").items()} == {"one": True, "two": False}
    assert looks.of("things")["two"].seconds == 0.5
    del shown["two"]
    await looks.look()
    assert list(looks.of("things")) == ["one"]
    assert looks.of("nothing") == {}


async def test_one_that_hangs_keeps_nobody_from_seeing_that_another_is_gone(thing):
    other = Thing("other")
    async with Looks({"thing": thing.probe, "other": other.probe}, CONFIG, SystemClock()) as looks:
        other.gate = asyncio.Event()
        before = other.looks
        await until_async(lambda: _is(other.looks > before), "the other hangs", within=ENOUGH)
        thing.reason = "It is away."
        await until_async(lambda: _is(not looks.of("thing")["thing"].is_up), "it is noticed", within=ENOUGH)
        assert looks.of("other")["other"].is_up


async def _is(value):
    return value
