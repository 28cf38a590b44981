"""F-36, F-39: the line between a process and the database goes down without a word, or comes and goes every second.

A gateway, two processes that answer for it, and a worker, each with a line of its own. A frozen line breaks no
connection and carries nothing: whoever asks waits, and what was written arrives after the thaw, late. The process that
was cut off has to say so, the gateway to leave it out, and nothing that arrives late may be done twice.

The short form flaps for 10 s; with MAKE_BRIDGE_TEST_KILLS it is cut off for 30 s and flaps for two minutes.
"""

import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from faults.oracle import LedgerProcess, Verdict, drain, judge, keeping_ledger
from faults.scene import TARGET_PORTS, Scene, build_scene, new_seed, tell
from support.network import send
from support.postgres_process import PostgresProcess, own_postgres
from support.server import Installation, ServerProcess, installed
from support.slow_line import SlowLine, slow_line
from support.target import Target, serving_target
from support.waiting import until

IS_LONG = "MAKE_BRIDGE_TEST_KILLS" in os.environ
AWAY_SECONDS = 30.0 if IS_LONG else 2.0
FLAPS = 60 if IS_LONG else 5
UNREADY_WITHIN = 5.0
READERS = 3
FORWARD_SECONDS = 3.0
GOODPUT = 0.4
PROCESSES = (
    ("gateway", "gateway"),
    ("first", "bridge,templates,scenarios"),
    ("second", "bridge,templates,scenarios"),
    ("worker", "worker"),
)
CONNECTIONS = 3
# Callers shall be there, and not be the load.
_BETWEEN_CALLS = 0.02
_SESSIONS = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"
_NAMED = "SELECT name, count(*) FROM shard.templates WHERE organization_id = %s GROUP BY name"

