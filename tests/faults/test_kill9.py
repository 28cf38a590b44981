"""kill -9, again and again, under load: what was acknowledged has exactly one end, whatever was killed.

Three victims: the server alone (its embedded PostgreSQL then does what it does when its parent dies), PostgreSQL alone
(the server lives on; an embedded one it has to bring back itself), and all processes in one moment. Each kill waits
until at least fifty runs are at their target, and then for a number of further acknowledgements that the seed decides,
so it falls at another point of the work each time.

The short form kills three times, and PostgreSQL twice, on the embedded database; MAKE_BRIDGE_TEST_KILLS=20 is the long
one, which does it all again on an external PostgreSQL 15, with the directory in the shard's database and beside it. A
run is repeated with MAKE_BRIDGE_TEST_SEED.
"""

import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from faults.oracle import LedgerProcess, Verdict, drain, judge, keeping_ledger, unread
from faults.scene import TARGET_PORTS, Scene, build_scene, new_seed, tell
from support.embedded import postmaster_pid
from support.postgres_process import PostgresProcess, own_postgres
from support.server import Installation, Layout, ServerProcess, installed
from support.target import Target, serving_target
from support.waiting import until

SHORT = 3
KILLS = int(os.environ.get("MAKE_BRIDGE_TEST_KILLS", SHORT))
IN_FLIGHT = 50
# A run whose worker is gone starts elsewhere within this time, and a killed server may be away meanwhile.
ORPHANS_RUN_WITHIN = 20.0
READY_AGAIN_WITHIN = 30.0
READY_AFTER_DATABASE = 5.0
_RUN_SECONDS = 1.5
_SAMPLE = 60

pytestmark = pytest.mark.timeout(120 + 40 * KILLS)
EXTERNAL: tuple[Layout, ...] = ("external-one", "external-two") if KILLS > SHORT else ()
TESTED_LAYOUTS = [
    "embedded",
    *(pytest.param(layout, marks=pytest.mark.requires_server("postgresql-15")) for layout in EXTERNAL),
]


