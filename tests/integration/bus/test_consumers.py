"""Consumers on a real database: each event's work once, whoever is killed; what keeps failing is put aside."""

import asyncio
import secrets
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest

from make_bridge.platform.bus import event_store
from make_bridge.platform.bus.consumers import MOST_TRIES, ConsumerLoop
from make_bridge.platform.bus.event_store import Lead
from make_bridge.platform.bus.postgres_transport import PostgresTransport
from make_bridge.platform.bus.relay import DUTY, Relay, RelayConfig, Told
from make_bridge.platform.coordination.leadership import Leadership
from make_bridge.platform.observability.metrics import Metrics
from support.organizations import make_organization

INSERT = "INSERT INTO shard.outbox (organization_id, type, subject, payload) VALUES (%s, %s, 'thing/1', %s)"
COUNT = """
INSERT INTO shard.event_counts AS c (organization_id, day, type, events) VALUES (%s, now()::date, %s, 1)
ON CONFLICT (organization_id, day, type) DO UPDATE SET events = c.events + 1
"""
KIND = "test.happened.v1"
LONG_ENOUGH = 7.0
"""Seconds of a pause that no machine is too slow to see."""


class Diary:
    """Notes each event in the transaction it is given, and beside it; fails at the numbers it is told to."""

    types = (KIND,)

    def __init__(self, *bad, name=None):
        self.name = name or f"diary-{secrets.token_hex(4)}"
        self.bad = set(bad)
        self.seen = []
        self.calls = 0
        self.hold = None
        self.reached = asyncio.Event()

    async def consume(self, tx, envelopes):
        self.calls += 1
        for envelope in envelopes:
            number = msgspec.json.decode(envelope.data)["number"]
            await tx.execute(COUNT, (envelope.organization_id, f"{self.name}/{number}"))
            if number in self.bad:
                raise ValueError(f"number {number}")
            self.seen.append((number, envelope.id))
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()


@pytest.fixture
async def organization_id(shards):
    return (await make_organization(shards)).organization_id


@pytest.fixture
async def shard(shards, organization_id):
    shard = await shards.of(organization_id)
    async with shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.outbox")
        await tx.execute("DELETE FROM shard.parked_events")
        await tx.execute("UPDATE shard.leaders SET until = now()")
        await tx.execute("UPDATE shard.event_positions SET trimmed = last")
    return shard


@pytest.fixture
def tell(shard, organization_id):
    """Commit events and give them positions."""

    async def told(*numbers, kind=KIND):
        async with shard.write(organization_id) as tx:
            for number in numbers:
                await tx.execute(INSERT, (organization_id, kind, msgspec.json.encode({"number": number})))
        fence = await Leadership(shard, DUTY, "one").hold()
        assert fence is not None
        async with shard.engine_statement() as tx:
            await event_store.stamp(tx, Lead(name=DUTY, owner="one", fence=fence), 1000)

    return told


async def joined(shard, diary, metrics=None):
    async with shard.engine_statement() as tx:
        await event_store.join(tx, diary.name)
    return ConsumerLoop(shard, diary, metrics or Metrics())


async def at_once(shard, diary):
    """Let a consumer that waits before its next try do it now."""
    async with shard.engine_statement() as tx:
        await tx.execute("UPDATE shard.event_consumers SET retry_at = now() WHERE name = %s", (diary.name,))


async def done(shard, diary):
    """What a consumer's committed work says: number -> how often."""
    async with shard.engine_statement() as tx:
        rows = await tx.all("SELECT type, events FROM shard.event_counts WHERE type LIKE %s", (diary.name + "/%",))
    return {int(row["type"].partition("/")[2]): row["events"] for row in rows}


async def until_done(shard, diary, wanted):
    async with asyncio.timeout(5):
        while await done(shard, diary) != wanted:
            pass


async def parked(shard):
    async with shard.engine_statement() as tx:
        return await tx.all("SELECT * FROM shard.parked_events ORDER BY position")


async def test_work_and_position_move_together_and_other_kinds_are_passed_over(shard, tell):
    diary = Diary()
    loop = await joined(shard, diary)
    await tell(1, 2)
    await tell(7, kind="test.other.v1")
    await tell(3)
    assert not await loop.step()
    assert not await loop.step()
    assert await done(shard, diary) == {1: 1, 2: 1, 3: 1}
    assert (diary.calls, [number for number, _ in diary.seen]) == (1, [1, 2, 3])


async def test_a_consumer_that_dies_in_the_middle_leaves_everything_to_the_next(shard, tell):
    first = Diary(name="mortal-" + secrets.token_hex(4))
    first.hold = asyncio.Event()
    loop = await joined(shard, first)
    await tell(1, 2)
    dying = asyncio.create_task(loop.step())
    await first.reached.wait()
    dying.cancel()
    with suppress(asyncio.CancelledError):
        await dying
    assert await done(shard, first) == {}
    second = Diary(name=first.name)
    await (await joined(shard, second)).step()
    assert await done(shard, second) == {1: 1, 2: 1}
    assert second.seen == first.seen, "told again under the same ids"


async def test_two_processes_share_a_consumer_and_do_each_event_once(shard, tell):
    one = Diary(name="shared-" + secrets.token_hex(4))
    two = Diary(name=one.name)
    one.hold = asyncio.Event()
    first, second = await joined(shard, one), await joined(shard, two)
    await tell(1, 2, 3)
    busy = asyncio.create_task(first.step())
    await one.reached.wait()
    assert not await second.step()
    one.hold.set()
    await busy
    await tell(4)
    await second.step()
    assert await done(shard, one) == {1: 1, 2: 1, 3: 1, 4: 1}
    assert [number for number, _ in two.seen] == [4]


