"""Two servers on one PostgreSQL: one of them sleeps past its leases, or dies, with runs in flight.

The sleeper is the dangerous one: its runs were given to the other, its calls were answered while it slept, and it wakes
up sure that it still holds them. What it then wants to settle must be refused by the fence, and counted. The dead one
only has to be replaced in time.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from faults.oracle import LedgerProcess, await_ends, drain, judge, keeping_ledger
from faults.scene import TARGET_PORTS, Scene, build_scene, new_seed, tell
from support.postgres_process import own_postgres
from support.server import Installation, ServerProcess, installed
from support.target import Call, Target, serving_target
from support.waiting import until

RUNS = 60
ORPHANS_RUN_WITHIN = 20.0
IS_LONG = "MAKE_BRIDGE_TEST_KILLS" in os.environ

pytestmark = [
    pytest.mark.requires_server("postgresql-15"),
    pytest.mark.timeout(180),
]


@dataclass(slots=True)
class Pair:
    """Two servers, and the scenarios that either can run."""

    installation: Installation
    first: ServerProcess
    second: ServerProcess
    scene: Scene
    target: Target

    def send_slow(self, name: str, server: ServerProcess, folder: Path, seed: int) -> LedgerProcess:
        """Send webhooks that start slow runs to one server, all of them, and wait for their answers."""
        weights = {"slow": 1}
        plan = self.scene.plan(name, self.target, url=server.url, weights=weights, seed=seed, most=RUNS, rate=300.0)
        with keeping_ledger(folder, plan) as ledger:
            pass
        assert ledger.acked() == RUNS, "not even a healthy server took every webhook"
        return ledger

    def calls_of(self, name: str) -> list[Call]:
        """The calls at the target that belong to one load."""
        return [call for call in list(self.target.calls) if call.headers["x-op"].startswith(f"{name}-")]

    def rerun(self) -> set[str]:
        """The operations that were at the target more than once."""
        arrivals = Counter(call.headers["x-op"] for call in list(self.target.calls))
        return {op for op, count in arrivals.items() if count > 1}


@pytest.fixture
def pair(tmp_path: Path, server: Callable[[str], Path]) -> Iterator[Pair]:
    settings = {"EGRESS_ALLOW": "127.0.0.1"}
    with (
        serving_target(TARGET_PORTS) as target,
        own_postgres(server("postgresql-15")) as postgres,
        installed("external-one", tmp_path / "w", postgres, **settings) as installation,
    ):
        first = installation.server("first", NODE_ID="first").start()
        second = installation.server("second", NODE_ID="second").start()
        yield Pair(installation, first, second, build_scene(installation, first.url), target)


def test_what_a_sleeper_settles_after_its_leases_passed_on_is_refused(
    pair: Pair, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    held = pair.target.hold()
    sleepers = pair.send_slow("sleeper", pair.first, tmp_path, seed)
    until(lambda: pair.target.in_flight == RUNS, f"{RUNS} runs are in flight on the first server", within=20)
    pair.first.pause()
    fell_asleep = time.monotonic()
    held.release()
    meanwhile = pair.scene.plan("meanwhile", pair.target, url=pair.second.url, seed=seed, rate=20.0)
    with keeping_ledger(tmp_path, meanwhile) as busy:
        await_ends(pair.installation.shard_dsn, sleepers.lines(), within=2 * ORPHANS_RUN_WITHIN)
    taken_over = max(call.at for call in pair.calls_of("sleeper")) - fell_asleep
    pair.first.resume()
    until(lambda: _spoken_for(pair.first) >= RUNS, "the sleeper knows that all its runs are gone", within=30)
    refused, lost = pair.first.metric("settles_refused_total"), pair.first.metric("leases_lost_total")
    awake = pair.send_slow("awake", pair.first, tmp_path, seed + 1)
    drain(pair.installation.shard_dsn, pair.scene.scenario_ids)
    verdict = judge([sleepers, busy, awake], pair.installation.shard_dsn, pair.scene.scenario_ids, pair.target.calls)
    numbers = f"seed {seed}; taken over after {taken_over:.1f} s; settles refused {refused:g}, leases lost {lost:g}; "
    tell(f"{numbers}\n{verdict}")
    record_property("faults", numbers + str(verdict))
    assert verdict.is_clean, f"the promises are broken: {verdict}"
    assert refused >= 1, "the sleeper tried to settle nothing: the test does not bite"
    assert pair.rerun() >= {line.op for line in sleepers.lines()}
    assert taken_over <= ORPHANS_RUN_WITHIN
    assert pair.second.metric("leases_swept_total") >= RUNS


@pytest.mark.skipif(not IS_LONG, reason="the long form of the fault tests: MAKE_BRIDGE_TEST_KILLS=20")
def test_the_runs_of_a_dead_server_run_elsewhere_in_time(
    pair: Pair, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    held = pair.target.hold()
    orphans = pair.send_slow("orphan", pair.first, tmp_path, seed)
    until(lambda: pair.target.in_flight == RUNS, f"{RUNS} runs are in flight on the first server", within=20)
    pair.first.kill()
    died = time.monotonic()
    held.release()
    drain(pair.installation.shard_dsn, pair.scene.scenario_ids, within=2 * ORPHANS_RUN_WITHIN)
    taken_over = max(call.at for call in pair.target.calls) - died
    verdict = judge([orphans], pair.installation.shard_dsn, pair.scene.scenario_ids, pair.target.calls)
    tell(f"seed {seed}; taken over after {taken_over:.1f} s\n{verdict}")
    record_property("faults", f"seed {seed}; taken over after {taken_over:.1f} s; {verdict}")
    assert verdict.is_clean, f"the promises are broken: {verdict}"
    assert taken_over <= ORPHANS_RUN_WITHIN
    assert verdict.nodes == {"second": RUNS}


def _spoken_for(server: ServerProcess) -> float:
    return server.metric("settles_refused_total") + server.metric("leases_lost_total")
