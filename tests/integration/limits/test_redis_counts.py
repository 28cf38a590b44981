"""Rate limits that servers count together in a real Redis: what passes over all, and what a lost Redis changes."""

import asyncio
from contextlib import asynccontextmanager
from functools import partial

import pytest

from make_bridge.kernel.clock import SystemClock
from make_bridge.platform.limits.local import LocalRateLimit
from make_bridge.platform.limits.port import Rate
from make_bridge.platform.limits.redis_counts import RedisCounts
from make_bridge.platform.limits.shared import SharedRateLimit
from make_bridge.platform.observability.metrics import Declarations, RedisCounters
from make_bridge.platform.redis.client import RedisClient
from make_bridge.platform.redis.config import RedisConfig
from support.redis_process import own_redis
from support.waiting import until_async

pytestmark = pytest.mark.requires_server("redis-server")
RATE = Rate(name="api", most=40, seconds=3600.0)


@pytest.fixture
def redis(server, tmp_path):
    with own_redis(server("redis-server"), tmp_path / "redis") as running:
        yield running


class Node:
    """One server's limit."""

    def __init__(self, client, counts, rate, counters):
        self.client = client
        self.counters = counters
        self.counts = counts
        self.limit = SharedRateLimit(LocalRateLimit(rate, SystemClock(), keys=1000), counts)
        self.limit.share_among(2)
        client.watch(lambda: self.limit.count_apart(apart=not client.is_up))

    def calls(self, result):
        return int(self.counters.calls[result]._value.get())  # noqa: SLF001

    async def passed(self, key, tries):
        return [await self.limit.take(key) for _ in range(tries)].count(0.0)


@asynccontextmanager
async def node(redis, rate=RATE, seconds=2.0):
    counters = RedisCounters(Declarations())
    config = RedisConfig(url=redis.url, prefix="test", seconds=seconds, probe_seconds=0.05, connections=4)
    async with RedisClient(config, key_secret=b"secret", counters=counters) as client:
        counts = RedisCounts(client)
        yield Node(client, counts, rate, counters)
        await counts.close()


async def is_up(node):
    return node.client.is_up


async def test_c04_two_servers_together_let_the_limit_through_and_no_more(redis):
    async with node(redis) as one, node(redis) as other:
        passed = await one.passed("a", 25) + await other.passed("a", 25) + await one.passed("a", 25)
        assert passed == 40
        assert await other.passed("b", 100) == 40


async def test_many_at_once_are_judged_together_in_few_trips(redis):
    async with node(redis) as one, node(redis) as other:
        takes = [(one, other)[number % 2].limit.take("a") for number in range(400)]
        waits = await asyncio.gather(*takes)
        assert waits.count(0.0) == 40
        assert one.calls("ok") + other.calls("ok") <= 8


async def test_what_is_known_to_be_over_is_refused_without_asking(redis):
    async with node(redis) as one:
        assert await one.passed("a", 40) == 40
        asked = one.calls("ok")
        assert await one.passed("a", 500) == 0
        assert one.calls("ok") == asked


async def test_who_waits_as_long_as_it_is_told_passes(redis):
    async with node(redis, Rate(name="hook", most=10, seconds=1.0)) as one, node(redis, RATE) as _:
        assert await one.passed("a", 10) == 10
        wait = await one.limit.take("a")
        assert 0 < wait <= 0.1
        await asyncio.sleep(wait)
        assert await one.limit.take("a") == 0


async def test_every_key_ends_by_itself_and_names_nobody(redis):
    async with node(redis) as one:
        await one.passed("198.51.100.7", 3)
        await one.passed(("198.51.100.8", b"digest"), 1)
        keys = redis.all_keys()
        assert len(keys) == 3
        assert not any("198.51" in key or "digest" in key for key in keys)
        assert all(0 < int(redis.command("PTTL", key)[1:-2]) <= 3_600_000 for key in keys)


async def test_a_redis_that_forgets_learns_the_counts_again(redis):
    async with node(redis) as one, node(redis) as other:
        assert await one.passed("a", 30) == 30
        redis.flush()
        assert await one.passed("a", 1) == 1
        assert await other.passed("a", 100) == 9


@pytest.mark.parametrize("fault", ["killed", "paused"])
async def test_c05_without_redis_each_server_lets_its_part_through_and_then_they_count_together_again(redis, fault):
    async with node(redis) as one, node(redis) as other:
        redis.kill() if fault == "killed" else redis.pause()
        assert await one.passed("a", 100) + await other.passed("a", 100) == 40
        assert await one.passed("b", 100) == 20
        assert one.calls("slow") + one.calls("error") == 1
        redis.start() if fault == "killed" else redis.resume()
        for found in (one, other):
            await until_async(partial(is_up, found), "Redis is asked again", within=10)
        assert await one.passed("c", 30) + await other.passed("c", 30) == 40


async def test_who_waits_when_the_process_ends_is_answered(redis):
    async with node(redis) as one:
        redis.pause()
        waiting = asyncio.create_task(one.limit.take("a"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await one.counts.close()
        assert await waiting == 0
        redis.resume()


async def test_a_clock_that_went_back_locks_nobody_out_for_longer_than_a_period(redis):
    async with node(redis) as one:
        key = one.client.key("rate", "api", repr("a"))
        redis.command("SET", key, "99999999999999999", "PX", "100000")
        assert await one.limit.take("a") <= RATE.seconds / RATE.most
