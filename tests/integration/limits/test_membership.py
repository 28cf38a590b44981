"""How servers know how many they are: rows of the directory, on its clock."""

from contextlib import AsyncExitStack
from functools import partial

import pytest

from make_bridge.platform.coordination.membership import LIVE, Member, Membership, holders
from support.waiting import until_async

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")
AGE = "UPDATE directory.servers SET seen_at = now() - %s * interval '1 second' WHERE name = %s"


class Server:
    """One server, and what it was told."""

    def __init__(self, directory, name, *limits, seconds=0.02):
        self.told: dict[str, int] = {}
        self.membership = Membership(directory, Member(name=name, limits=limits), seconds=seconds)
        self.membership.hear(lambda members: self.told.update(holders(members, limits)))

    async def knows(self, **servers):
        return self.told == servers


async def test_servers_count_those_who_hold_the_same_limits(shards):
    async with AsyncExitStack() as stack:
        one, other = (Server(shards.directory, name, "api", "hook") for name in ("one", "other"))
        third = Server(shards.directory, "third", "api")
        await stack.enter_async_context(one.membership)
        assert one.told == {"api": 1, "hook": 1}
        await stack.enter_async_context(other.membership)
        # Who comes knows at once, before it serves anybody.
        assert other.told == {"api": 2, "hook": 2}
        async with third.membership:
            assert third.told == {"api": 3}
            for server in (one, other):
                await until_async(partial(server.knows, api=3, hook=2), "all are known", within=10)
        for server in (one, other):
            await until_async(partial(server.knows, api=2, hook=2), "one has left", within=10)


async def test_one_that_is_killed_is_counted_for_fifteen_seconds_and_its_row_goes(shards):
    directory = shards.directory
    one, dead = Server(directory, "living", "flow"), Server(directory, "dead", "flow")
    await dead.membership.beat()
    async with one.membership:
        assert one.told == {"flow": 2}
        async with directory.write() as tx:
            await tx.execute(AGE, (LIVE.total_seconds() + 1, "dead"))
        await until_async(lambda: one.knows(flow=1), "the dead one is counted no more", within=10)
        async with directory.write() as tx:
            await tx.execute(AGE, (3600, "dead"))

        async def is_gone():
            async with directory.read() as tx:
                return await tx.one("SELECT name FROM directory.servers WHERE name = 'dead'") is None

        await until_async(is_gone, "its row is gone", within=10)


async def test_one_that_comes_back_is_counted_once(shards):
    one, again = (Server(shards.directory, "same", "strangers") for _ in range(2))
    await one.membership.beat()
    await again.membership.beat()
    assert again.told == {"strangers": 1}
