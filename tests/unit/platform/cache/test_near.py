"""The near cache: remembers for a while, never more than it may."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make_bridge.kernel.clock import ManualClock
from make_bridge.platform.cache.near import NearCache, NearLookUp, Traits


@pytest.fixture
def clock():
    return ManualClock(datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
def near(clock):
    return NearCache[str, int](clock, seconds=5.0, most=3, traits=Traits(spread=0.0))


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


def test_the_one_used_longest_ago_makes_room_however_old_it_is(near):
    for number, key in enumerate("abc"):
        near.put(key, number)
    near.get("a")
    near.put("d", 9)
    assert [near.get(key) for key in "abcd"] == [0, None, 2, 9]
    assert (len(near), near.evicted) == (3, 1)


def test_putting_a_key_again_throws_nobody_out_of_a_full_cache(near):
    for number, key in enumerate("abcb"):
        near.put(key, number)
    assert [near.get(key) for key in "abc"] == [0, 3, 2]
    assert near.evicted == 0


@pytest.mark.parametrize("value", [0, False, "", b"", ()])
def test_what_counts_as_false_is_remembered_like_anything_else(clock, value):
    near = NearCache[str, object](clock, seconds=5.0, most=3)
    near.put("a", value)
    assert near.get("a") == value


def test_entries_put_together_end_at_different_times_and_never_late(clock):
    near = NearCache[int, int](clock, seconds=100.0, most=1000)
    for key in range(1000):
        near.put(key, key)
    clock.advance(89.9)
    assert sum(near.get(key) is not None for key in range(1000)) == 1000
    clock.advance(5.1)
    half = sum(near.get(key) is not None for key in range(1000))
    assert 300 < half < 700
    clock.advance(5.0)
    assert sum(near.get(key) is not None for key in range(1000)) == 0


def test_bytes_are_bounded_and_what_is_larger_than_all_of_them_is_not_kept(clock):
    near = NearCache[str, bytes](clock, seconds=5.0, most=100, traits=Traits(most_bytes=10, size_of=len))
    near.put("a", b"aaaa")
    near.put("b", b"bbbb")
    near.get("a")
    near.put("c", b"cccc")
    assert (near.get("a"), near.get("b"), near.bytes) == (b"aaaa", None, 8)
    near.put("huge", b"h" * 11)
    assert (near.get("huge"), near.get("a"), near.bytes) == (None, b"aaaa", 8)
    near.forget("a")
    near.forget("c")
    assert near.bytes == 0


def test_entries_of_a_tag_are_forgotten_together_and_the_index_goes_with_them(clock):
    near = NearCache[str, int](clock, seconds=5.0, most=3, traits=Traits(spread=0.0, tag_of=lambda value: value % 2))
    for number, key in enumerate("abcd"):
        near.put(key, number)
    near.forget_tag(0)
    assert [near.get(key) for key in "abcd"] == [None, 1, None, 3]
    near.put("b", 2)
    clock.advance(5)
    assert [near.get(key) for key in "abcd"] == [None] * 4
    assert near._of_tag == {}  # noqa: SLF001 - a leak has no other face


@given(st.lists(st.tuples(st.sampled_from(["get", "put", "forget", "tag"]), st.integers(0, 9)), max_size=200))
def test_it_does_what_the_plainest_least_recently_used_map_does(steps):
    traits: Traits[int] = Traits(spread=0.0, tag_of=lambda value: value % 3)
    near = NearCache[int, int](ManualClock(datetime(2026, 11, 22, tzinfo=UTC)), seconds=5.0, most=4, traits=traits)
    plain: list[int] = []
    for do, key in steps:
        if do == "get":
            assert near.get(key) == (key if key in plain else None)
        if do == "tag":
            near.forget_tag(key)
            plain = [other for other in plain if other % 3 != key]
        elif do == "put" or key in plain:
            plain = [other for other in plain if other != key] + ([] if do == "forget" else [key])
            near.put(key, key) if do == "put" else None
            near.forget(key) if do == "forget" else None
        plain = plain[-4:]
    assert list(near._entries) == plain  # noqa: SLF001


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


class Gated(Register):
    """One whose answers wait: each look-up reads at once, and answers when it is told to."""

    def __init__(self, **entries):
        super().__init__(**entries)
        self.waiting: list[asyncio.Future[None]] = []
        self.ended = 0
        self.began = asyncio.Condition()

    async def look_up(self, key):
        found = await super().look_up(key)
        gate = asyncio.get_running_loop().create_future()
        self.waiting.append(gate)
        async with self.began:
            self.began.notify_all()
        try:
            await gate
        finally:
            self.ended += 1
        return found

    async def begun(self, number):
        async with self.began:
            await self.began.wait_for(lambda: len(self.waiting) >= number)

    def answer_last(self):
        """Answer the youngest that still waits."""
        for gate in reversed(self.waiting):
            if not gate.done():
                gate.set_result(None)
                return

    def answer(self):
        for gate in self.waiting:
            if not gate.done():
                gate.set_result(None)


async def test_many_at_once_share_one_look_up_also_when_it_finds_nothing(clock):
    register = Gated(a=1)
    near = NearLookUp(clock, register.look_up, seconds=5.0, most=10)
    found = [asyncio.create_task(near.find(key)) for key in "aabbab" * 50]
    await register.begun(2)
    register.answer()
    assert set(await asyncio.gather(*found)) == {1, None}
    assert register.asked == 2


async def test_a_failure_is_told_to_all_who_waited_and_the_next_looks_again(clock):
    register = Register()
    register.is_down = True
    near = NearLookUp(clock, register.look_up, seconds=5.0, most=10)
    failed = await asyncio.gather(*(near.find("a") for _ in range(5)), return_exceptions=True)
    assert [type(error) for error in failed] == [ConnectionError] * 5
    assert register.asked == 1
    register.is_down, register.entries = False, {"a": 1}
    assert await near.find("a") == 1


async def test_a_reader_who_gives_up_takes_nobody_with_him(clock):
    register = Gated(a=1)
    near = NearLookUp(clock, register.look_up, seconds=5.0, most=10)
    first, *others = (asyncio.create_task(near.find("a")) for _ in range(5))
    await register.begun(1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    register.answer()
    assert await asyncio.gather(*others) == [1] * 4
    assert (first.cancelled(), register.asked) == (True, 1)


async def test_a_look_up_that_nobody_waits_for_any_more_is_ended(clock):
    register = Gated(a=1)
    near = NearLookUp(clock, register.look_up, seconds=5.0, most=10)
    readers = [asyncio.create_task(near.find("a")) for _ in range(2)]
    await register.begun(1)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    await asyncio.sleep(0)
    assert register.ended == 1
    again = asyncio.create_task(near.find("a"))
    await register.begun(2)
    register.answer()
    assert await again == 1


@pytest.mark.parametrize("forgotten", ["key", "tag"])
async def test_a_slow_reader_brings_nothing_back_that_was_there_before_a_change(clock, forgotten):
    register = Gated(a=1)
    near = NearLookUp(clock, register.look_up, seconds=5.0, most=10, traits=Traits(tag_of=lambda _: "t"))
    slow = asyncio.create_task(near.find("a"))
    await register.begun(1)
    register.entries["a"] = 2
    near.forget("a") if forgotten == "key" else near.forget_tag("t")
    after = asyncio.create_task(near.find("a"))
    await register.begun(2)
    register.waiting[1].set_result(None)
    assert await after == 2
    register.answer()
    assert await slow == 1
    assert await near.find("a") == 2
    assert register.asked == 2


_ACTS = st.lists(
    st.sampled_from(["read", "answer all", "answer last", "write", "change", "give up"]), min_size=5, max_size=40
)


class Play:
    """One key that is read, changed and forgotten in any order; each reader with the least it may hear."""

    def __init__(self):
        self.register = Gated(a=0)
        self.near = NearLookUp(
            ManualClock(datetime(2026, 11, 22, tzinfo=UTC)), self.register.look_up, seconds=5.0, most=10
        )
        self.told = 0
        self.readers: list[tuple[int, asyncio.Task[int | None]]] = []

    def act(self, act):
        match act:
            case "read":
                self.readers.append((self.told, asyncio.create_task(self.near.find("a"))))
            case "answer all":
                self.register.answer()
            case "answer last":
                self.register.answer_last()
            case "write":
                self.register.entries["a"] += 1
            case "change":
                self.register.entries["a"] += 1
                self.near.forget("a")
                self.told = self.register.entries["a"]
            case "give up" if self.readers:
                self.readers.pop(0)[1].cancel()

    async def end(self):
        """Answer all, the youngest first, and ask once more."""
        reading = asyncio.gather(*(reader for _, reader in self.readers))
        while not reading.done():
            self.register.answer_last()
            for _ in range(6):
                await asyncio.sleep(0)
        await reading
        self.act("read")
        while not self.readers[-1][1].done():
            await asyncio.sleep(0)
            self.register.answer()


@given(_ACTS)
def test_whoever_asks_after_a_change_was_told_never_hears_what_was_there_before(acts):
    async def play():
        game = Play()
        for act in acts:
            game.act(act)
            for _ in range(6):
                await asyncio.sleep(0)
        await game.end()
        heard = [(least, reader.result()) for least, reader in game.readers]
        assert all(value is not None and value >= least for least, value in heard)
        assert not game.near._flights  # noqa: SLF001 - nothing is left behind

    asyncio.run(play())


async def test_nobody_joins_a_look_up_that_has_been_under_way_for_longer_than_an_entry_lives(clock):
    register = Gated(a=1)
    near = NearLookUp(clock, register.look_up, seconds=5.0, most=10)
    old = asyncio.create_task(near.find("a"))
    await register.begun(1)
    register.entries["a"] = 2
    clock.advance(5)
    new = asyncio.create_task(near.find("a"))
    await register.begun(2)
    register.answer()
    assert (await old, await new, await near.find("a")) == (1, 2, 2)


async def test_an_entry_lives_from_when_reading_it_began(clock):
    register = Gated(a=1)
    near = NearLookUp(clock, register.look_up, seconds=5.0, most=10)
    slow = asyncio.create_task(near.find("a"))
    await register.begun(1)
    clock.advance(3)
    register.answer()
    await slow
    clock.advance(2)
    again = asyncio.create_task(near.find("a"))
    await register.begun(2)
    register.answer()
    assert await again == 1
    assert register.asked == 2


async def test_what_has_ended_is_answered_while_it_is_read_anew_only_where_that_was_asked_for(clock):
    register = Gated(a=1)
    near = NearLookUp(clock, register.look_up, seconds=5.0, most=10, traits=Traits(stale_seconds=10.0))
    first = asyncio.create_task(near.find("a"))
    await register.begun(1)
    register.answer()
    await first
    register.entries["a"] = 2
    clock.advance(6)
    assert [await near.find("a") for _ in range(3)] == [1] * 3
    await register.begun(2)
    register.answer()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await near.find("a") == 2
    assert register.asked == 2
    near.forget("a")
    register.entries["a"] = 3
    fresh = asyncio.create_task(near.find("a"))
    await register.begun(3)
    register.answer()
    assert await fresh == 3
    assert near.numbers().stale == 3


async def test_stale_answers_end(clock):
    register = Register(a=1)
    near = NearLookUp(clock, register.look_up, seconds=5.0, most=10, traits=Traits(stale_seconds=10.0))
    await near.find("a")
    register.entries["a"] = 2
    clock.advance(15)
    assert await near.find("a") == 2


async def test_reads_are_counted_by_what_came_of_them(clock):
    register = Register(a=1)
    near = NearLookUp(clock, register.look_up, seconds=5.0, most=1)
    for key in ("a", "a", "b", "b", "b", "c"):
        await near.find(key)
    numbers = near.numbers()
    assert (numbers.hits, numbers.absent, numbers.misses, numbers.evicted) == (1, 2, 3, 1)
    assert numbers.entries == 2
