"""The ear of a process: it hears what is said as it is said, also much at once, and notices that it is deaf."""

import asyncio

import psycopg
import pytest

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database.listening import listen
from support.postgres import open_shards
from support.waiting import until_async

CHANNEL = "listening_test"
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = %s"


@pytest.fixture
async def shard(postgres):
    async with open_shards(postgres, "one") as shards:
        yield shards.all()[0]


@pytest.fixture
async def heard(shard):
    """What was heard so far; who listens is there."""
    words: list[str] = []

    async def hear():
        async for word in listen(shard.engine, CHANNEL):
            words.append(word)  # noqa: PERF401 - what was heard so far is looked at meanwhile

    listening = asyncio.create_task(hear())

    async def is_there():
        await say(shard, "first")
        return "first" in words

    await until_async(is_there, "somebody listens", within=20)
    yield words, listening
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def say(shard, word):
    async with shard.engine_statement() as tx:
        await tx.one("SELECT pg_notify(%s, %s)", (CHANNEL, word))


async def test_what_is_said_is_heard_in_order_also_at_once(shard, heard):
    words, _ = heard
    said = [f"word {number}" for number in range(500)]
    async with shard.engine_statement() as tx:
        await tx.one("SELECT count(pg_notify(%s, word)) FROM unnest(%s::text[]) AS word", (CHANNEL, said))
    await say(shard, "last")

    async def is_heard():
        return "last" in words

    await until_async(is_heard, "all of it is heard", within=20)
    assert [word for word in words if word != "first"] == [*said, "last"]


async def test_a_connection_that_is_ended_is_noticed(postgres, heard):
    _, listening = heard
    async with await psycopg.AsyncConnection.connect(postgres.owner_dsn, autocommit=True) as owner:
        assert (await owner.execute(_END, (f'LISTEN "{CHANNEL}"',))).rowcount == 1
    with pytest.raises(Unavailable, match="can not be listened to"):
        async with asyncio.timeout(20):
            await listening
