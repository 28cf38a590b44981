"""The relay on a real database: positions in the order of commits, one leader, live subscribers, bounds."""

import asyncio
import secrets
from contextlib import asynccontextmanager
from typing import ClassVar

import msgspec
import psycopg
import pytest

from make_bridge.kernel.messages import Event, message
from make_bridge.platform.bus import event_store
from make_bridge.platform.bus.event_store import Lead
from make_bridge.platform.bus.events import LiveSubscription
from make_bridge.platform.bus.postgres_transport import PostgresTransport
from make_bridge.platform.bus.relay import DUTY, Relay, RelayConfig, Told
from make_bridge.platform.coordination.leadership import Leadership
from make_bridge.platform.observability.metrics import Metrics
from support.organizations import make_organization

INSERT = "INSERT INTO shard.outbox (organization_id, type, subject, payload) VALUES (%s, %s, 'thing/1', %s)"
STAMPED = (
    "SELECT convert_from(payload, 'UTF8')::json->>'number' AS number, position FROM shard.outbox ORDER BY position"
)


@message
class Happened(Event):
    """Something happened."""

    wire_name: ClassVar[str] = "test.happened.v1"
    number: int


@pytest.fixture
async def organization_id(shards):
    return (await make_organization(shards)).organization_id


@pytest.fixture
async def shard(shards, organization_id):
    shard = await shards.of(organization_id)
    async with shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.outbox")
        await tx.execute("UPDATE shard.leaders SET until = now()")
        await tx.execute("UPDATE shard.event_positions SET trimmed = last")
    return shard


async def write(tx, organization_id, *numbers, kind=Happened.wire_name):
    for number in numbers:
        await tx.execute(INSERT, (organization_id, kind, msgspec.json.encode({"number": number})))


async def commit(shard, organization_id, *numbers, kind=Happened.wire_name):
    async with shard.write(organization_id) as tx:
        await write(tx, organization_id, *numbers, kind=kind)


async def lead(shard, node="one"):
    fence = await Leadership(shard, DUTY, node).hold()
    assert fence is not None
    return Lead(name=DUTY, owner=node, fence=fence)


async def stamp(shard, held, most=1000):
    async with shard.engine_statement() as tx:
        return await event_store.stamp(tx, held, most)


async def stamped(shard):
    async with shard.engine_statement() as tx:
        rows = await tx.all(STAMPED)
    return [(int(row["number"]), row["position"]) for row in rows]


async def order(shard):
    """The numbers of events in the order of their positions, which have no gap among them; unstamped ones last."""
    found = await stamped(shard)
    positions = [position for _, position in found if position is not None]
    assert positions == list(range(positions[0], positions[0] + len(positions))) if positions else True
    return [number for number, _ in found]


class Ear:
    """Keeps what it hears, and says when that is enough."""

    def __init__(self, fails=False):
        self.numbers = []
        self.fails = fails
        self._news = asyncio.Event()

    def hear(self, events):
        self.numbers += [event.number for event in events]
        self._news.set()
        if self.fails:
            raise ValueError("no")

    async def until(self, count, within=5.0):
        async with asyncio.timeout(within):
            while len(self.numbers) < count:
                self._news.clear()
                await self._news.wait()
        return self.numbers


@asynccontextmanager
async def process(shards, *ears, node=None, consumers=(), metrics=None, with_hints=True, **config):
    live = [LiveSubscription(kinds=(Happened,), hear=ear.hear) for ear in ears]
    own = RelayConfig(node=node or secrets.token_hex(4), **config)
    transport = PostgresTransport(own.node, with_hints=with_hints)
    relay = Relay(shards, metrics or Metrics(), own, Told(live=live, consumers=consumers), transport)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


async def test_positions_follow_commits_and_a_late_committer_is_not_passed_by(shard, organization_id):
    held = await lead(shard)
    async with shard.write(organization_id) as slow:
        await write(slow, organization_id, 1)
        await commit(shard, organization_id, 2)
        assert await stamp(shard, held) == 1
    assert await stamp(shard, held) == 1
    assert await order(shard) == [2, 1]


async def test_a_transaction_s_events_keep_their_order(shard, organization_id):
    numbers = list(range(50))
    await commit(shard, organization_id, *numbers)
    held = await lead(shard)
    while await stamp(shard, held, most=7):
        pass
    assert await order(shard) == numbers


async def test_who_does_not_lead_any_more_stamps_nothing(shard, organization_id):
    held = await lead(shard)
    async with shard.engine_write() as tx:
        await tx.execute("UPDATE shard.leaders SET until = now() - interval '1 second'")
    newer = await lead(shard, "two")
    await commit(shard, organization_id, 1)
    assert await stamp(shard, held) == 0
    assert await stamp(shard, newer) == 1


