"""Two servers and a real ZooKeeper: the leader sleeps, dies, or loses ZooKeeper, and ZooKeeper itself goes and returns.

What only one process may do is measured by a schedule of every second: no tick fires twice (MULTI), and the next ones
fire again within the time that was promised (STUCK). Webhooks are answered all the while.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg
import pytest

from faults.scene import Scene, build_scene, tell
from make_bridge.domain.executions.trigger import decode_head
from support.network import send
from support.postgres_process import own_postgres
from support.server import Installation, ServerProcess, installed
from support.slow_line import SlowLine, slow_line
from support.waiting import until
from support.zookeeper_process import SESSION_SECONDS, ZooKeeperProcess, own_ensemble, own_zookeeper

DUTY = "scheduler"
RESUMES_WITHIN = 10.0
# Servers end sessions at ticks, of a quarter of a second here; the rest is what a loop needs to notice and to ask.
FOLLOWED_WITHIN = SESSION_SECONDS + 1.0
# A tick is left out while the run of the one before it is held by somebody who is gone: until its lease is swept.
ENDS_WITHIN = 30.0
# How long a test waits for what is then measured against the promise: this machine may be busy.
PATIENCE = 20.0
SETTINGS = {
    "SCHEDULE_SHORTEST_SECONDS": "1",
    "ZOOKEEPER_SESSION_SECONDS": f"{SESSION_SECONDS:g}",
    "ZOOKEEPER_ANSWER_SECONDS": "1",
}
TICKS = """
SELECT e.id, p.head FROM shard.executions e JOIN shard.payloads p USING (retention, id)
WHERE e.origin = 'schedule' ORDER BY e.id
"""
ENDED = """
SELECT count(*) FROM shard.executions e JOIN shard.outcomes o USING (retention, id) WHERE e.origin = 'schedule'
"""
EVERY_SECOND = {"type": "indefinitely", "interval": 1}
TICKING = {
    "name": "Ticks",
    "flow": [{"id": 1, "module": "util:ComposeTransformer", "version": 1, "mapper": {"value": "tick"}}],
    "metadata": {"version": 1},
}

pytestmark = [pytest.mark.requires_server("postgresql-15", "zookeeper"), pytest.mark.timeout(240)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two servers, what they share, and the way of each to ZooKeeper."""

    installation: Installation
    zookeepers: tuple[ZooKeeperProcess, ...]
    servers: tuple[ServerProcess, ...]
    lines: tuple[SlowLine, ...]
    scene: Scene

    def leaders(self, *asked: ServerProcess) -> list[ServerProcess]:
        return [server for server in asked or self.servers if server.metric("leader", duty=DUTY)]

    def leader(self) -> ServerProcess:
        """Wait until one of them leads, and return it."""
        return until(self.leaders, "one of the two servers leads", within=20)[0]

    def other(self, than: ServerProcess) -> ServerProcess:
        return self.servers[1 - self.servers.index(than)]

    def line_of(self, server: ServerProcess) -> SlowLine:
        return self.lines[self.servers.index(server)]

    def fence(self) -> int:
        return int(str(self._one("SELECT fence FROM shard.leaders WHERE name = %s", (DUTY,))))

    def ticks(self) -> list[str]:
        """When the ticks that were fired were due."""
        with psycopg.connect(self.installation.shard_dsn) as connection:
            heads = [decode_head(bytes(head)) for _, head in connection.execute(TICKS).fetchall()]
        return [head.tick.due for head in heads if head.tick is not None]

    def ended(self) -> int:
        """How many ticks' runs have ended."""
        return int(str(self._one(ENDED, ())))

    def ticks_on(self, within: float, count: int = 2) -> float:
        """Wait until the runs of so many more ticks have ended; return how long the first took.

        A tick is left out while the run before it goes on, so what a test does next it does between two of them.
        """
        began, mark = time.monotonic(), self.ended()
        until(lambda: self.ended() > mark, "STUCK: schedules fire", within=within)
        took = time.monotonic() - began
        until(lambda: self.ended() >= mark + count, "STUCK: schedules go on firing", within=20)
        return took

    def assert_each_tick_fired_once(self) -> None:
        ticks = self.ticks()
        twice = sorted({tick for tick in ticks if ticks.count(tick) > 1})
        assert twice == [], f"MULTI: ticks were fired twice: {twice}"

    def _one(self, statement: str, given: tuple[str, ...]) -> object:
        with psycopg.connect(self.installation.shard_dsn) as connection:
            [value] = connection.execute(statement, given).fetchone() or (0,)
        return value


