"""The parts of an installation start in any order, also after all of them died in one moment.

A server that is there before its PostgreSQL waits and comes up by itself, without a manual step; one that is told to
wait no longer says so and ends. (`test_kill9` kills server and database together and starts the database first.) (F-09)
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.oracle import drain, judge, keeping_ledger
from faults.scene import TARGET_PORTS, build_scene, new_seed, tell
from support.postgres_process import PostgresProcess, own_postgres
from support.server import Installation, installed
from support.target import serving_target
from support.waiting import until

HEALTHY_WITHIN = 30.0
IN_FLIGHT = 30

pytestmark = [
    pytest.mark.requires_server("postgresql-15"),
    pytest.mark.timeout(180),
]


@pytest.fixture
def postgres(server: Callable[[str], Path]) -> Iterator[PostgresProcess]:
    with own_postgres(server("postgresql-15")) as own:
        yield own


@pytest.fixture
def installation(postgres: PostgresProcess, tmp_path: Path) -> Iterator[Installation]:
    with installed("external-one", tmp_path / "w", postgres, EGRESS_ALLOW="127.0.0.1") as one:
        yield one


def test_a_server_that_starts_before_its_database_comes_up_by_itself_and_has_lost_nothing(
    installation: Installation,
    postgres: PostgresProcess,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    seed = new_seed()
    serving = installation.server().start()
    with serving_target(TARGET_PORTS) as target:
        scene = build_scene(installation, serving.url)
        target.linger = 1.0
        with keeping_ledger(tmp_path, scene.plan("load", target, seed=seed)) as ledger:
            until(lambda: target.in_flight >= IN_FLIGHT and ledger.acked() >= 2 * IN_FLIGHT, "it works", within=60)
            serving.pause()
            postgres.kill()
            serving.kill()
            began = time.monotonic()
            serving.start(wait=False)
            until(
                lambda: "waiting up to" in serving.log_tail(),
                "the server waits for its database",
                within=HEALTHY_WITHIN,
            )
            assert not serving.is_ready()
            postgres.start()
            serving.wait_ready(within=HEALTHY_WITHIN)
            healthy = time.monotonic() - began
        target.linger = 0.0
        drain(installation.shard_dsn, scene.scenario_ids)
        verdict = judge([ledger], installation.shard_dsn, scene.scenario_ids, target.calls)
    tell(f"seed {seed}; healthy after {healthy:.1f} s; {verdict}")
    record_property("faults", f"seed {seed}; healthy after {healthy:.1f} s; {verdict}")
    assert verdict.is_clean, f"the promises are broken: {verdict}"
    assert healthy <= HEALTHY_WITHIN


def test_a_server_that_has_waited_long_enough_says_what_it_missed_and_ends(
    installation: Installation, postgres: PostgresProcess
) -> None:
    postgres.kill()
    serving = installation.server(DATABASE_START_SECONDS="1").start(wait=False)
    process = serving.process
    assert process is not None
    until(lambda: process.poll() is not None, "the server gives up", within=15)
    serving.process = None
    assert process.returncode == 1
    assert "Cannot reach the database" in serving.log_tail()
    postgres.start()
