"""The connection to Redis against a real one that is paused, killed, full, or never there."""

import asyncio
import socket
import time
from contextlib import asynccontextmanager

import pytest
import structlog

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.observability.metrics import Declarations, RedisCounters
from make_bridge.platform.redis.client import RedisClient, examine
from make_bridge.platform.redis.config import RedisConfig
from support.network import free_port
from support.redis_process import PASSWORD, own_redis
from support.waiting import until_async

pytestmark = pytest.mark.requires_server("redis-server")
# Long, so that a Redis that answers does so in time on a busy machine, too.
DEADLINE = 2.0


@pytest.fixture
def redis(server, tmp_path):
    with own_redis(server("redis-server"), tmp_path / "redis") as running:
        yield running


def config_of(url, *, seconds=DEADLINE, probe_seconds=0.05, connections=4):
    return RedisConfig(url=url, prefix="test", seconds=seconds, probe_seconds=probe_seconds, connections=connections)


class CountingClient(RedisClient):
    """A client that tells what became of its calls."""

    def calls(self):
        return {of: int(child._value.get()) for of, child in self._counters.calls.items()}  # noqa: SLF001


@asynccontextmanager
async def client_of(url, **changes):
    counters = RedisCounters(Declarations())
    async with CountingClient(config_of(url, **changes), key_secret=b"secret", counters=counters) as client:
        yield client


async def ping(redis):
    return await redis.ping()


async def is_up(client):
    return client.is_up


async def test_calls_are_answered_and_counted(redis):
    async with client_of(redis.url) as client:
        assert await client.call(ping) is True
        assert client.calls() == {"ok": 1, "slow": 0, "error": 0, "away": 0}


async def test_a_redis_that_does_not_answer_costs_its_callers_the_deadline_once(redis):
    async with client_of(redis.url, probe_seconds=60.0) as client:
        assert await client.call(ping) is True
        redis.pause()
        # Four are under way and wait; nobody after them does, nor who waits for a turn behind them.
        answers = await asyncio.gather(*(client.call(ping) for _ in range(50)))
        assert answers == [None] * 50
        began = time.monotonic()
        assert [await client.call(ping) for _ in range(1000)] == [None] * 1000
        assert time.monotonic() - began < 1000 * DEADLINE / 2
        calls = client.calls()
        assert (calls["error"], calls["ok"]) == (0, 1)
        assert 1 <= calls["slow"] <= 50
        assert calls["slow"] + calls["away"] == 1050
        redis.resume()


async def test_what_comes_late_is_nobody_s_answer(redis):
    async with client_of(redis.url, connections=1) as client:
        assert await client.call(ping) is True
        redis.pause()
        assert await client.call(lambda redis: redis.set("late", "1")) is None
        redis.resume()
        await until_async(lambda: is_up(client), "Redis is asked again", within=10)
        answers = [await client.call(lambda redis, n=n: redis.echo(f"{n}")) for n in range(20)]
        assert answers == [f"{n}".encode() for n in range(20)]


async def test_one_that_is_killed_is_found_again_by_a_look_in_the_background(redis):
    async with client_of(redis.url) as client:
        changes = []
        client.watch(lambda: changes.append(client.is_up))
        assert await client.call(ping) is True
        redis.kill()
        assert await client.call(ping) is None
        assert (client.is_up, changes) == (False, [False])
        redis.start()
        await until_async(lambda: is_up(client), "Redis is asked again", within=10)
        assert await client.call(ping) is True
        assert changes == [False, True]


async def test_nobody_who_calls_looks_for_one_that_is_away(redis):
    async with client_of(redis.url, probe_seconds=60.0) as client:
        redis.kill()
        assert await client.call(ping) is None
        redis.start()
        assert [await client.call(ping) for _ in range(100)] == [None] * 100
        assert client.calls()["away"] == 100


async def test_one_that_answers_ping_but_takes_nothing_stays_away(redis):
    redis.command("CONFIG", "SET", "maxmemory", "1")
    async with client_of(redis.url) as client:
        assert not client.is_up
        redis.command("CONFIG", "SET", "maxmemory", "0")
        await until_async(lambda: is_up(client), "Redis is asked again", within=10)


async def test_one_that_is_not_there_keeps_nobody_from_starting_and_logs_no_password():
    with structlog.testing.capture_logs() as logs:
        async with client_of(f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0") as client:
            assert await client.call(ping) is None
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["redis_away"]
    assert PASSWORD not in str(logs)


async def test_a_wrong_password_is_away_and_told_without_it(redis):
    url = redis.url.replace(PASSWORD, "wrong-word")
    with structlog.testing.capture_logs() as logs:
        async with client_of(url) as client:
            assert not client.is_up
    assert "wrong-word" not in str(logs)
    with pytest.raises(Unavailable, match="Redis refuses the name or password in MAKE_BRIDGE_REDIS_URL") as raised:
        await examine(config_of(url))
    assert raised.value.__cause__ is None


async def test_an_examination_tells_the_version_or_what_to_look_at(redis):
    assert "answers and takes keys below 'test'" in await examine(config_of(redis.url))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"redis://:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}/0"
        with pytest.raises(Unavailable, match="does not answer as it should") as raised:
            await examine(config_of(address))
    assert PASSWORD not in str(raised.value)


async def test_there_are_never_more_connections_than_were_set(redis):
    async with client_of(redis.url, connections=3) as client:
        answers = await asyncio.gather(*(client.call(ping) for _ in range(60)))
        assert answers == [True] * 60
        clients = redis.command("CLIENT", "LIST", "TYPE", "normal").count(b" addr=") - 1
        assert clients <= 4


async def test_keys_name_nothing_in_clear_and_differ_between_installations(redis):
    counters = RedisCounters(Declarations())
    one, other = (
        RedisClient(config_of(redis.url), key_secret=secret, counters=counters) for secret in (b"one", b"other")
    )
    key = one.key("rate", "general", "198.51.100.7")
    assert key.startswith("test:rate:")
    assert "198" not in key.split(":")[2]
    assert key == one.key("rate", "general", "198.51.100.7")
    assert len({key, other.key("rate", "general", "198.51.100.7"), one.key("rate", "genera", "l198.51.100.7")}) == 3