async def test_concurrent_writers_and_two_relays_give_every_process_all_events_in_one_order(
    shards, shard, organization_id
):
    one, two = Ear(), Ear()
    async with process(shards, one, node="one"), process(shards, two, node="two"):
        await asyncio.gather(*(commit(shard, organization_id, 2 * n, 2 * n + 1) for n in range(40)))
        await one.until(80)
        await two.until(80)
    assert one.numbers == two.numbers == await order(shard)
    assert sorted(one.numbers) == list(range(80))
    places = {number: place for place, number in enumerate(one.numbers)}
    assert all(places[2 * n] < places[2 * n + 1] for n in range(40))


@pytest.mark.parametrize("with_hints", [True, False])
async def test_a_change_here_is_heard_elsewhere_within_a_second(shards, shard, organization_id, with_hints):
    here, there = Ear(), Ear()
    # Fixed names: the first leads, so the change is committed once beside the leader and once beside a follower.
    async with (
        process(shards, here, node="one", with_hints=with_hints) as leader,
        process(shards, there, node="two", with_hints=with_hints) as follower,
    ):
        for number, relay in enumerate((leader, follower), 1):
            await commit(shard, organization_id, number)
            relay.hear(None, [Happened(number=number)])
            await there.until(number, within=1.0)
            await here.until(number, within=1.0)


async def test_a_stopped_leader_is_followed_at_once(shards, shard, organization_id):
    ear = Ear()
    async with process(shards, ear, node="two"):
        async with process(shards, node="one"):
            await commit(shard, organization_id, 1)
            await ear.until(1)
        await commit(shard, organization_id, 2)
        assert await ear.until(2) == [1, 2]


async def test_events_of_before_a_process_and_of_other_kinds_are_not_told_to_it(shards, shard, organization_id):
    await commit(shard, organization_id, 1)
    await stamp(shard, await lead(shard, "one"))
    ear = Ear()
    async with process(shards, ear, node="one"):
        await commit(shard, organization_id, 2, kind="test.other.v1")
        await commit(shard, organization_id, 3)
        assert await ear.until(1) == [3]


async def test_a_subscriber_that_fails_and_an_event_that_nobody_can_read_hold_up_nobody(shards, shard, organization_id):
    bad, good = Ear(fails=True), Ear()
    async with process(shards, bad, good):
        await commit(shard, organization_id, "no number")
        await commit(shard, organization_id, 1)
        await good.until(1)
        await commit(shard, organization_id, 2)
        assert await good.until(2) == bad.numbers == [1, 2]


async def test_old_events_and_those_beyond_the_number_are_let_go_and_positions_go_on(shard, organization_id):
    await commit(shard, organization_id, *range(10))
    held = await lead(shard)
    await stamp(shard, held)
    last = (await stamped(shard))[-1][1]
    async with shard.engine_write() as tx:
        await tx.execute(
            "UPDATE shard.outbox SET created_at = now() - interval '8 days' WHERE position <= %s", (last - 7,)
        )
    async with shard.engine_statement() as tx:
        assert await event_store.trim(tx, held, days=7, most=1000, batch=100) == 3
        assert await event_store.trim(tx, held, days=7, most=4, batch=100) == 3
        assert await event_store.trim(tx, held, days=7, most=4, batch=100) == 0
        stale = msgspec.structs.replace(held, fence=held.fence + 1)
        assert await event_store.trim(tx, stale, days=7, most=0, batch=100) == 0
        assert await event_store.trim(tx, held, days=7, most=0, batch=100) == 4
    await commit(shard, organization_id, 99)
    await stamp(shard, held)
    assert await stamped(shard) == [(99, last + 1)]


_MANY_TOLD = """
INSERT INTO shard.outbox (organization_id, type, subject, payload, position)
SELECT %s, 'told', 'one', '{}', 1000000 + n FROM generate_series(1, 3000) n
"""


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("EXPLAIN SELECT id FROM shard.outbox WHERE position IS NULL ORDER BY sequence LIMIT 10", "outbox_unstamped"),
        (
            (
                "EXPLAIN SELECT id FROM shard.outbox WHERE position > 5 AND position <= 9 AND NOT is_history"
                " ORDER BY position"
            ),
            "outbox_position",
        ),
    ],
)
async def test_what_the_relay_looks_for_is_found_by_its_index(shard, organization_id, statement, index):
    async with shard.engine_write() as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        # In a table of one page any index is as good as another.
        await tx.execute("SAVEPOINT few")
        await tx.execute(_MANY_TOLD, (organization_id,))
        plan = "\n".join(row["QUERY PLAN"] for row in await tx.all(statement))
        await tx.execute("ROLLBACK TO SAVEPOINT few")
    assert index in plan


async def test_a_relay_whose_connections_were_cut_goes_on(shards, shard, organization_id, postgres):
    ear = Ear()
    async with process(shards, ear):
        await commit(shard, organization_id, 1)
        await ear.until(1)
        async with await psycopg.AsyncConnection.connect(postgres.owner_dsn, autocommit=True) as owner:
            await owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = %s AND application_name LIKE '%%bridge_engine'",
                (postgres.role.name,),
            )
        await commit(shard, organization_id, 2)
        assert await ear.until(2, within=10.0) == [1, 2]
