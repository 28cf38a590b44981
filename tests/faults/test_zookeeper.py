"""What happens to candidates and locks when answers of ZooKeeper are lost, sessions run out, or clocks jump.

Each candidate has a session, and a line to a real ZooKeeper, of its own, so one alone can lose it while its process
goes on. What it writes is a counter in PostgreSQL, guarded by its fence.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from kazoo.exceptions import NoNodeError
from kazoo.security import OPEN_ACL_UNSAFE, make_acl

from faults.scene import tell
from make_bridge.kernel.errors import Conflict, Unavailable
from make_bridge.platform.coordination.locks import Held, Lock
from make_bridge.platform.coordination.zookeeper_election import Election
from make_bridge.platform.coordination.zookeeper_session import Session
from make_bridge.platform.database.pools import Shard
from support.candidates import Candidate, electing, open_session
from support.postgres import PostgresServer, open_shards
from support.slow_line import SlowLine, slow_line
from support.waiting import until_async
from support.zookeeper_process import SESSION_SECONDS, ZooKeeperProcess, own_zookeeper

FOLLOWED_WITHIN = SESSION_SECONDS + 1.0
AGAIN_WITHIN = 5.0
CANDIDATES = 100
DEATHS = 10

pytestmark = [pytest.mark.requires_server("zookeeper"), pytest.mark.timeout(120)]


@dataclass(slots=True)
class Place:
    """A ZooKeeper, a shard, and candidates with lines of their own."""

    zookeeper: ZooKeeperProcess
    shard: Shard
    exits: ExitStack
    stack: AsyncExitStack
    lines: dict[str, SlowLine] = field(default_factory=dict)

    async def session(self, owner: str, hosts: int = 1) -> Session:
        """Open one that knows so many hosts, to all of which one line leads."""
        self.lines[owner] = self.exits.enter_context(slow_line(self.zookeeper.port))
        addresses = [f"127.0.0.1:{self.lines[owner].port}"] * hosts
        return await self.stack.enter_async_context(open_session(*addresses))

    async def candidate(self, owner: str, hosts: int = 1) -> Candidate:
        return electing(await self.session(owner, hosts), self.shard, "duty", owner)

    def lock(self, session: Session, owner: str) -> Lock:
        return Lock(lambda shard, name: Election(session, shard, name, owner), self.shard, "work")

    async def nodes(self, of: str = "duty") -> list[str]:
        """The nodes of all candidates."""
        async with open_session(self.zookeeper.address) as session:
            try:
                nodes = await session.ask(lambda client: client.get_children_async(f"/make-bridge/leaders/0-{of}"))
            except NoNodeError:
                return []
        return sorted(nodes)

    def fired(self) -> int:
        """How many watches the end of nodes has fired so far."""
        [line] = [line for line in self.zookeeper.say("mntr").splitlines() if "sum_node_deleted_watch_count" in line]
        return int(line.split()[1])


@pytest.fixture
def zookeeper(tmp_path: Path) -> Iterator[ZooKeeperProcess]:
    with own_zookeeper(tmp_path) as started:
        yield started


@pytest.fixture
async def place(zookeeper: ZooKeeperProcess, postgres: PostgresServer) -> AsyncIterator[Place]:
    with ExitStack() as exits:
        async with open_shards(postgres, "one") as shards, AsyncExitStack() as stack:
            yield Place(zookeeper, shards.all()[0], exits, stack)


async def test_the_lost_answer_to_a_creation_leaves_one_node_and_a_leader(place: Place) -> None:
    """F-13."""
    before = await place.candidate("before")
    await before.wins()
    await before.candidacy.resign()
    candidate = await place.candidate("first")
    line = place.lines["first"]
    # The mark is in what is created, and in nothing that was asked before.
    line.hold_answers_at(candidate.candidacy._guid.encode())  # type: ignore[attr-defined]  # noqa: SLF001
    assert await candidate.candidacy.hold() is None
    await until_async(lambda: _has(place, 1), "the node is there, and nobody was told", within=5)
    began = time.monotonic()
    assert await candidate.candidacy.hold() is None
    line.cut()
    await candidate.wins(within=FOLLOWED_WITHIN)
    assert time.monotonic() - began <= FOLLOWED_WITHIN
    assert len(await place.nodes()) == 1, "LOST: there is a node that nobody stands for"
    await candidate.candidacy.resign()
    assert await place.nodes() == []


async def _has(place: Place, count: int) -> bool:
    return len(await place.nodes()) == count


@pytest.mark.parametrize(("way", "hosts"), [("silent", 1), ("deaf", 1), ("deaf", 3)])
async def test_a_session_that_runs_out_in_a_process_that_lives_is_followed_and_made_anew(
    place: Place, way: str, hosts: int
) -> None:
    """F-14 and F-37: cut off in both directions, or able to speak and not to hear.

    With several hosts it goes from one to the next in less than a session's time-out, and each hears of the session.
    """
    first, second = await place.candidate("first", hosts), await place.candidate("second")
    fence, line = await first.wins(), place.lines["first"]
    assert await first.write(fence)
    assert not await second.holds()
    line.freeze() if way == "silent" else line.hold_answers()
    cut = time.monotonic()

    async def stepped_down() -> bool:
        return not first.candidacy.stands()

    await until_async(stepped_down, "MULTI: it stands no more", within=SESSION_SECONDS)
    took = time.monotonic() - cut
    if way == "deaf":
        # It asks for its session until it gives that up, after one time-out; then the session has another to go.
        await until_async(second.holds, "STUCK: the other leads", within=3 * SESSION_SECONDS)
    followed = await second.wins(within=FOLLOWED_WITHIN)
    assert followed > fence
    assert not await first.write(fence), "MULTI: a stale write was accepted"
    if way == "silent":
        line.thaw()
    line.cut()
    healed = time.monotonic()
    assert first.session is not None
    await until_async(_is_live(first.session), "it has a session again", within=AGAIN_WITHIN)
    await until_async(lambda: _stands_again(place, first), "it stands again, and once", within=AGAIN_WITHIN)
    assert await second.candidacy.hold() == followed
    tell(f"{way}: stepped down after {took:.2f} s, back {time.monotonic() - healed:.2f} s after it was mended")


def _is_live(session: Session) -> Callable[[], "asyncio.Future[bool]"]:
    async def ask() -> bool:
        return session.is_live()

    return lambda: asyncio.ensure_future(ask())


async def test_a_session_that_nothing_can_prove_is_given_up_and_its_candidates_stand_anew(place: Place) -> None:
    """F-37: ZooKeeper answers, and takes nothing."""
    first, second = await place.candidate("first"), await place.candidate("second")
    fence = await first.wins()
    assert not await second.holds()
    async with open_session(place.zookeeper.address, path="/elsewhere") as elsewhere:
        readable = [make_acl("world", "anyone", read=True, admin=True)]
        await elsewhere.ask(lambda client: client.set_acls_async("/make-bridge/pulse", readable))

        async def are_given_up() -> bool:
            assert first.session is not None
            assert second.session is not None
            return first.session.number > 0 and second.session.number > 0

        await until_async(are_given_up, "STUCK: their sessions are given up", within=2 * SESSION_SECONDS)
        assert not first.candidacy.stands()
        assert not await second.holds()
        await elsewhere.ask(lambda client: client.set_acls_async("/make-bridge/pulse", OPEN_ACL_UNSAFE))
    await until_async(lambda: _one_leads([first, second]), "STUCK: one leads", within=AGAIN_WITHIN)
    await until_async(lambda: _has(place, 2), "both stand, and once", within=AGAIN_WITHIN)
    assert not await first.write(fence), "MULTI: a stale write was accepted"


async def test_who_gave_up_its_session_does_not_wait_for_it_to_run_out(place: Place) -> None:
    """F-07: a ZooKeeper that returns remembers all sessions, and gives each of them its whole time again."""
    first = await place.candidate("first")
    await first.wins()
    session = first.session
    assert session is not None
    place.zookeeper.kill()

    async def is_given_up() -> bool:
        return session.number > 0

    await until_async(is_given_up, "STUCK: the session is given up", within=2 * SESSION_SECONDS)
    place.zookeeper.start()
    back = time.monotonic()
    await first.wins(within=AGAIN_WITHIN)
    assert len(await place.nodes()) == 1, "LOST: its former node stands before it"
    assert time.monotonic() - back < SESSION_SECONDS / 2, "STUCK: it waited for itself"


async def _stands_again(place: Place, candidate: Candidate) -> bool:
    assert not await candidate.holds()
    return len(await place.nodes()) == 2


async def test_a_connection_that_is_gone_for_a_moment_pauses_and_costs_no_fence(place: Place) -> None:
    first = await place.candidate("first")
    fence = await first.wins()
    done = asyncio.Event()

    async def act() -> str:
        try:
            async with first.candidacy.acting():
                await done.wait()
        except Unavailable:
            return "broken off"
        return "ended"

    acting = asyncio.create_task(act())
    place.lines["first"].cut()

    async def is_paused() -> bool:
        return not first.candidacy.stands()

    await until_async(is_paused, "nothing new begins", within=2)
    assert await first.wins(within=2) == fence
    done.set()
    assert await acting == "ended"


async def test_what_is_under_way_is_broken_off_when_the_session_cannot_be_proven(place: Place) -> None:
    first = await place.candidate("first")
    await first.wins()
    place.lines["first"].freeze()
    began = time.monotonic()
    with pytest.raises(Unavailable, match="was lost in the middle of a step"):
        async with first.candidacy.acting():
            await asyncio.sleep(2 * SESSION_SECONDS)
    assert time.monotonic() - began < SESSION_SECONDS, "MULTI: it went on for longer than its session could last"
    with pytest.raises(Unavailable):
        async with first.candidacy.acting():
            pytest.fail("nothing begins without a session")


async def test_a_process_that_starts_before_zookeeper_leads_when_it_is_there(place: Place) -> None:
    place.zookeeper.kill()
    first = await place.candidate("first")
    assert [await first.candidacy.hold() for _ in range(3)] == [None] * 3
    place.zookeeper.start()
    await first.wins(within=10)


async def test_the_death_of_a_leader_among_a_hundred_wakes_one(place: Place) -> None:
    """F-15."""
    sessions = [await place.session(f"process {number}") for number in range(4)]
    candidates = [
        electing(sessions[number % 4], place.shard, "duty", f"candidate {number}") for number in range(CANDIDATES)
    ]
    for candidate in candidates:
        await candidate.candidacy.hold()
    await until_async(lambda: _has(place, CANDIDATES), "all stand", within=30)
    leader, waits = None, []
    for _ in range(DEATHS):
        [leader] = await _leaders(candidates)
        before = place.fired()
        candidates.remove(leader)
        began = time.monotonic()
        await leader.candidacy.resign()
        await until_async(lambda: _one_leads(candidates), "STUCK: the next one leads", within=FOLLOWED_WITHIN)
        waits.append(time.monotonic() - began)
        # One belongs to the dead one itself, which watched its own node.
        assert place.fired() - before <= 2, "a death has woken more than its follower"
    tell(f"{CANDIDATES} candidates, {DEATHS} deaths: followed within {max(waits):.2f} s")


async def _leaders(candidates: list[Candidate]) -> list[Candidate]:
    await until_async(lambda: _one_leads(candidates), "one leads", within=10)
    return [candidate for candidate in candidates if candidate.candidacy.stands()]


async def _one_leads(candidates: list[Candidate]) -> bool:
    held = [await candidate.candidacy.hold() for candidate in candidates]
    leading = sum(fence is not None for fence in held)
    assert leading <= 1, "MULTI: two lead"
    return leading == 1


async def test_who_gives_a_lock_back_late_takes_nothing_of_the_next_holder(place: Place) -> None:
    """F-16, and the fence of a holder that slept: what it writes then is refused."""
    one, other = await place.session("one"), await place.session("other")
    held = await _work_until_lost(place, one)
    taken = await place.stack.enter_async_context(place.lock(other, "other").held(within=2 * SESSION_SECONDS))
    assert not await _written(place, held), "MULTI: a stale write was accepted"
    # What it could not take away when it gave the lock back, it takes away now: its own claim, which is gone.
    place.lines["one"].thaw()
    place.lines["one"].cut()
    assert taken.fence > held.fence
    await until_async(_is_live(one), "the late one has a session again", within=AGAIN_WITHIN)
    assert len(await place.nodes("lock:work")) == 1, "LOST: the late one has taken the other's node away"
    assert await _written(place, taken)
    with pytest.raises(Conflict, match="Another process holds 'lock:work'"):
        async with place.lock(one, "one").held(within=0.5):
            pytest.fail("two hold one lock")
    assert await _written(place, taken)


async def _work_until_lost(place: Place, session: Session) -> Held:
    """Hold the lock until nothing more is heard of ZooKeeper, which breaks the work off; return what was held."""
    kept: list[Held] = []

    async def work() -> None:
        async with place.lock(session, "one").held(within=5) as held:
            kept.append(held)
            assert await _written(place, held)
            place.lines["one"].freeze()
            await asyncio.sleep(2 * SESSION_SECONDS)

    with pytest.raises(Unavailable, match="was lost in the middle"):
        await work()
    return kept[0]


async def _written(place: Place, held: Held) -> bool:
    try:
        async with place.shard.engine_write() as tx:
            await held.require(tx)
    except Unavailable:
        return False
    return True


@pytest.mark.parametrize("jump", [600.0, -600.0, 3600.0, -3600.0, 1.0])
async def test_a_wall_clock_that_jumps_changes_no_lead(
    place: Place, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-18: sessions are counted by the monotonic clock, terms by the database's."""
    first, second = await place.candidate("first"), await place.candidate("second")
    fence = await first.wins()
    await second.holds()
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + jump)
    until_then = time.monotonic() + SESSION_SECONDS
    while time.monotonic() < until_then:
        assert await first.candidacy.hold() == fence
        assert await second.candidacy.hold() is None, "MULTI: two lead"
        await asyncio.sleep(0.2)
    monkeypatch.setattr(time, "time", right)
    await first.candidacy.resign()
    assert await second.wins(within=2) > fence
