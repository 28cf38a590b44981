"""The far cache against a real Redis: shared, sealed, nothing older than the last change, and never in the way."""

import asyncio
import itertools
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from make_bridge.kernel.clock import ManualClock, SystemClock
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.cache.config import FarConfig
from make_bridge.platform.cache.far import FarCache, Place
from make_bridge.platform.cache.layers import Lives, RememberedAnswers
from make_bridge.platform.observability.metrics import Declarations, FarCacheCounters, RedisCounters
from make_bridge.platform.redis.client import RedisClient
from make_bridge.platform.redis.config import RedisConfig
from support.redis_process import own_redis
from support.waiting import until_async

pytestmark = pytest.mark.requires_server("redis-server")
HERS, HIS = OrganizationId(1024), OrganizationId(2048)
POLICIES = ["allkeys-lfu", "allkeys-lru", "allkeys-random", "noeviction", "volatile-lfu", "volatile-lru",
            "volatile-random", "volatile-ttl"]  # fmt: skip
LARGEST = 64 * 1024


@pytest.fixture
def redis(server, tmp_path):
    with own_redis(server("redis-server"), tmp_path / "redis") as running:
        yield running


@dataclass(frozen=True, kw_only=True)
class Server:
    """What one process has of the far cache."""

    client: RedisClient
    far: FarCache
    counters: FarCacheCounters
    clock: ManualClock

    def texts(self, *, seconds=60.0, schema=1, name="texts"):
        """Texts that can change, unless ``seconds`` is 0."""
        return self.far.shelf(name, str, schema=schema, seconds=seconds)

    def counted(self, what="reads"):
        metric = getattr(self.counters, what)
        return {key[1]: int(child._value.get()) for key, child in metric._metrics.items()}  # noqa: SLF001


@asynccontextmanager
async def server_of(redis, *, secret=b"secret", seconds=2.0):
    config = RedisConfig(url=redis.url, prefix="test", seconds=seconds, probe_seconds=0.05, connections=4)
    clock = ManualClock(SystemClock().now())
    counters = FarCacheCounters(Declarations())
    async with RedisClient(config, key_secret=secret, counters=RedisCounters(Declarations())) as client:
        sizes = FarConfig(seconds=600.0, most_bytes=LARGEST)
        far = FarCache(client, clock, sizes, secret=secret, counters=counters)
        yield Server(client=client, far=far, counters=counters, clock=clock)


@pytest.fixture
async def pair(redis):
    async with server_of(redis) as first, server_of(redis) as second:
        yield first, second


@dataclass
class Table:
    """A database with one text; counts how often it is read, and can be slow."""

    text: str = "old"
    asked: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    began: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self):
        self.asked += 1
        return self.text

    async def read_slowly(self):
        text = await self.read()
        self.began.set()
        await self.gate.wait()
        return text


async def is_up(server):
    return server.client.is_up


@pytest.mark.parametrize("seconds", [0.0, 60.0], ids=["never-changes", "can-change"])
async def test_what_one_server_has_read_the_others_do_not_read_again(pair, seconds):
    first, second = pair
    place, table = Place(organization_id=HERS, parts=(7, 1)), Table()
    assert await first.texts(seconds=seconds).through(place, table.read) == "old"
    assert await second.texts(seconds=seconds).through(place, table.read) == "old"
    assert table.asked == 1
    assert second.counted() == {"hit": 1}


async def test_every_part_of_a_place_tells_values_apart(pair):
    first, second = pair
    whole = Place(organization_id=HERS, parts=(7, 1))
    await first.texts(seconds=0).through(whole, Table().read)
    for place in (
        Place(organization_id=HIS, parts=(7, 1)),
        Place(organization_id=HERS, parts=(7, 2)),
        Place(organization_id=HERS, parts=(71,)),
        Place(organization_id=HERS),
    ):
        assert (await second.texts(seconds=0).find(place)).value is None
    assert (await second.texts(seconds=0, schema=2).find(whole)).value is None
    assert (await second.texts(seconds=0, name="others").find(whole)).value is None
    assert (await second.texts(seconds=0).find(whole)).value == "old"


async def test_redis_holds_nothing_in_clear_and_nothing_without_an_end(pair, redis):
    first, _ = pair
    table = Table(text="a secret of somebody")
    await first.texts().through(Place(organization_id=HERS, parts=("of dana@example.com",)), table.read)
    await first.texts(seconds=0, name="fixed").through(Place(organization_id=HERS, parts=("dana",)), table.read)
    keys = [key for key in redis.all_keys() if ":far" in key]
    assert len(keys) == 3
    for key in keys:
        dump = redis.command("DUMP", key)
        assert b"secret of" not in dump
        assert b"dana" not in dump + key.encode()
        assert b"1024" not in dump + key.encode()
        assert int(redis.command("PTTL", key).strip(b":\r\n")) > 0


