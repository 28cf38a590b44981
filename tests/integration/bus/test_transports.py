"""One suite over both ways between processes: NOTIFY and looks, and Redis Streams; and what only streams have.

Whatever the transport, what is heard and worked is what the database has, in its order. The faults of a Redis that is
paused, killed, full or emptied are in `tests/faults/test_bus_away.py`.
"""

import asyncio
import secrets

import pytest

from make_bridge.platform.bus.stream_wire import StreamWire
from make_bridge.platform.bus.stream_work import GROUP
from make_bridge.platform.redis.client import connect, key_name
from support.bus import (
    BOTH,
    MOST_EVENTS,
    PAYLOAD_BYTES,
    SECRET,
    commit,
    lead,
    process,
    reset,
    stamp,
    stamped,
    streams_config,
)
from support.organizations import make_organization
from support.redis_process import own_redis
from support.waiting import until_async

pytestmark = [
    pytest.mark.requires_server("redis-server"),
    pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module"),
]
COUNT = """
INSERT INTO shard.event_counts AS c (organization_id, day, type, events) VALUES (%s, now()::date, %s, 1)
ON CONFLICT (organization_id, day, type) DO UPDATE SET events = c.events + 1
"""
COUNTED = "SELECT type, events FROM shard.event_counts WHERE type LIKE %s"