pytestmark = [pytest.mark.requires_server("postgresql-15"), pytest.mark.timeout(400)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: when it began, what came of it (a status, or the name of an error)."""

    began: float
    ended: float
    said: str
    name: str = ""


@dataclass(slots=True, kw_only=True)
class Ground:
    """What serves, each with its line to the database."""

    installation: Installation
    postgres: PostgresProcess
    processes: dict[str, ServerProcess]
    lines: dict[str, SlowLine]
    scene: Scene
    target: Target
    ledgers: list[LedgerProcess] = field(default_factory=list)

    def await_whole(self) -> None:
        gateway = self.processes["gateway"]
        until(lambda: gateway.metric("upstream_nodes", role="bridge", state="up") == 2, "both are well", within=60)

    def is_left_out(self) -> bool:
        up = self.processes["gateway"].metric("upstream_nodes", role="bridge", state="up")
        return up == 1

    def sessions(self) -> int:
        """How many connections the database has taken so far."""
        with psycopg.connect(self.installation.shard_dsn, autocommit=True) as connection:
            row = connection.execute(_SESSIONS).fetchone()
            return int(row[0]) if row else 0

    def judge(self, *ledgers: LedgerProcess) -> Verdict:
        """Hold what was told against what is stored; earlier tests have stored as well, for the same scenarios."""
        self.ledgers += ledgers
        drain(self.installation.shard_dsn, self.scene.scenario_ids)
        return judge(self.ledgers, self.installation.shard_dsn, self.scene.scenario_ids, self.target.calls)

    def templates(self) -> Counter[str]:
        with psycopg.connect(self.installation.shard_dsn, autocommit=True) as connection:
            rows = connection.execute(_NAMED, (self.scene.integrator.organization_id,)).fetchall()
        return Counter(dict(rows))


@dataclass(slots=True)
class Callers:
    """Some that read and one that writes, all through the gateway, one request after the other."""

    scene: Scene
    asked: list[Asked] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def read_on(self) -> None:
        while not self.stopped.is_set():
            self._ask("GET", f"/scenarios/{self.scene.quick.id}", self.scene.quick.portal.sub)

    def write_on(self) -> None:
        for number in itertools.count():
            if self.stopped.is_set():
                return
            self._ask("POST", "/templates", "*", f"number {number}")

    def count(self) -> int:
        return len(self.asked)

    def _ask(self, method: str, path: str, sub: str, name: str = "") -> None:
        integrator = self.scene.integrator
        body = {"blueprint": {"name": name, "flow": [], "metadata": {"version": 1}}} if name else None
        time.sleep(_BETWEEN_CALLS)
        began = time.monotonic()
        try:
            headers = {"Authorization": f"Bearer {integrator.token(sub)}"}
            url = f"{integrator.url}/portal/api/bridge{path}"
            said = str(send(method, url, headers=headers, json_body=body, patience=30.0).status)
        except OSError as error:
            said = type(error).__name__
        self.asked.append(Asked(began=began, ended=time.monotonic(), said=said, name=name))


@contextmanager
def calling(scene: Scene) -> Iterator[Callers]:
    callers = Callers(scene)
    threads = [threading.Thread(target=callers.read_on) for _ in range(READERS)]
    threads.append(threading.Thread(target=callers.write_on))
    for thread in threads:
        thread.start()
    try:
        yield callers
    finally:
        callers.stopped.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def ground(server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("cut-off")
    settings = {
        "EGRESS_ALLOW": "127.0.0.1", "DATABASE_CONNECTIONS": str(CONNECTIONS), "SERVERS_SECONDS": "0.2",
        "FORWARD_SECONDS": str(FORWARD_SECONDS), "LEAVE_SECONDS": "0", "NODE_CHECK_SECONDS": "0.5",
    }  # fmt: skip
    with ExitStack() as stack:
        target = stack.enter_context(serving_target(TARGET_PORTS))
        postgres = stack.enter_context(own_postgres(server("postgresql-15")))
        lines = {name: stack.enter_context(slow_line(postgres.port)) for name, _ in PROCESSES}
        installation = stack.enter_context(installed("external-one", folder / "w", postgres, **settings))
        installation.command("migrate")
        processes = {}
        for name, roles in PROCESSES:
            url = installation.environment["DATABASE_URL"].replace(f":{postgres.port}/", f":{lines[name].port}/")
            processes[name] = installation.server(name, NODE_ID=name, ROLES=roles, DATABASE_URL=url)
        gateway = processes["gateway"]
        installation.environment["PUBLIC_URL"] = gateway.url
        for process in processes.values():
            process.start(wait=False)
        for process in processes.values():
            process.wait_ready()
        ground = Ground(
            installation=installation, postgres=postgres, processes=processes, lines=lines, target=target,
            scene=build_scene(installation, gateway.url),
        )  # fmt: skip
        ground.await_whole()
        yield ground
        for line in lines.values():
            line.thaw()


def test_a_process_that_is_cut_off_says_so_and_is_left_out_and_nothing_late_is_done_twice(
    ground: Ground, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    ground.await_whole()
    plan = ground.scene.plan("apart", ground.target, weights={"slow": 1, "quick": 3}, seed=seed, rate=20.0)
    with keeping_ledger(tmp_path, plan) as ledger, calling(ground.scene) as callers:
        until(lambda: callers.count() > 50 and ledger.acked() > 20, "calls are answered", within=60)
        cut = time.monotonic()
        ground.lines["first"].freeze()
        until(lambda: not ground.processes["first"].is_ready(), "it says that it is not ready", within=30, pause=0.01)
        unready = time.monotonic() - cut
        until(ground.is_left_out, "the gateway leaves it out", within=30)
        left_out = time.monotonic()
        mark = callers.count() + 50
        until(lambda: callers.count() >= mark, "calls are answered without it", within=60)
        until(lambda: time.monotonic() > left_out + AWAY_SECONDS, "it was away for a while", within=AWAY_SECONDS + 5)
        ground.lines["first"].thaw()
        ground.await_whole()
        mark = callers.count() + 50
        until(lambda: callers.count() >= mark, "calls are answered by both", within=60)
    verdict = ground.judge(ledger)
    failed = [one for one in callers.asked if not one.said.startswith("2")]
    late = [one for one in failed if one.began > left_out or one.ended < cut]
    stored = ground.templates()
    twice = {name: count for name, count in stored.items() if name.startswith("number ") and count > 1}
    lost = [one.name for one in callers.asked if one.name and one.said == "200" and not stored[one.name]]
    numbers = (
        f"seed {seed}; not ready after {unready:.2f} s, left out after {left_out - cut:.2f} s; calls "
        f"{callers.count()}, failed {len(failed)} ({dict(Counter(one.said for one in failed))}), of them begun later "
        f"{len(late)}; MULTI {twice}, LOST {lost}"
    )
    tell(f"{numbers}\n{verdict}")
    record_property("faults", f"{numbers}; {verdict}")
    assert verdict.is_clean, f"the promises are broken: {verdict}"
    assert {line.status for line in ledger.lines()} == {"200"}, "webhooks failed, which another process takes"
    assert unready <= UNREADY_WITHIN
    assert late == [], "calls failed that began when it was left out"
    # Each caller has one request at a time: so many can have hung there, and each once more while it was found out.
    assert len(failed) <= 2 * (READERS + 1)
    assert (twice, lost) == ({}, [])


def test_a_line_that_comes_and_goes_costs_time_and_loses_nothing(
    ground: Ground, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """F-39."""
    seed = new_seed()
    ground.await_whole()
    before = ground.sessions()
    plan = ground.scene.plan("flapping", ground.target, weights={"slow": 1, "quick": 3}, seed=seed, rate=20.0)
    with keeping_ledger(tmp_path, plan) as ledger, calling(ground.scene) as callers:
        until(lambda: callers.count() > 20 and ledger.acked() > 20, "calls are answered", within=60)
        for number in range(FLAPS):
            flap(ground, is_broken=number % 2 == 1)
        ended = time.monotonic()
        mark, acked = callers.count() + 30, ledger.acked() + 20
        until(lambda: callers.count() >= mark and ledger.acked() >= acked, "calls are answered again", within=60)
        ground.await_whole()
        healthy = time.monotonic() - ended
    sessions = ground.sessions() - before
    verdict = ground.judge(ledger)
    good = sum(one.said.startswith("2") for one in callers.asked) / callers.count()
    sent = ledger.lines()
    goodput = sum(line.status == "200" for line in sent) / len(sent)
    numbers = (
        f"seed {seed}; {FLAPS} flaps; goodput of webhooks {goodput:.0%}, of calls {good:.0%}; connections made "
        f"{sessions}; well after {healthy:.1f} s"
    )
    tell(f"{numbers}\n{verdict}")
    record_property("faults", f"{numbers}; {verdict}")
    assert (verdict.lost, verdict.multi, verdict.phantom, verdict.stuck) == ([], [], [], [])
    assert goodput >= GOODPUT
    assert good >= GOODPUT
    # No storm: what is cut is connected anew, by each process once for each of its connections and a few tries.
    assert sessions <= (FLAPS + 2) * len(PROCESSES) * CONNECTIONS * 6


def flap(ground: Ground, *, is_broken: bool) -> None:
    """Carry nothing for a second, then everything for a second; a line that breaks as well loses what it held."""
    for line in ground.lines.values():
        line.freeze()
    _pass_a_second()
    for line in ground.lines.values():
        if is_broken:
            line.cut()
        line.thaw()
    _pass_a_second()


def _pass_a_second() -> None:
    """The fault itself is a second long."""
    threading.Event().wait(1.0)
