"""Which servers serve together, by rows of the directory and by nodes of a real ZooKeeper beside them."""

import asyncio
import time
from contextlib import AsyncExitStack
from urllib.parse import quote

import pytest

from make_bridge.platform.coordination.membership import LIVE, Member, Membership
from make_bridge.platform.coordination.zookeeper_members import EphemeralMembers
from support.candidates import open_session
from support.waiting import until_async
from support.zookeeper_process import own_zookeeper

pytestmark = [
    pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module"),
    pytest.mark.requires_server("zookeeper"),
    pytest.mark.timeout(120),
]


@pytest.fixture
def zookeeper(tmp_path):
    with own_zookeeper(tmp_path) as started:
        yield started


class Server:
    """One server, and whom it heard of."""

    def __init__(self, shards, session, name, *, seconds=1.0):
        self.member = Member(
            name=name, limits=("api",), address=f"http://{name}:80", roles=frozenset({"worker"}), weight=3, version="1"
        )
        self.session = session
        self.ephemeral = EphemeralMembers(session, self.member)
        self.membership = Membership(shards.directory, self.member, seconds=seconds, witness=self.ephemeral)
        self.heard = {}
        self.membership.hear(lambda members: setattr(self, "heard", {member.name: member for member in members}))

    async def dies(self):
        """Be gone as after a kill, but that the servers of ZooKeeper know at once."""
        beating = self.membership._beating  # noqa: SLF001
        assert beating is not None
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        await self.session.__aexit__(None, None, None)

    async def hears(self, *others):
        return sorted(self.heard) == sorted((self.member.name, *others))

    async def has_announced(self):
        return await is_own(self)


async def is_own(server):
    path = f"/make-bridge/members/{quote(server.member.name, safe='')}"
    stat = await server.session.ask(lambda client: client.exists_async(path))
    return stat is not None and stat.ephemeralOwner == server.session.id


@pytest.fixture
async def serve(shards, zookeeper):
    """Start servers; their names hold a blank, as those of processes do."""
    async with AsyncExitStack() as stack:

        async def start(name, **given):
            session = await stack.enter_async_context(open_session(zookeeper.address))
            server = Server(shards, session, name, **given)
            await stack.enter_async_context(server.ephemeral)
            await stack.enter_async_context(server.membership)
            await until_async(server.has_announced, f"{name} has a node", within=10)
            return server

        yield start
        async with shards.directory.write() as tx:
            await tx.execute("DELETE FROM directory.servers")


async def test_who_comes_and_who_goes_is_heard_of_before_the_next_look(serve):
    one = await serve("one 1", seconds=5.0)
    other = await serve("other 2", seconds=5.0)
    began = time.monotonic()
    await until_async(lambda: one.hears("other 2"), "one hears of the other", within=4)
    assert one.heard["other 2"] == other.member
    await other.membership.leave()
    await until_async(one.hears, "the other is gone", within=4)
    assert time.monotonic() - began < 8


async def test_who_is_killed_is_left_out_sooner_than_its_row(serve):
    one, dead = await serve("one"), await serve("dead")
    await until_async(lambda: one.hears("dead"), "one hears of the other", within=10)
    began = time.monotonic()
    await dead.dies()
    await until_async(one.hears, "the dead one is left out", within=LIVE.total_seconds() / 2)
    assert time.monotonic() - began < LIVE.total_seconds() / 2


async def test_who_has_only_lost_its_session_is_heard_of_and_stands_again(serve):
    one, other = await serve("one"), await serve("other")
    await until_async(lambda: one.hears("other"), "one hears of the other", within=10)
    async with open_session(one.session._config.hosts[0]) as by_hand:  # noqa: SLF001
        await by_hand.ask(lambda client: client.delete_async("/make-bridge/members/other"))
        await until_async(lambda: is_own(other), "it has a node again", within=5)
    heard = []
    one.membership.hear(lambda members: heard.append({member.name for member in members}))
    for _ in range(5):
        await one.membership.beat()
    assert len(heard) >= 5
    assert all(names == {"one", "other"} for names in heard)


async def test_a_node_of_a_former_session_keeps_nobody_from_standing(serve, zookeeper):
    async with open_session(zookeeper.address) as former:
        node = "/make-bridge/members/again"
        await former.ask(lambda client: client.create_async(node, b"{}", ephemeral=True, makepath=True))
        again = await serve("again")
        assert await is_own(again)
    one = await serve("one")
    await until_async(lambda: one.hears("again"), "it is heard of", within=10)
    assert one.heard["again"] == again.member


async def test_without_zookeeper_the_rows_decide(serve, zookeeper):
    one, other = await serve("one"), await serve("other")
    await until_async(lambda: one.hears("other"), "one hears of the other", within=10)
    zookeeper.kill()

    async def is_away():
        return not one.session.is_live()

    await until_async(is_away, "the session is not live", within=10)
    await one.membership.beat()
    assert await one.hears("other")
    await other.membership.leave()
    await until_async(one.hears, "who leaves is gone at once", within=5)