@pytest.fixture(scope="module")
def a_redis(server, tmp_path_factory):
    with own_redis(server("redis-server"), tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def emptied(a_redis):
    a_redis.flush()
    return a_redis


@pytest.fixture(params=BOTH)
def redis(request, emptied):
    """The Redis that processes share, or None: then they have PostgreSQL alone."""
    return emptied if request.param == "redis" else None


@pytest.fixture
async def organization_id(shards):
    return (await make_organization(shards)).organization_id


@pytest.fixture
async def shard(shards, organization_id):
    shard = await shards.of(organization_id)
    await reset(shard)
    return shard


class Work:
    """A consumer in one process; what it did is counted in the transaction of its work."""

    types = None

    def __init__(self, name):
        self.name = name
        self.taken = 0
        self.hold = None
        self.reached = asyncio.Event()

    async def consume(self, tx, envelopes):
        for envelope in envelopes:
            await tx.execute(COUNT, (envelope.organization_id, f"{self.name}/{envelope.position}"))
        self.taken += len(envelopes)
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()

    async def done(self, shard):
        async with shard.engine_statement() as tx:
            rows = await tx.all(COUNTED, (self.name + "/%",))
        return {int(row["type"].partition("/")[2]): row["events"] for row in rows}


async def carrying(*processes):
    async def all_carry():
        return all(one.transport.carries for one in processes)

    await until_async(all_carry, "every process is connected to Redis", within=10)


async def ready(redis, *processes):
    if redis is not None:
        await carrying(*processes)


def stream(shard, of="events"):
    return key_name("test", SECRET, of, shard.number)


async def test_every_process_hears_each_event_once_and_all_in_one_order(shards, shard, organization_id, redis):
    async with (
        process(shards, redis, node="one") as one,
        process(shards, redis, node="two") as two,
        process(shards, redis, node="three") as three,
    ):
        await ready(redis, one, two, three)
        everybody = [one, two, three]
        await asyncio.gather(*(everybody[n % 3].tell(shard, organization_id, 2 * n, 2 * n + 1) for n in range(60)))
        heard = [await each.ear.until(120) for each in everybody]
        assert [each.value("events_behind", consumer="live", shard=str(shard.number)) for each in everybody] == [0] * 3
        by_redis = [each.value("events_heard_total", by="redis") for each in (two, three)]
        by_database = [each.value("events_heard_total", by="database") for each in (two, three)]
    assert heard[0] == heard[1] == heard[2]
    assert sorted(heard[0]) == list(range(120))
    assert all(heard[0].index(2 * n) < heard[0].index(2 * n + 1) for n in range(60))
    assert sum(by_redis) + sum(by_database) == 240
    assert sum(by_redis) > 0 if redis else sum(by_redis) == 0


@pytest.mark.parametrize("changing", [0, 1], ids=["beside the leader", "elsewhere"])
async def test_a_change_is_heard_elsewhere_within_a_second(shards, shard, organization_id, redis, changing):
    async with process(shards, redis, node="one") as one, process(shards, redis, node="two") as two:
        await ready(redis, one, two)
        here, there = (one, two) if changing == 0 else (two, one)
        for number in range(1, 6):
            await here.tell(shard, organization_id, number)
            await there.ear.until(number, within=1.0)
            await here.ear.until(number, within=1.0)


async def test_what_is_told_again_under_the_same_number_is_heard_once(shards, shard, organization_id, redis):
    async with process(shards, redis, node="one") as one, process(shards, redis, node="two") as two:
        await ready(redis, one, two)
        await one.tell(shard, organization_id, 1, 2)
        await two.ear.until(2)
        await one.transport.publish(shard.number, await stamped(shard))
        await one.tell(shard, organization_id, 3)
        assert await two.ear.until(3) == [1, 2, 3]
        assert await one.ear.until(3) == [1, 2, 3]


async def test_what_a_leader_stamped_and_never_told_is_heard_before_what_follows(shards, shard, organization_id, redis):
    held = await lead(shard, "dead")
    async with process(shards, redis, node="one") as one, process(shards, redis, node="two") as two:
        await ready(redis, one, two)
        await commit(shard, organization_id, [1, 2])
        assert await stamp(shard, held) == 2
        async with shard.engine_write() as tx:
            await tx.execute("UPDATE shard.leaders SET until = now()")
        await commit(shard, organization_id, [3])
        assert await one.ear.until(3) == await two.ear.until(3) == [1, 2, 3]


async def test_what_is_too_large_to_travel_is_heard_like_all_others(shards, shard, organization_id, redis):
    async with process(shards, redis, node="one") as one, process(shards, redis, node="two") as two:
        await ready(redis, one, two)
        # Who happens to look in the database at that moment misses nothing, so it is told a few times.
        for number in range(1, 31, 3):
            await one.tell(shard, organization_id, number)
            await one.tell(shard, organization_id, number + 1, filling="x" * (PAYLOAD_BYTES + 1))
            await one.tell(shard, organization_id, number + 2)
            heard = list(range(1, number + 3))
            assert await two.ear.until(len(heard), within=2.0) == await one.ear.until(len(heard)) == heard
        gaps = two.value("events_gaps_total")
    assert gaps >= 1 if redis else gaps == 0


async def test_work_is_done_once_over_all_processes(shards, shard, organization_id, redis):
    name = f"work-{secrets.token_hex(4)}"
    works = [Work(name), Work(name), Work(name)]
    async with (
        process(shards, redis, node="one", consumers=works[:1]) as one,
        process(shards, redis, node="two", consumers=works[1:2]) as two,
        process(shards, redis, node="three", consumers=works[2:]) as three,
    ):
        await ready(redis, one, two, three)
        for number in range(30):
            await (one, two, three)[number % 3].tell(shard, organization_id, number)

        async def all_done():
            return len(await works[0].done(shard)) == 30

        await until_async(all_done, "all events are worked", within=10)
    assert set((await works[0].done(shard)).values()) == {1}
    assert sum(work.taken for work in works) == 30


async def test_what_a_process_had_taken_when_it_died_another_does(shards, shard, organization_id, redis):
    name = f"work-{secrets.token_hex(4)}"
    mortal, heir = Work(name), Work(name)
    mortal.hold = asyncio.Event()
    async with process(shards, redis, node="mortal", consumers=[mortal]) as one:
        await ready(redis, one)
        await one.tell(shard, organization_id, 1, 2)
        await asyncio.wait_for(mortal.reached.wait(), 10)
        async with process(shards, redis, node="heir", consumers=[heir]) as two:
            await ready(redis, two)
            await one.relay.stop()

            async def all_done():
                return set((await heir.done(shard)).values()) == {1} and heir.taken == 2

            await until_async(all_done, "the other has done it", within=15)


# ── What only streams have ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stream_keeps_a_bounded_number_and_small_messages(shards, shard, organization_id, emptied):
    async with process(shards, emptied, node="one") as one, process(shards, emptied, node="two") as two:
        await carrying(one, two)
        for start in range(0, 600, 100):
            await one.tell(shard, organization_id, *range(start, start + 100))
            await one.tell(shard, organization_id, 10_000 + start, filling="x" * 1_000_000)
        await two.ear.until(606)
        client = connect(streams_config(emptied, "test").redis)
        length, size = await client.xlen(stream(shard)), await client.memory_usage(stream(shard), samples=0)
        await client.aclose(close_connection_pool=True)
    # "About" is in whole nodes of the tree that a stream is, of 100 entries here.
    assert length <= 2 * MOST_EVENTS
    assert size is not None
    assert size < 1_000_000


async def test_messages_of_strangers_are_dropped_counted_and_hold_up_nobody(shards, shard, organization_id, emptied):
    async with process(shards, emptied, node="one") as one, process(shards, emptied, node="two") as two:
        await carrying(one, two)
        await one.tell(shard, organization_id, 1)
        await two.ear.until(1)
        [known] = await stamped(shard)
        key = stream(shard)
        other = StreamWire(b"1" * 32, key, payload_bytes=PAYLOAD_BYTES).write([known])[0]
        own = StreamWire(SECRET, key, payload_bytes=PAYLOAD_BYTES)
        strange = own._prove(b"null")  # noqa: SLF001 - what no version of ours would write, with a proof
        poison = [
            {b"events": b"not json", b"proof": b"x" * 16},
            {b"events": b"null", b"proof": strange},
            {b"events": b"x" * 10_000_000, b"proof": b"x" * 16},
            {b"error": b"error"},
            other,
        ]
        client = connect(streams_config(emptied, "test").redis)
        for entry in poison:
            await client.xadd(key, entry)  # type: ignore[arg-type]  # a dict is invariant
        await client.xadd(stream(shard, "hints"), {b"error": b"\x00" * 100})
        await one.tell(shard, organization_id, 2)
        assert await two.ear.until(2) == await one.ear.until(2) == [1, 2]

        async def all_counted():
            of = ("foreign", "unreadable", "too_large")
            return [two.value("bus_messages_dropped_total", reason=reason) for reason in of] == [3, 1, 1]

        await until_async(all_counted, "each is counted", within=5)
        await client.aclose(close_connection_pool=True)
        await carrying(one, two)


async def test_an_event_of_an_unknown_kind_passes_by(shards, shard, organization_id, emptied):
    async with process(shards, emptied, node="one") as one, process(shards, emptied, node="two") as two:
        await carrying(one, two)
        await commit(shard, organization_id, [7], kind="error")
        await one.tell(shard, organization_id, 1)
        assert await two.ear.until(1) == [1]
        assert two.value("events_gaps_total") == 0


async def test_work_is_given_to_one_process_and_acknowledged_after_it_is_done(shards, shard, organization_id, emptied):
    work = Work(f"work-{secrets.token_hex(4)}")
    work.hold = asyncio.Event()
    client = connect(streams_config(emptied, "test").redis)
    async with process(shards, emptied, node="one", consumers=[work]) as one:
        await carrying(one)
        await one.tell(shard, organization_id, 1)
        await asyncio.wait_for(work.reached.wait(), 10)
        while (await client.xpending(stream(shard), GROUP))["pending"] != 1:
            pass
        work.hold.set()

        async def acknowledged():
            return (await client.xpending(stream(shard), GROUP))["pending"] == 0

        await until_async(acknowledged, "the message is acknowledged", within=5)
        assert await work.done(shard) == {(await stamped(shard))[0].position: 1}
        assert one.value("bus_work_taken_total", by="given") == 1
    assert await client.xinfo_consumers(stream(shard), GROUP) == []
    await client.aclose(close_connection_pool=True)


async def test_a_message_that_a_dead_process_holds_is_claimed(shards, shard, organization_id, emptied):
    client = connect(streams_config(emptied, "test").redis)
    work = Work(f"work-{secrets.token_hex(4)}")
    async with process(shards, emptied, node="one") as one:
        await carrying(one)
    # Taken by a process that never comes back.
    await client.xadd(stream(shard), {b"events": b"{}"})
    await client.xreadgroup(GROUP, "dead", {stream(shard): ">"}, 10)
    async with process(shards, emptied, node="two", consumers=[work]) as two:
        await carrying(two)

        async def claimed():
            return (await client.xpending(stream(shard), GROUP))["pending"] == 0

        await until_async(claimed, "the message is claimed and acknowledged", within=15)
        assert two.value("bus_work_taken_total", by="claimed") == 1
    await client.aclose(close_connection_pool=True)
