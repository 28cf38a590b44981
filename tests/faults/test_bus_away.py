"""Redis is killed, paused, emptied, cut off, full and lied to while events pass: each is heard once and in order.

Two processes' parts of the bus run inside the test's own, over a real PostgreSQL and a real Redis, so that a process
that misses something can be asked what it heard. Their look at the database, which would put anything right in the end,
is an hour away: what is heard all the same was noticed to be missing. One test has that look alone. Two whole servers
at one Redis stand at the end.
"""

import contextlib
import random
import secrets
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.scene import QUICK, new_seed, tell
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.events import Envelope
from make_bridge.platform.bus.relay import LOOK_SECONDS
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import WriteTx
from make_bridge.platform.redis.client import key_name
from support.bus import SECRET, Process, commit, lead, process, reset, stamp
from support.integrator import Connected, new_organization
from support.network import send
from support.organizations import make_organization
from support.postgres import PostgresServer, open_shards
from support.postgres_process import own_postgres
from support.redis_process import RedisProcess, own_redis
from support.server import Installation, ServerProcess, installed
from support.waiting import until, until_async

pytestmark = [pytest.mark.requires_server("redis-server"), pytest.mark.timeout(300)]
FAR = 3600.0
CONVERGES_WITHIN = 5.0
ROUND = 40
FAR_FUTURE = "99999999999999-0"


@dataclass(kw_only=True)
class Place:
    """A shard of an organization, and the Redis beside it."""

    shards: Shards
    shard: Shard
    organization_id: OrganizationId
    redis: RedisProcess

    @property
    def stream(self) -> str:
        return key_name("test", SECRET, "events", self.shard.number)

    @asynccontextmanager
    async def pair(self, look_seconds: float = FAR) -> AsyncIterator[tuple[Process, Process, "Work"]]:
        """Two processes that both hear Redis and work; the first leads."""
        work = Work(f"work-{secrets.token_hex(4)}")
        async with (
            process(self.shards, self.redis, node="one", consumers=[work], look_seconds=look_seconds) as one,
            process(self.shards, self.redis, node="two", consumers=[work], look_seconds=look_seconds) as two,
        ):
            await carrying(one, two)
            yield one, two, work

    async def tell(self, by: Process, numbers: range) -> None:
        for number in numbers:
            await by.tell(self.shard, self.organization_id, number)


class Work:
    """A consumer that notes which events it took, in transactions that all come through here."""

    types = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.positions: list[int] = []

    async def consume(self, tx: WriteTx, envelopes: "list[Envelope] | object") -> None:
        del tx
        assert isinstance(envelopes, list)
        self.positions += [envelope.position for envelope in envelopes]


@pytest.fixture
async def place(postgres: PostgresServer, server: Callable[[str], Path], tmp_path: Path) -> AsyncIterator[Place]:
    async with open_shards(postgres, "one") as shards:
        organization_id = (await make_organization(shards)).organization_id
        shard = await shards.of(organization_id)
        await reset(shard)
        with own_redis(server("redis-server"), tmp_path / "redis") as redis:
            yield Place(shards=shards, shard=shard, organization_id=organization_id, redis=redis)


async def carrying(*processes: Process) -> None:
    async def all_carry() -> bool:
        return all(one.transport.carries for one in processes)

    await until_async(all_carry, "every process is connected to Redis", within=10)


@contextlib.contextmanager
def harm(redis: RedisProcess, fault: str) -> Iterator[None]:
    """Do it, and undo it at the end."""
    if fault == "killed":
        redis.kill()
        yield
        redis.start()
    elif fault == "paused":
        redis.pause()
        yield
        redis.resume()
    elif fault in {"noeviction", "allkeys-lru"}:
        redis.command("CONFIG", "SET", "maxmemory-policy", fault)
        redis.command("CONFIG", "SET", "maxmemory", "1")
        yield
        redis.command("CONFIG", "SET", "maxmemory", "0")
    else:
        words = {"flushed": ("FLUSHALL",), "cut": ("CLIENT", "KILL", "TYPE", "normal")}[fault]
        over = threading.Event()

        def again_and_again() -> None:
            while not over.wait(0.05):
                with contextlib.suppress(OSError):
                    redis.command(*words)

        storm = threading.Thread(target=again_and_again)
        storm.start()
        yield
        over.set()
        storm.join()


