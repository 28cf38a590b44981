"""Two shards and a directory of their own, and organizations with something in every kind of table."""

import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from make_bridge.kernel.clock import SystemClock
from make_bridge.platform.database.pools import Directory, PoolLimits, Shard, open_pool
from make_bridge.platform.database.shards import Shards

_SMALL = PoolLimits(min_size=1, max_size=4, wait=10.0)
NUMBERS = (3, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The open databases, and the addresses of their owners."""

    shards: Shards
    owners: dict[int, str]
    directory_dsn: str

    def another_process(self) -> Shards:
        """Return what a process sees that remembers nothing yet."""
        return Shards(self.shards.directory, {shard.number: shard for shard in self.shards.all()}, SystemClock())


@pytest.fixture(scope="module")
async def ground(postgres):
    async with AsyncExitStack() as stack:
        home = await postgres.clone(("directory",), NUMBERS[0])
        stack.push_async_callback(postgres.drop, home)
        pool = await stack.enter_async_context(open_pool(postgres.serving_dsn(home), "bridge_directory", _SMALL))
        directory = Directory(pool)
        opened: dict[int, Shard] = {}
        owners: dict[int, str] = {}
        for number in NUMBERS:
            name = await postgres.clone(("shard",), number)
            stack.push_async_callback(postgres.drop, name)
            app = await stack.enter_async_context(open_pool(postgres.serving_dsn(name), "bridge_app", _SMALL))
            engine = await stack.enter_async_context(open_pool(postgres.serving_dsn(name), "bridge_engine", _SMALL))
            opened[number] = Shard(number, app, engine)
            owners[number] = postgres.dsn(name)
        async with directory.write() as tx:
            for number in NUMBERS:
                await tx.execute(
                    "INSERT INTO directory.shards (number, name) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                    (number, f"shard-{number}"),
                )
        shards = Shards(directory, opened, SystemClock())
        yield Ground(shards=shards, owners=owners, directory_dsn=postgres.dsn(home))


@pytest.fixture
def word():
    return secrets.token_hex(4)
