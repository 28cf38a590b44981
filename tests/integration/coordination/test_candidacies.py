"""What the port promises of leading, for both adapters: leases in PostgreSQL, and elections in a real ZooKeeper."""

import asyncio
import itertools
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest

from make_bridge.kernel.errors import Conflict, Unavailable
from make_bridge.platform.coordination import leader_store
from make_bridge.platform.coordination.leadership import Leadership
from make_bridge.platform.coordination.locks import Lock
from make_bridge.platform.coordination.tenure import Tenure
from support.candidates import Candidate, electing, open_session
from support.waiting import until_async
from support.zookeeper_process import own_zookeeper

ADAPTERS = ("leases", pytest.param("zookeeper", marks=pytest.mark.requires_server("zookeeper")))
TERM_OVER = "UPDATE shard.leaders SET until = now() WHERE name = %s"
ROW = "SELECT owner, fence, until > now() AS runs FROM shard.leaders WHERE name = %s"
_number = itertools.count()
pytestmark = [
    pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module"),
    pytest.mark.timeout(120),
]


@pytest.fixture(scope="module")
def zookeeper(tmp_path_factory):
    with own_zookeeper(tmp_path_factory.mktemp("zookeeper")) as started:
        yield started


@pytest.fixture(params=ADAPTERS)
def adapter(request):
    return request.param


@pytest.fixture
async def stand(adapter, shards, request):
    """Make candidates for a duty of the test's own, each as another process would."""
    shard, duty = shards.all()[0], f"duty {next(_number)}"
    async with AsyncExitStack() as stack:

        async def of(owner):
            if adapter == "leases":
                return Candidate(Leadership(shard, duty, owner), shard)
            session = await stack.enter_async_context(open_session(request.getfixturevalue("zookeeper").address))
            return electing(session, shard, duty, owner)

        yield of


async def dies(candidate):
    """Be gone, as after a kill: nothing is said, and what would have run out in time runs out now."""
    if candidate.session is None:
        async with candidate.shard.engine_write() as tx:
            await tx.execute(TERM_OVER, (candidate.candidacy.name,))
    else:
        await candidate.session.__aexit__(None, None, None)


async def row_of(candidate):
    async with candidate.shard.engine_write() as tx:
        return await tx.one(ROW, (candidate.candidacy.name,))


async def test_one_of_many_leads_and_keeps_its_fence(stand):
    first, second = await stand("first"), await stand("second")
    fence = await first.wins()
    assert [await second.candidacy.hold() for _ in range(5)] == [None] * 5
    assert {await first.candidacy.hold() for _ in range(5)} == {fence}
    assert first.candidacy.stands()
    assert not second.candidacy.stands()


async def test_who_resigns_is_followed_at_once_under_a_higher_fence(stand):
    first, second = await stand("first"), await stand("second")
    fence = await first.wins()
    await second.candidacy.hold()
    await first.candidacy.resign()
    assert not first.candidacy.stands()
    assert await second.wins(within=3) > fence


async def test_who_dies_is_followed_and_what_it_still_writes_is_refused(stand):
    first, second = await stand("first"), await stand("second")
    fence = await first.wins()
    assert await first.write(fence)
    await second.candidacy.hold()
    await dies(first)
    followed = await second.wins()
    assert followed > fence
    assert not await first.write(fence)
    assert not await second.write(fence)
    assert await second.write(followed)


async def test_who_resigned_may_stand_again(stand):
    only = await stand("only")
    fence = await only.wins()
    await only.candidacy.resign()
    assert await only.wins() > fence


async def test_to_resign_without_having_led_takes_nothing_from_the_leader(stand):
    first, second = await stand("first"), await stand("second")
    fence = await first.wins()
    await second.candidacy.hold()
    await second.candidacy.resign()
    assert await first.candidacy.hold() == fence
    assert await first.write(fence)