@pytest.mark.parametrize("fault", ["killed", "paused", "flushed", "cut", "noeviction", "allkeys-lru"])
async def test_events_are_heard_once_and_in_order_through_every_fault(
    place: Place, fault: str, record_property: Callable[[str, object], None]
) -> None:
    """F-33, F-34."""
    seed = new_seed()
    chance = random.Random(seed)  # noqa: S311 - beside which process an event is committed can be repeated
    rounds = [range(start, start + ROUND) for start in (0, ROUND, 2 * ROUND)]
    async with place.pair() as (one, two, work):
        both = (one, two)
        await place.tell(chance.choice(both), rounds[0])
        with harm(place.redis, fault):
            for number in rounds[1]:
                await place.tell(chance.choice(both), range(number, number + 1))
            away = time.monotonic()
            # While Redis is away, too: nobody waits for it to come back.
            for each in both:
                await each.ear.until(2 * ROUND, within=CONVERGES_WITHIN)
            away = time.monotonic() - away
        healed = time.monotonic()
        await place.tell(chance.choice(both), rounds[2])
        heard = [list(await each.ear.until(3 * ROUND, within=CONVERGES_WITHIN)) for each in both]
        healed = time.monotonic() - healed

        async def all_worked() -> bool:
            return len(work.positions) >= 3 * ROUND

        await until_async(all_worked, "all events are worked", within=10)
        await carrying(one, two)
        by_redis = two.value("events_heard_total", by="redis")
    wanted = list(range(3 * ROUND))
    verdict = {
        "LOST": sum(len(set(wanted) - set(each)) for each in heard),
        "MULTI": sum(len(each) - len(set(each)) for each in heard),
        "DUP_EFFECT": len(work.positions) - len(set(work.positions)),
        "STUCK": 3 * ROUND - len(set(work.positions)),
    }
    told = f"seed {seed}; Redis {fault}: {verdict}; caught up after {away:.2f} s away, {healed:.2f} s back"
    tell(told)
    record_property("faults", told)
    assert verdict == dict.fromkeys(verdict, 0), told
    assert heard == [wanted, wanted], told
    assert by_redis > 0, "nothing came through Redis: the test does not bite"


async def test_a_hundred_changes_that_a_stream_lost_are_heard_with_the_next(place: Place) -> None:
    async with place.pair() as (one, two, _):
        await one.tell(place.shard, place.organization_id, 0)
        await two.ear.until(1)
        held = await lead(place.shard, "one")
        # As by a leader that is killed between its stamp and its telling, for a hundred events.
        await commit(place.shard, place.organization_id, range(1, 101))
        await stamp(place.shard, held)
        await one.tell(place.shard, place.organization_id, 101)
        assert await two.ear.until(102, within=CONVERGES_WITHIN) == list(range(102))
        assert two.value("events_gaps_total") == 1


async def test_a_leader_that_cannot_write_to_redis_tells_by_another_way(place: Place) -> None:
    async with place.pair() as (one, two, _):
        # The other reads Redis as ever, and would wait for its word.
        with harm(place.redis, "noeviction"):
            for number in range(5):
                await one.tell(place.shard, place.organization_id, number)
                assert await two.ear.until(number + 1, within=CONVERGES_WITHIN) == list(range(number + 1))
            assert one.value("events_published_total", result="failed") > 0