@dataclass(slots=True)
class Stage:
    """A server under load, with what the test learned of it."""

    server: ServerProcess
    scene: Scene
    target: Target
    installation: Installation
    postgres: PostgresProcess | None
    chance: random.Random
    kills: list[tuple[str, float]] = field(default_factory=list)
    outages: list[float] = field(default_factory=list)

    def kill_under_load(self, victim: str, ledger: LedgerProcess) -> None:
        """Wait until enough is in flight, kill, bring it back."""
        until(lambda: self.target.in_flight >= IN_FLIGHT, f"{IN_FLIGHT} runs are in flight", within=60)
        mark = ledger.acked() + self.chance.randrange(20, 80)
        until(lambda: ledger.acked() >= mark, "some more webhooks are acknowledged", within=60, pause=0.005)
        began = time.monotonic()
        self.kills.append((victim, began))
        match victim:
            case "server":
                self.server.kill()
                self.server.start()
            case "everything":
                self.kill_everything()
            case _:
                self.kill_database()
                self.server.wait_ready()
        self.outages.append(time.monotonic() - began)

    def kill_database(self) -> None:
        """Kill PostgreSQL alone, and wait until it answers again: started by the server, or by whoever runs it.

        It may be back before the server has taken notice, which looks a few times a second.
        """
        if self.postgres is not None:
            self.postgres.kill()
            self.postgres.start()
            return
        postmaster = postmaster_pid(self.installation.data_dir)
        self.server.kill_postgres()
        until(lambda: self.has_new_postmaster(postmaster), "PostgreSQL is started again", within=30)
        until(self.database_answers, "PostgreSQL answers again", within=30)

    def kill_everything(self) -> None:
        """Kill server and database in one moment, and start them again."""
        if self.postgres is None:
            self.server.kill_everything()
        else:
            self.server.pause()
            self.postgres.kill()
            self.server.kill()
            self.postgres.start()
        self.server.start()

    def database_answers(self) -> bool:
        try:
            with psycopg.connect(self.installation.directory_dsn, connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def has_new_postmaster(self, old: int) -> bool:
        try:
            return postmaster_pid(self.installation.data_dir) != old
        except (OSError, ValueError, IndexError):
            return False

    def unread(self, ledger: LedgerProcess) -> list[str]:
        """Read a sample of the acknowledged operations as a customer does; return those whose log is wrong."""
        acked = [line for line in ledger.lines() if line.status == "200"]
        sample = self.chance.sample(acked, min(_SAMPLE, len(acked)))
        scenarios = {"slow": self.scene.slow, "quick": self.scene.quick}
        return [
            wrong
            for kind, scenario in scenarios.items()
            for wrong in unread(scenario, [line for line in sample if line.kind == kind])
        ]

    def slowest_orphan(self) -> float:
        """How long after the last kill an interrupted run was at the target again.

        The last before its return: one that was taken over by a server that then died too has to wait once more.
        """
        arrivals: dict[str, list[float]] = defaultdict(list)
        for call in list(self.target.calls):
            arrivals[call.headers["x-op"]].append(call.at)
        returns = [again for times in arrivals.values() for again in times[1:]]
        return max((again - max(at for _, at in self.kills if at < again) for again in returns), default=0.0)


@contextmanager
def stage(folder: Path, seed: int, layout: Layout, program: Callable[[str], Path]) -> Iterator[Stage]:
    with ExitStack() as stack:
        target = stack.enter_context(serving_target(TARGET_PORTS))
        postgres = None if layout == "embedded" else stack.enter_context(own_postgres(program("postgresql-15")))
        installation = stack.enter_context(installed(layout, folder, postgres, EGRESS_ALLOW="127.0.0.1"))
        server = installation.server().start()
        scene = build_scene(installation, server.url)
        target.linger = _RUN_SECONDS
        yield Stage(server, scene, target, installation, postgres, random.Random(seed))  # noqa: S311 - to be repeated


def kill_and_judge(scene: Stage, folder: Path, victims: Sequence[str], seed: int) -> Verdict:
    """Kill each victim in turn under load, let everything come to rest, and judge."""
    with keeping_ledger(folder, scene.scene.plan("load", scene.target, seed=seed, rate=80.0)) as ledger:
        for victim in victims:
            scene.kill_under_load(victim, ledger)
    scene.target.linger = 0.0
    drain(scene.installation.shard_dsn, scene.scene.scenario_ids)
    verdict = judge([ledger], scene.installation.shard_dsn, scene.scene.scenario_ids, scene.target.calls)
    tell(
        f"seed {seed}; killed {dict(Counter(victims))}; ready again after at most"
        f" {max(scene.outages):.1f} s; orphans at the target again after at most {scene.slowest_orphan():.1f} s"
        f"\n{verdict}"
    )
    assert verdict.is_clean, f"the promises are broken: {verdict}"
    assert scene.unread(ledger) == [], "the log that a customer reads tells another story"
    return verdict


def assert_kept(scene: Stage, verdict: Verdict) -> None:
    """Hold the promises against the numbers."""
    assert verdict.acked >= 2 * IN_FLIGHT, f"too little load to say anything: {verdict}"
    assert max(scene.outages) <= READY_AGAIN_WITHIN
    assert scene.slowest_orphan() <= ORPHANS_RUN_WITHIN + max(scene.outages)
    assert verdict.duplicate_effects <= len(scene.kills) * 200, "more was repeated than can have been in flight"


def assert_repeats_say_so(scene: Stage) -> None:
    """A call that is made again carries the key of the first, so that its target can tell."""
    keys: dict[str, set[str]] = defaultdict(set)
    for call in scene.target.calls:
        keys[call.headers["x-op"]].add(call.headers["idempotency-key"])
    assert {op: found for op, found in keys.items() if len(found) > 1} == {}


@pytest.mark.parametrize("layout", TESTED_LAYOUTS)
def test_no_acknowledged_webhook_is_lost_when_the_server_is_killed(
    layout: Layout, server: Callable[[str], Path], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """F-01."""
    seed = new_seed()
    with stage(tmp_path / "w", seed, layout, server) as scene:
        verdict = kill_and_judge(
            scene, tmp_path, [("server", "everything")[number % 2] for number in range(KILLS)], seed
        )
    record_property("faults", f"seed {seed}: {verdict}")
    assert verdict.duplicate_effects >= 1, "no run was interrupted: the test does not bite"
    assert_kept(scene, verdict)
    assert_repeats_say_so(scene)


@pytest.fixture(scope="module", params=TESTED_LAYOUTS)
def lasting(
    request: pytest.FixtureRequest, server: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A server that outlives its database; both tests below kill only that."""
    with stage(tmp_path_factory.mktemp("lasting") / "w", new_seed(), request.param, server) as scene:
        yield scene


def test_no_acknowledged_webhook_is_lost_when_the_database_is_killed(
    lasting: Stage, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """F-04."""
    seed = new_seed()
    verdict = kill_and_judge(lasting, tmp_path, ["postgres"] * (KILLS if KILLS > SHORT else 2), seed)
    record_property("faults", f"seed {seed}: {verdict}")
    assert_kept(lasting, verdict)
    assert_repeats_say_so(lasting)


def test_the_server_reads_and_accepts_again_soon_after_its_database_is_back(lasting: Stage) -> None:
    """F-04."""
    lasting.target.linger = 0.0
    customer = lasting.scene.slow.portal
    # Many at once, so that the server holds many connections that are about to die.
    before = _at_once(lambda: customer.call("GET", "/integrations").status, 24)
    lasting.kill_database()
    lasting.server.wait_ready(within=READY_AFTER_DATABASE)
    # That it is ready says little here: it changes after a few looks, and the database was away for less.
    until(lambda: customer.call("GET", "/integrations").status == 200, "it reads again", within=READY_AFTER_DATABASE)
    after = _at_once(lambda: customer.call("GET", "/integrations").status, 24)
    webhook = {"op": "x", "url": lasting.target.url}
    accepted = [scenario.call_hook(webhook).status for scenario in (lasting.scene.slow, lasting.scene.quick)]
    assert set(before) == {200}
    assert set(after) == {200}, "connections that died with the database are still given out"
    assert set(accepted) == {200}


def _at_once(call: Callable[[], int], count: int) -> list[int]:
    with ThreadPoolExecutor(count) as threads:
        return [future.result() for future in [threads.submit(call) for _ in range(count)]]