def _flip(redis, key):
    value = redis.command("GETRANGE", key, "40", "40")
    redis.command("SETRANGE", key, "40", "x" if b"\r\nx\r\n" not in value else "y")


SPOILED = {
    "changed": _flip,
    "cut": lambda redis, key: redis.command("SET", key, "short"),
    "empty-box": lambda redis, key: redis.command("SET", key, "0" * 44),
    "endless": lambda redis, key: redis.command("SETRANGE", key, str(8 * LARGEST), "x"),
    "of-another-type": lambda redis, key: (redis.command("DEL", key), redis.command("LPUSH", key, "x")),
}


@pytest.mark.parametrize("seconds", [0.0, 60.0], ids=["never-changes", "can-change"])
@pytest.mark.parametrize("spoiled", SPOILED)
async def test_what_somebody_else_wrote_is_counted_and_read_anew(pair, redis, seconds, spoiled):
    first, second = pair
    place, table = Place(organization_id=HERS), Table()
    await first.texts(seconds=seconds).through(place, table.read)
    (key,) = (key for key in redis.all_keys() if ":far:" in key)
    SPOILED[spoiled](redis, key)
    for _ in range(3):
        assert await second.texts(seconds=seconds).through(place, table.read) == "old"
    counted = second.counted()
    assert counted.get("broken", 0) + counted.get("outdated", 0) >= 1
    assert counted["hit"] >= 1
    assert second.client.is_up


async def test_a_value_moved_to_anothers_place_is_none(pair, redis):
    first, second = pair
    await first.texts(seconds=0).through(Place(organization_id=HERS), Table("hers").read)
    (hers,) = (key for key in redis.all_keys() if ":far:" in key)
    await first.texts(seconds=0).through(Place(organization_id=HIS), Table("his").read)
    (his,) = (key for key in redis.all_keys() if ":far:" in key and key != hers)
    redis.command("COPY", hers, his, "REPLACE")
    assert await second.texts(seconds=0).through(Place(organization_id=HIS), Table("his").read) == "his"
    assert second.counted() == {"broken": 1}


async def test_an_installation_with_another_secret_finds_nothing(redis):
    async with server_of(redis) as ours, server_of(redis, secret=b"other") as theirs:
        await ours.texts(seconds=0).through(Place(organization_id=HERS), Table().read)
        assert await theirs.texts(seconds=0).through(Place(organization_id=HERS), Table("theirs").read) == "theirs"


async def test_a_slow_reader_writes_nothing_back_that_was_there_before_a_change(pair):
    first, second = pair
    place, table = Place(organization_id=HERS), Table()
    slow = asyncio.create_task(first.texts().through(place, table.read_slowly))
    await table.began.wait()
    table.text = "new"
    assert await second.texts().forget(place)
    table.gate.set()
    assert await slow == "old"
    assert first.counted("writes") == {"outdated": 1}
    assert await second.texts().through(place, table.read) == "new"


ACTS = ["read", "change", "answer", "empty", "forget values", "forget tokens"]


@pytest.mark.parametrize("acts", list(itertools.product(ACTS, repeat=2)), ids="-".join)
async def test_in_any_order_whoever_asks_after_a_change_hears_of_it(pair, redis, acts):
    first, second = pair
    place, shelf = Place(organization_id=HERS), second.texts()
    table = Table("0")
    slow = asyncio.create_task(first.texts().through(place, table.read_slowly))
    await table.began.wait()
    for act in (*acts, "change", "answer"):
        match act:
            case "read":
                assert await shelf.through(place, table.read) == table.text
            case "change":
                table.text = str(int(table.text) + 1)
                await shelf.forget(place)
            case "answer":
                table.gate.set()
                await slow
            case "empty":
                redis.flush()
            case "forget values" | "forget tokens":
                kind = ":far:" if act == "forget values" else ":far-token:"
                for key in [key for key in redis.all_keys() if kind in key]:
                    redis.command("DEL", key)
    assert await shelf.through(place, table.read) == table.text