async def test_a_stream_that_begins_anew_with_smaller_numbers_is_heard(place: Place) -> None:
    async with place.pair() as (one, two, _):
        # As by a replica whose clock is behind that of the Redis before it, which had nothing of its streams.
        place.redis.command("XADD", place.stream, FAR_FUTURE, "strange", "1")
        await until_async(_dropped(two), "the reader has come so far", within=5)
        place.redis.flush()
        for number in range(5):
            await one.tell(place.shard, place.organization_id, number)
            assert await two.ear.until(number + 1, within=CONVERGES_WITHIN) == list(range(number + 1))
        before = two.value("events_heard_total", by="redis")
        await one.tell(place.shard, place.organization_id, 5)
        await two.ear.until(6, within=CONVERGES_WITHIN)
        assert two.value("events_heard_total", by="redis") == before + 1


def _dropped(each: Process) -> Callable[[], Awaitable[bool]]:
    async def is_dropped() -> bool:
        return (
            each.value("bus_messages_dropped_total", reason="foreign")
            + each.value("bus_messages_dropped_total", reason="too_large")
            == 1
        )

    return is_dropped


async def test_an_event_that_nobody_told_of_is_found_by_the_look(place: Place) -> None:
    look_seconds = 3.0
    held = await lead(place.shard, "elsewhere")
    async with place.pair(look_seconds) as (one, two, _):

        async def felt(number: int) -> float:
            nonlocal held
            await commit(place.shard, place.organization_id, [number])
            held = await lead(place.shard, "elsewhere")
            began = time.monotonic()
            assert await stamp(place.shard, held) == 1
            await one.ear.until(number + 1)
            await two.ear.until(number + 1)
            return time.monotonic() - began

        carried = [await felt(number) for number in range(3)]
        place.redis.kill()

        async def away() -> bool:
            return not (one.transport.carries or two.transport.carries)

        await until_async(away, "both know that Redis is away", within=5)
        alone = [await felt(number) for number in range(3, 6)]
    told = f"felt by looks alone: {carried} s beside Redis, {alone} s without it"
    tell(told)
    assert max(carried) < look_seconds + 1, told
    assert max(alone) < LOOK_SECONDS + 0.6, told


@pytest.mark.parametrize(
    "words",
    [
        ("events", "not json", "proof", "0123456789abcdef"),
        ("events", "null", "proof", "0123456789abcdef"),
        ("error", "error"),
        ("events", "x" * 10_000_000, "proof", "0123456789abcdef"),
        ("events", '{"type":"error","position":1000000,"id":"1","data":{}}', "proof", "0123456789abcdef"),
    ],
    ids=["no JSON", "null", "error", "10 MB", "a position from nowhere"],
)
async def test_poison_is_dropped_and_counted_and_nobody_dies_of_it(place: Place, words: tuple[str, ...]) -> None:
    async with place.pair() as (one, two, work):
        await one.tell(place.shard, place.organization_id, 0)
        await two.ear.until(1)
        place.redis.command("XADD", place.stream, "*", *words)
        for number in (1, 2):
            await one.tell(place.shard, place.organization_id, number)
            assert await two.ear.until(number + 1, within=CONVERGES_WITHIN) == list(range(number + 1))
        for each in (one, two):
            await until_async(_dropped(each), "the message is dropped and counted", within=CONVERGES_WITHIN)
            assert each.transport.carries
        assert two.value("events_gaps_total") == 0

        async def all_worked() -> bool:
            return len(work.positions) == 3

        await until_async(all_worked, "all events are worked", within=5)


# ── Two servers ──────────────────────────────────────────────────────────────────────────────────────────────────────