def _begin(exits: ExitStack, zookeepers: tuple[ZooKeeperProcess, ...], folder: Path, program: Path) -> Pair:
    """Start two servers, each with a line of its own to the first ZooKeeper, and a schedule of every second."""
    postgres = exits.enter_context(own_postgres(program))
    installation = exits.enter_context(installed("external-one", folder, postgres, **SETTINGS))
    lines = tuple(exits.enter_context(slow_line(zookeepers[0].port)) for _ in range(2))
    servers = []
    for name, line in zip(("first", "second"), lines, strict=True):
        hosts = " ".join((f"127.0.0.1:{line.port}", *(one.address for one in zookeepers[1:])))
        servers.append(installation.server(name, NODE_ID=name, ZOOKEEPER_HOSTS=hosts).start())
    scene = build_scene(installation, servers[0].url)
    administrator = scene.integrator.administrator()
    made = administrator.post("/scenarios", {"blueprint": TICKING, "scheduling": EVERY_SECOND})["scenario"]
    administrator.post(f"/scenarios/{made['id']}/activate")
    pair = Pair(
        installation=installation, zookeepers=zookeepers, servers=tuple(servers), lines=lines, scene=scene
    )  # fmt: skip
    pair.leader()
    pair.ticks_on(within=ENDS_WITHIN)
    return pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, server: Callable[[str], Path]) -> Iterator[Pair]:
    """Two servers for several tests: each leaves both serving, and one of them leading."""
    folder = tmp_path_factory.mktemp("coordination")
    with ExitStack() as exits:
        zookeeper = exits.enter_context(own_zookeeper(folder / "zookeeper"))
        yield _begin(exits, (zookeeper,), folder / "w", server("postgresql-15"))


@pytest.fixture
def ensemble(tmp_path: Path, server: Callable[[str], Path]) -> Iterator[Pair]:
    with ExitStack() as exits:
        zookeepers = exits.enter_context(own_ensemble(tmp_path / "zookeeper"))
        yield _begin(exits, zookeepers, tmp_path / "w", server("postgresql-15"))


@dataclass(slots=True)
class Webhooks:
    """Webhooks to all servers, one after the other, and what was answered."""

    pair: Pair
    statuses: list[int] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def send_on(self, server: ServerProcess) -> None:
        hook = self.pair.scene.quick.hook_url.rpartition("/")[2]
        while not self.is_over.wait(0.05):
            body = {"op": f"{len(self.statuses)}"}
            self.statuses.append(send("POST", f"{server.url}/hook/{hook}", json_body=body).status)


@contextmanager
def webhooks(pair: Pair, *servers: ServerProcess) -> Iterator[Webhooks]:
    """Send webhooks, and fail if one is refused."""
    load = Webhooks(pair)
    with ThreadPoolExecutor(len(pair.servers)) as senders:
        sending = [senders.submit(load.send_on, server) for server in servers or pair.servers]
        try:
            yield load
        finally:
            load.is_over.set()
        for one in sending:
            one.result()
    assert set(load.statuses) == {200}, f"LOST: webhooks were not accepted: {load.statuses}"


def test_a_leader_that_sleeps_is_followed_and_fires_nothing_when_it_wakes(
    pair: Pair, record_property: Callable[[str, object], None]
) -> None:
    """F-11."""
    nights = []
    for _ in range(2):
        sleeper = pair.leader()
        pair.ticks_on(within=ENDS_WITHIN)
        other, fence = pair.other(sleeper), pair.fence()
        fired = sleeper.metric("schedule_ticks_total", result="fired")
        with webhooks(pair, other):
            sleeper.pause()
            slept = time.monotonic()
            try:
                until(partial(pair.leaders, other), "STUCK: the other leads", within=PATIENCE)
                nights.append(time.monotonic() - slept)
                pair.ticks_on(within=ENDS_WITHIN)
            finally:
                sleeper.resume()
            pair.ticks_on(within=ENDS_WITHIN)
        assert pair.fence() > fence
        assert pair.leaders(sleeper) == []
        assert sleeper.metric("schedule_ticks_total", result="fired") == fired, "MULTI: the sleeper fired a tick"
        pair.assert_each_tick_fired_once()
    assert min(nights) <= FOLLOWED_WITHIN, f"STUCK: followed after {nights} s"
    told = f"followed after {[round(night, 2) for night in nights]} s with sessions of {SESSION_SECONDS:g} s"
    tell(told)
    record_property("faults", told)


def test_a_leader_that_dies_is_followed_when_its_session_is_over(
    pair: Pair, record_property: Callable[[str, object], None]
) -> None:
    """F-11."""
    dead = pair.leader()
    other = pair.other(dead)
    pair.ticks_on(within=ENDS_WITHIN)
    with webhooks(pair, other):
        dead.kill()
        died = time.monotonic()
        try:
            until(lambda: pair.leaders(other), "STUCK: the other leads", within=PATIENCE)
            took = time.monotonic() - died
            pair.ticks_on(within=ENDS_WITHIN)
        finally:
            dead.start()
    assert took > SESSION_SECONDS / 3, "it was not the end of the session that was waited for"
    pair.assert_each_tick_fired_once()
    record_property("faults", f"followed after {took:.2f} s")