async def test_a_poisonous_event_waits_longer_each_time_then_is_parked_and_the_rest_goes_on(shard, tell):
    diary, metrics = Diary(2), Metrics()
    loop = await joined(shard, diary, metrics)
    await tell(1, 2, 3)
    assert not await loop.step()
    assert await done(shard, diary) == {1: 1}
    pauses = []
    for _ in range(MOST_TRIES - 1):
        async with shard.engine_statement() as tx:
            row = await tx.one(
                "SELECT extract(epoch FROM retry_at - updated_at)::float8 AS pause FROM shard.event_consumers"
                " WHERE name = %s",
                (diary.name,),
            )
        pauses.append(row["pause"])
        assert await parked(shard) == []
        if row["pause"] > LONG_ENOUGH:
            calls = diary.calls
            assert not await loop.step()
            assert diary.calls == calls, "it waits before it tries again"
        await at_once(shard, diary)
        await loop.step()
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert await done(shard, diary) == {1: 1, 3: 1}
    [poison] = await parked(shard)
    assert (poison["consumer"], poison["error"], bytes(poison["payload"])) == (
        diary.name, "ValueError: number 2", b'{"number":2}',
    )  # fmt: skip
    told = metrics.render().decode()
    assert f'events_parked_total{{consumer="{diary.name}",shard="{shard.number}"}} 1.0' in told
    assert f'events_behind{{consumer="{diary.name}",shard="{shard.number}"}} 0.0' in told


async def test_an_event_that_works_at_its_second_try_is_not_parked(shard, tell):
    diary = Diary(1)
    loop = await joined(shard, diary)
    await tell(1, 2)
    await loop.step()
    diary.bad.clear()
    await at_once(shard, diary)
    await loop.step()
    assert await done(shard, diary) == {1: 1, 2: 1}
    assert await parked(shard) == []


ASK = "UPDATE shard.parked_events SET replay_at = now()"


async def park(shard, tell, loop, diary, *numbers):
    """Let a consumer fail at these until they are put aside."""
    await tell(*numbers)
    for _ in range(MOST_TRIES * len(numbers)):
        await at_once(shard, diary)
        await loop.step()
    assert len(await parked(shard)) == len(numbers)


async def test_a_parked_event_that_is_asked_for_is_taken_once_under_its_first_id(shard, tell):
    diary, metrics = Diary(1), Metrics()
    loop = await joined(shard, diary, metrics)
    await park(shard, tell, loop, diary, 1)
    [poison] = await parked(shard)
    diary.bad.clear()
    await loop.step()
    assert len(await parked(shard)) == 1, "nobody has asked"
    async with shard.engine_statement() as tx:
        await tx.execute(ASK)
    await loop.step()
    await loop.step()
    assert await parked(shard) == []
    assert await done(shard, diary) == {1: 1}
    assert diary.seen == [(1, str(poison["event_id"]))]


async def test_a_parked_event_that_fails_again_waits_to_be_asked_for_anew_and_holds_up_nobody(shard, tell):
    diary = Diary(1, 2)
    loop = await joined(shard, diary)
    await park(shard, tell, loop, diary, 1, 2)
    async with shard.engine_statement() as tx:
        await tx.execute(ASK)
    diary.bad = {1}
    await tell(3)
    await loop.step()
    [poison] = await parked(shard)
    assert (poison["replays"], poison["replay_at"], poison["error"]) == (1, None, "ValueError: number 1")
    assert await done(shard, diary) == {2: 1, 3: 1}
    calls = diary.calls
    await loop.step()
    assert diary.calls == calls


async def test_no_parked_event_is_taken_while_another_process_holds_the_consumer(shard, tell):
    diary = Diary(1)
    loop = await joined(shard, diary)
    await park(shard, tell, loop, diary, 1)
    diary.bad.clear()
    async with shard.engine_statement() as tx:
        await tx.execute(ASK)
    async with shard.engine_write() as tx:
        assert await event_store.hold(tx, diary.name) is not None
        await loop.step()
    assert await done(shard, diary) == {}
    await loop.step()
    assert await done(shard, diary) == {1: 1}


async def test_how_far_a_consumer_is_behind_and_what_it_missed_is_counted(shard, tell):
    diary, metrics = Diary(), Metrics()
    loop = await joined(shard, diary, metrics)
    await tell(*range(5))
    async with shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.outbox WHERE position < (SELECT last FROM shard.event_positions)")
        await tx.execute("UPDATE shard.event_positions SET trimmed = last - 1")
    await loop.step()
    assert await done(shard, diary) == {4: 1}
    assert f'events_missed_total{{consumer="{diary.name}",shard="{shard.number}"}} 4.0' in metrics.render().decode()


@asynccontextmanager
async def process(shards, *consumers, node):
    relay = Relay(shards, Metrics(), RelayConfig(node=node), Told(consumers=consumers), PostgresTransport(node))
    await relay.start()
    try:
        yield
    finally:
        await relay.stop()


async def test_the_relay_wakes_its_consumers_and_a_stopped_process_is_replaced(shards, shard, organization_id):
    one = Diary(name="group-" + secrets.token_hex(4))
    two = Diary(name=one.name)

    async def commit(number):
        async with shard.write(organization_id) as tx:
            await tx.execute(INSERT, (organization_id, KIND, msgspec.json.encode({"number": number})))

    async with process(shards, two, node="two"):
        async with process(shards, one, node="one"):
            await commit(1)
            await until_done(shard, one, {1: 1})
        await commit(2)
        await until_done(shard, two, {1: 1, 2: 1})