FELT_WITHIN = 1.0
REFUSED_WITHIN = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Two servers, the database and the Redis they share."""

    installation: Installation
    redis: RedisProcess
    first: ServerProcess
    second: ServerProcess


@pytest.fixture
def servers(tmp_path: Path, server: Callable[[str], Path]) -> Iterator[Servers]:
    with ExitStack() as exits:
        postgres = exits.enter_context(own_postgres(server("postgresql-15")))
        redis = exits.enter_context(own_redis(server("redis-server"), tmp_path / "redis"))
        settings = {"REDIS_URL": redis.url, "REDIS_SECONDS": "1", "REDIS_PROBE_SECONDS": "0.2"}
        installation = exits.enter_context(installed("external-one", tmp_path / "w", postgres, **settings))
        first, second = (installation.server(name, NODE_ID=name).start() for name in ("first", "second"))
        for one in (first, second):
            until(lambda one=one: one.metric("bus_carries", of="shared") == 1, "events pass through Redis", within=20)  # type: ignore[misc]  # a default of a lambda
        yield Servers(installation=installation, redis=redis, first=first, second=second)


def _connected(here: ServerProcess) -> Connected:
    customer = new_organization(here.installation, here.url).customer("dana@example.com")
    options = {"autoActivate": True, "scenario": {"name": QUICK["name"], "enable": True}}
    return customer.connect(customer.integrator.publish(QUICK), {}, **options)


@pytest.mark.requires_server("postgresql-15")
def test_what_is_changed_at_one_server_is_felt_at_the_other_whatever_becomes_of_redis(
    servers: Servers, record_property: Callable[[str, object], None]
) -> None:
    redis, here, there = servers.redis, servers.first, servers.second
    scenario = _connected(here)
    address = f"{there.url}/hook/{scenario.hook_url.rpartition('/')[2]}"
    felt: dict[str, float] = {}

    def is_answered(status: int) -> bool:
        return send("POST", address, json_body={"op": "1"}).status == status

    faults: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "flushed": redis.flush,
        "cut": lambda: redis.command("CLIENT", "KILL", "TYPE", "normal"),
        "full": lambda: redis.command("CONFIG", "SET", "maxmemory", "1"),
        "room again": lambda: redis.command("CONFIG", "SET", "maxmemory", "0"),
        "killed": redis.kill,
        "started empty": redis.start,
    }
    for name, fault in faults.items():
        until(lambda: is_answered(200), "the other server takes webhooks", within=REFUSED_WITHIN)
        fault()
        began = time.monotonic()
        scenario.portal.post(f"/scenarios/{scenario.id}/deactivate")
        until(lambda: is_answered(409), "the other server refuses the webhook", within=REFUSED_WITHIN)
        felt[name] = round(time.monotonic() - began, 2)
        scenario.portal.post(f"/scenarios/{scenario.id}/activate")
    until(lambda: is_answered(200), "the other server takes webhooks", within=REFUSED_WITHIN)
    by_redis = [one.metric("events_heard_total", by="redis") for one in (here, there)]
    told = f"felt elsewhere after seconds: {felt}; heard through Redis {by_redis}"
    tell(told)
    record_property("faults", told)
    assert felt["nothing"] < FELT_WITHIN
    assert sum(by_redis) > 0, "nothing came through Redis"


@pytest.mark.requires_server("postgresql-15")
def test_a_revoked_token_is_refused_everywhere_while_redis_is_emptied_and_poisoned(servers: Servers) -> None:
    organization = str(new_organization(servers.installation, servers.first.url).organization_id)
    both = (servers.first, servers.second)
    made = servers.installation.ask(
        "tokens", "create", "Reader", "--organization", organization, "--scope", "usage:read"
    )

    def status(server: ServerProcess) -> int:
        headers = {"Authorization": f"Token {made['token']}"}
        return send("GET", f"{server.url}/api/v2/organizations/{organization}/usage", headers=headers).status

    assert [status(one) for one in both] == [200, 200]
    [stream] = [key for key in servers.redis.all_keys() if ":events:" in key]
    servers.redis.command("XADD", stream, "*", "events", "null", "proof", "0123456789abcdef")
    servers.redis.command("XADD", stream, "*", "events", "x" * 10_000_000)
    for one in both:
        until(
            lambda one=one: _dropped_by(one) == 2,  # type: ignore[misc]  # a default of a lambda
            "both are dropped and counted",
            within=10,
        )
    servers.installation.command("tokens", "revoke", str(made["id"]), "--organization", organization)
    servers.redis.flush()
    until(lambda: [status(one) for one in both] == [401, 401], "the token is refused", within=REFUSED_WITHIN)


def _dropped_by(server: ServerProcess) -> float:
    return sum(server.metric("bus_messages_dropped_total", reason=reason) for reason in ("foreign", "too_large"))