async def test_a_fence_that_was_overtaken_in_the_database_is_taken_anew(stand):
    first = await stand("first")
    fence = await first.wins()
    async with first.shard.engine_write() as tx:
        await tx.execute(TERM_OVER, (first.candidacy.name,))
    other = Leadership(first.shard, first.candidacy.name, "from elsewhere")
    taken = await other.hold()
    assert taken == fence + 1
    assert not await first.write(fence)
    await other.resign()

    async def leads_again():
        now = await first.candidacy.hold()
        return now is not None and now > taken and await first.write(now)

    await until_async(leads_again, "it leads again under a fence of its own", within=10)


async def test_a_loop_is_told_its_fence_until_it_ends_its_tenure(stand):
    first, second = await stand("first"), await stand("second")
    await first.wins()
    tenure, other = Tenure(first.candidacy), Tenure(second.candidacy)
    fence = await tenure.fence()
    assert fence is not None
    assert (await tenure.fence(), tenure.is_leading, tenure.last_fence) == (fence, True, fence)
    assert (await other.fence(), other.is_leading, other.last_fence) == (None, False, 0)
    async with tenure.acting():
        assert await first.write(fence)
    await tenure.end()
    assert not tenure.is_leading

    async def follows():
        return await other.fence() is not None

    await until_async(follows, "the other loop leads", within=5)
    assert other.last_fence > fence


async def test_the_row_of_a_leader_says_for_how_long_to_those_who_know_only_leases(stand):
    first = await stand("first")
    fence = await first.wins()
    row = await row_of(first)
    assert (row["owner"], row["fence"], row["runs"]) == ("first", fence, True)
    assert await Leadership(first.shard, first.candidacy.name, "leasing").hold() is None


async def test_a_write_shows_its_fence_in_its_own_transaction(stand):
    first = await stand("first")
    fence = await first.wins()
    async with first.shard.engine_write() as tx:
        await leader_store.require(tx, first.candidacy.name, "first", fence)
        # Nobody takes the row before this commits.
        taking = asyncio.create_task(leader_store.take(first.shard, first.candidacy.name, "second"))
        await asyncio.wait([taking], timeout=0.2)
        assert not taking.done()
    assert await taking == fence + 1
    with pytest.raises(Unavailable, match="has passed to another process"):
        async with first.shard.engine_write() as tx:
            await leader_store.require(tx, first.candidacy.name, "first", fence)


async def test_a_lock_is_one_holders_until_it_gives_it_back(stand):
    first, second = await stand("first"), await stand("second")
    locks = [Lock(partial(rival, of), of.shard, first.candidacy.name) for of in (first, second)]
    async with locks[0].held(within=10) as held:
        async with held_write(first, held):
            pass
        with pytest.raises(Conflict, match="Another process holds"):
            async with locks[1].held(within=0.3):
                pytest.fail("two hold one lock")
        async with held_write(first, held):
            pass
    async with locks[1].held(within=10) as then:
        assert then.fence > held.fence
        with pytest.raises(Unavailable, match="has passed to another process"):
            async with held_write(first, held):
                pytest.fail("the former holder writes")


async def test_a_lock_that_is_taken_over_breaks_off_what_was_done_under_it(stand):
    first = await stand("first")
    lock = Lock(lambda shard, name: Leadership(shard, name, "first"), first.shard, first.candidacy.name)

    async def work():
        async with lock.held(within=5) as held:
            await leader_store.take(first.shard, held.name, "second")
            await asyncio.sleep(30)

    with pytest.raises(Unavailable, match="was lost in the middle of the work"):
        await work()


def rival(candidate, _shard, name):
    """Return the claim that the same process makes to a lock."""
    if candidate.session is None:
        return Leadership(candidate.shard, name, candidate.candidacy.owner)
    return electing(candidate.session, candidate.shard, name, candidate.candidacy.owner).candidacy


@asynccontextmanager
async def held_write(candidate, held):
    async with candidate.shard.engine_write() as tx:
        await held.require(tx)
        yield tx