async def test_what_changes_while_redis_is_away_is_not_answered_from_there_afterwards(pair, redis):
    first, _ = pair
    place, table = Place(organization_id=HERS), Table()
    await first.texts().through(place, table.read)
    redis.pause()
    table.text = "new"
    assert not await first.texts().forget(place)
    assert await first.texts().through(place, table.read) == "new"
    redis.resume()
    await until_async(lambda: is_up(first), "Redis is asked again", within=10)
    assert await first.texts().through(place, table.read) == "new"
    assert first.counted()["distrusted"] >= 1
    first.clock.advance(60)
    assert (await first.texts().find(place)).token is not None


async def test_a_redis_that_does_not_answer_costs_its_deadline_once_for_all_readers(redis):
    async with server_of(redis, seconds=0.05) as server:
        table = Table()
        redis.pause()
        began = time.monotonic()
        shelf = server.texts(seconds=0)
        places = [Place(organization_id=HERS, parts=(number,)) for number in range(50)]
        await asyncio.gather(*(shelf.through(place, table.read) for place in places))
        for place in places:
            await shelf.through(place, table.read)
        spent = time.monotonic() - began
        redis.resume()
        # Each for itself, they would have waited for five seconds and more.
        assert spent < 1.0
        assert table.asked == 100
        assert set(server.counted()) == {"away"}


async def test_what_is_too_large_stays_where_it_is(pair, redis):
    first, _ = pair
    text = "x" * LARGEST
    assert await first.texts(seconds=0).through(Place(organization_id=HERS), Table(text).read) == text
    assert first.counted("writes") == {"large": 1}
    assert not [key for key in redis.all_keys() if ":far" in key]


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_full_redis_means_misses_and_no_wrong_value_whatever_its_policy(redis, policy):
    redis.command("CONFIG", "SET", "maxmemory-policy", policy)
    redis.command("CONFIG", "SET", "maxmemory", "8mb")
    async with server_of(redis) as server:
        shelf = server.texts()
        table = Table()
        for number in range(200):
            table.text = f"{number} " + "x" * (LARGEST - 100)
            place = Place(organization_id=HERS, parts=(number % 120,))
            if number >= 120:
                await shelf.forget(place)
            assert await shelf.through(place, table.read) == table.text
        assert server.client.is_up, "the cache has used up what rate limits need"
        if policy == "noeviction":
            assert server.counted("writes")["full"] >= 1


class Servers:
    """Two servers that remember an answer near and far."""

    def __init__(self, pair, table):
        self.table = table
        lives = Lives(seconds=2.0, stale_seconds=3.0)
        self.answers: list[RememberedAnswers[str]] = [RememberedAnswers(one.clock, lives) for one in pair]
        for one, answers in zip(pair, self.answers, strict=True):
            answers.share(one.texts(seconds=5.0))

    async def ask(self, server):
        return await self.answers[server].find(HERS, self.table.read)


async def test_answers_are_read_once_for_all_servers_and_forgotten_with_a_change(pair):
    table = Table()
    servers = Servers(pair, table)
    assert [await servers.ask(number) for number in (0, 1, 0, 1)] == ["old"] * 4
    assert table.asked == 1
    table.text = "new"
    servers.answers[0].forget(HERS)
    assert await servers.ask(0) == "new", "who has made the change sees it at once"
    await servers.answers[0].close()
    servers.answers[1].forget(HERS)
    assert await servers.ask(1) == "new"
    await servers.answers[1].close()


async def test_a_server_that_hears_of_nothing_answers_with_what_was_for_no_longer_than_entries_live(pair):
    table = Table()
    servers = Servers(pair, table)
    await servers.ask(1)
    table.text = "new"
    servers.answers[0].forget(HERS)
    await servers.answers[0].close()
    assert await servers.ask(1) == "old"
    pair[1].clock.advance(5.1)
    assert await servers.ask(1) == "new"


async def test_a_change_during_the_telling_of_another_is_told_by_itself(pair, monkeypatch):
    first, second = pair
    table = Table()
    shelf = first.texts(seconds=5.0)
    answers: RememberedAnswers[str] = RememberedAnswers(first.clock, Lives(seconds=2.0, stale_seconds=0.0))
    answers.share(shelf)
    told, began, gate = [], asyncio.Event(), asyncio.Event()
    forget = shelf.forget

    async def slowly(place):
        told.append(place)
        began.set()
        done = await forget(place)
        await gate.wait()
        return done

    monkeypatch.setattr(shelf, "forget", slowly)
    answers.forget(HERS)
    await began.wait()
    reading = await second.texts(seconds=5.0).find(Place(organization_id=HERS))
    answers.forget(HERS)
    gate.set()
    await answers.close()
    assert len(told) == 2
    await second.texts(seconds=5.0).keep(Place(organization_id=HERS), table.text, reading.token)
    assert second.counted("writes") == {"outdated": 1}
