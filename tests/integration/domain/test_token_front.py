"""Used tokens with Redis in front of the database: what each is asked, and what a Redis that forgets changes."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from make_bridge.domain.organizations.keys import TokenLedger
from make_bridge.domain.organizations.token_front import FrontedLedger
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.observability.metrics import Declarations, RedisCounters
from make_bridge.platform.redis.client import RedisClient
from make_bridge.platform.redis.config import RedisConfig
from support.redis_process import own_redis

pytestmark = [
    pytest.mark.requires_server("redis-server"),
    pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module"),
]
NOBODY = OrganizationId(7)


@pytest.fixture
def redis(server, tmp_path):
    with own_redis(server("redis-server"), tmp_path / "redis") as running:
        yield running


class Asked:
    """The ledger of the database, which tells how often it was asked, or fails."""

    def __init__(self, directory):
        self.ledger = TokenLedger(directory)
        self.asked = 0
        self.fails = False

    async def consume(self, kid, jti, organization_id, expires_at):
        self.asked += 1
        if self.fails:
            raise Unavailable
        return await self.ledger.consume(kid, jti, organization_id, expires_at)


@asynccontextmanager
async def fronted(redis, authority, *, seconds=2.0):
    """One server's ledger."""
    counters = RedisCounters(Declarations())
    config = RedisConfig(url=redis.url, prefix="test", seconds=seconds, probe_seconds=60.0, connections=4)
    async with RedisClient(config, key_secret=b"secret", counters=counters) as client:
        ledger = FrontedLedger(authority, client, counters)
        yield lambda jti: ledger.consume("key", jti, NOBODY, datetime.now(UTC) + timedelta(seconds=120))


@pytest.fixture
def authority(shards):
    return Asked(shards.directory)


async def test_a_token_that_redis_saw_is_refused_without_the_database(redis, authority):
    async with fronted(redis, authority) as one, fronted(redis, authority) as other:
        assert await one("a-token-1") is True
        assert [await other("a-token-1"), await one("a-token-1")] == [False, False]
        assert authority.asked == 1
        [key] = [key for key in redis.all_keys() if ":used:" in key]
        assert "a-token-1" not in key
        assert 0 < int(redis.command("PTTL", key)[1:-2]) <= 120_000


async def test_one_token_shown_to_two_servers_at_once_again_and_again_while_redis_forgets_enters_once(redis, authority):
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(fronted(redis, authority)) for _ in range(2)]
        for number in range(20):
            shows = [servers[place % 2](f"storm-{number}") for place in range(20)]
            running = [asyncio.ensure_future(show) for show in shows]
            await asyncio.sleep(0)
            redis.flush()
            entered = await asyncio.gather(*running)
            redis.flush()
            entered += [await server(f"storm-{number}") for server in servers]
            assert sum(entered) == 1


async def test_without_redis_the_database_decides(redis, authority):
    async with fronted(redis, authority) as one:
        assert await one("before") is True
        redis.kill()
        assert [await one("before"), await one("after"), await one("after")] == [False, True, False]


async def test_a_token_that_the_database_did_not_decide_on_may_be_shown_again(redis, authority):
    async with fronted(redis, authority) as one:
        authority.fails = True
        with pytest.raises(Unavailable):
            await one("again")
        authority.fails = False
        assert [await one("again"), await one("again")] == [True, False]
