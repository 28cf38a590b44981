"""The near cache: remembers for a while, never more than it may."""

from datetime import UTC, datetime

import pytest

from make_bridge.kernel.clock import ManualClock
from make_bridge.platform.cache.near import NearCache, NearLookUp


@pytest.fixture
def clock():
    return ManualClock(datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
def near(clock):
    return NearCache[str, int](clock, seconds=5.0, most=3)


def test_a_value_is_remembered_until_its_time_is_over(near, clock):
    near.put("a", 1)
    clock.advance(4.9)
    assert near.get("a") == 1
    clock.advance(0.1)
    assert near.get("a") is None


def test_reading_does_not_prolong(near, clock):
    near.put("a", 1)
    for _ in range(10):
        near.get("a")
        clock.advance(0.5)
    assert near.get("a") is None


def test_putting_again_begins_again(near, clock):
    near.put("a", 1)
    clock.advance(4)
    near.put("a", 2)
    clock.advance(4)
    assert near.get("a") == 2


def test_the_oldest_makes_room(near):
    for number, key in enumerate("abca"):
        near.put(key, number)
    near.put("d", 9)
    assert [near.get(key) for key in "abcd"] == [3, None, 2, 9]
    assert len(near) == 3


def test_a_forgotten_value_is_gone(near):
    near.put("a", 1)
    near.forget("a")
    near.forget("never there")
    assert near.get("a") is None


class Register:
    """Something to look up, that counts how often it is asked."""

    def __init__(self, **entries):
        self.entries = entries
        self.asked = 0
        self.is_down = False

    async def look_up(self, key):
        self.asked += 1
        if self.is_down:
            raise ConnectionError
        return self.entries.get(key)


async def test_what_was_found_and_what_was_not_is_looked_up_once(clock):
    register = Register(a=1)
    near = NearLookUp(clock, register.look_up, seconds=5.0, most=10)
    for _ in range(3):
        assert (await near.find("a"), await near.find("b")) == (1, None)
    assert register.asked == 2
    clock.advance(5)
    register.entries = {"b": 2}
    assert (await near.find("a"), await near.find("b")) == (None, 2)


async def test_a_flood_of_invented_keys_makes_nobody_forgotten_and_is_bounded(clock):
    register = Register(a=1)
    near = NearLookUp(clock, register.look_up, seconds=5.0, most=10)
    await near.find("a")
    for number in range(1000):
        await near.find(f"invented {number}")
    assert len(near) == 11
    register.entries = {}
    assert await near.find("a") == 1


async def test_a_failed_look_up_is_not_remembered(clock):
    register = Register()
    near = NearLookUp(clock, register.look_up, seconds=5.0, most=10)
    register.is_down = True
    with pytest.raises(ConnectionError):
        await near.find("a")
    register.is_down, register.entries = False, {"a": 1}
    assert await near.find("a") == 1


async def test_a_forgotten_key_is_looked_up_again(clock):
    register = Register()
    near = NearLookUp(clock, register.look_up, seconds=5.0, most=10)
    await near.find("a")
    register.entries["a"] = 1
    near.forget("a")
    assert await near.find("a") == 1