def test_a_leader_that_ends_is_followed_at_once(pair: Pair) -> None:
    leader = pair.leader()
    other = pair.other(leader)
    leader.ask_to_end()
    try:
        until(lambda: pair.leaders(other), "STUCK: the other leads", within=PATIENCE)
        assert leader.end() is None
        pair.ticks_on(within=ENDS_WITHIN)
    finally:
        leader.start()
    pair.assert_each_tick_fired_once()


def test_without_zookeeper_nobody_leads_and_everything_else_goes_on(
    pair: Pair, record_property: Callable[[str, object], None]
) -> None:
    """F-07."""
    zookeeper = pair.zookeepers[0]
    with webhooks(pair):
        zookeeper.kill()
        until(lambda: not pair.leaders(), "MULTI: nobody leads without a quorum", within=SESSION_SECONDS)
        fired = len(pair.ticks())
        accepted = [server.metric("executions_total", status="success") for server in pair.servers]
        # Longer than a term in the database: nobody falls back to it.
        third = pair.installation.server("third", NODE_ID="third", ZOOKEEPER_HOSTS=zookeeper.address).start()
        until(lambda: _is_over(pair), "the term in the database is over", within=20)
        assert pair.leaders(*pair.servers, third) == []
        assert len(pair.ticks()) == fired, "MULTI: a schedule fired without a quorum"
        now = [server.metric("executions_total", status="success") for server in pair.servers]
        assert all(after > before for before, after in zip(accepted, now, strict=True))
        zookeeper.start()
        resumed = pair.ticks_on(within=RESUMES_WITHIN)
    assert third.end() is None
    pair.assert_each_tick_fired_once()
    tell(f"schedules resumed {resumed:.1f} s after ZooKeeper was back")
    record_property("faults", f"resumed after {resumed:.1f} s")


def test_a_leader_that_alone_hears_nothing_of_zookeeper_steps_down_by_its_own_clock(
    pair: Pair, record_property: Callable[[str, object], None]
) -> None:
    """F-37."""
    leader = pair.leader()
    other = pair.other(leader)
    with webhooks(pair):
        # What it says arrives, so its session may live on; what it is told does not.
        pair.line_of(leader).hold_answers()
        cut = time.monotonic()
        try:
            until(lambda: not pair.leaders(leader), "MULTI: it leads no longer", within=PATIENCE)
            stepped_down = time.monotonic() - cut
            until(lambda: pair.leaders(other), "STUCK: the other leads", within=PATIENCE)
            pair.ticks_on(within=ENDS_WITHIN)
            assert pair.leaders(leader) == []
        finally:
            pair.line_of(leader).cut()
        until(lambda: leader.metric("zookeeper_session"), "it has a session again", within=5 + SESSION_SECONDS)
    pair.assert_each_tick_fired_once()
    assert pair.leaders() == [other]
    assert stepped_down <= SESSION_SECONDS, f"MULTI: it stepped down after {stepped_down:.1f} s only"
    record_property("faults", f"stepped down after {stepped_down:.1f} s")


def test_one_zookeeper_of_three_may_die_and_without_two_nobody_leads(
    ensemble: Pair, record_property: Callable[[str, object], None]
) -> None:
    """F-07."""
    pair = ensemble
    first, second, _ = pair.zookeepers
    with webhooks(pair):
        first.kill()
        one_dead = pair.ticks_on(within=RESUMES_WITHIN)
        second.kill()
        until(lambda: not pair.leaders(), "MULTI: nobody leads without a quorum", within=SESSION_SECONDS)
        fired = len(pair.ticks())
        until(lambda: _is_over(pair), "the term in the database is over", within=20)
        assert len(pair.ticks()) == fired, "MULTI: a schedule fired without a quorum"
        second.start()
        back = pair.ticks_on(within=RESUMES_WITHIN)
    pair.assert_each_tick_fired_once()
    record_property("faults", f"one dead: {one_dead:.1f} s; quorum back: {back:.1f} s")


def _is_over(pair: Pair) -> bool:
    """Say whether the leader's term has run out in the database, as it does when nobody renews it."""
    with psycopg.connect(pair.installation.shard_dsn) as connection:
        [over] = connection.execute(
            "SELECT until < now() - interval '1 second' FROM shard.leaders WHERE name = %s", (DUTY,)
        ).fetchone() or (True,)
    return bool(over)
