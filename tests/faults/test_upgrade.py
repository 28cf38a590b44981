"""The database is brought to the next version under load: servers of the version before go on, and may start beside it.

A migration that meets a lock gives way at once and comes again, so that nobody waits long behind it. What only adds is
taken by the version before; what takes away has its servers refuse to start, with a sentence. (F-56)
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from faults.oracle import drain, judge, keeping_ledger
from faults.scene import TARGET_PORTS, build_scene, new_seed, tell
from make_bridge.platform.database.migration_steps import upgrade
from make_bridge.platform.database.versions import HEADS, LockPatience
from support.integrator import Portal
from support.migrations import next_version
from support.postgres_process import own_postgres
from support.server import Installation, installed
from support.target import serving_target
from support.waiting import until

GIVES_WAY_AFTER = 0.3
EXPAND = """
ALTER TABLE shard.scenarios ADD COLUMN of_the_next_version text;
ALTER TABLE shard.executions ADD COLUMN of_the_next_version integer NOT NULL DEFAULT 7;
ALTER TABLE shard.queue ADD COLUMN of_the_next_version bigint;
ALTER TABLE shard.teams ADD COLUMN of_the_next_version text NOT NULL DEFAULT '';
ALTER TABLE shard.outbox ADD COLUMN of_the_next_version text;
"""
MORE = """
CREATE TABLE shard.of_the_next_version (organization_id bigint NOT NULL, id bigint PRIMARY KEY);
ALTER TABLE shard.customers ADD COLUMN of_the_next_version text;
"""

pytestmark = [pytest.mark.requires_server("postgresql-15"), pytest.mark.timeout(180)]


@pytest.fixture
def installation(server: Callable[[str], Path], tmp_path: Path) -> Iterator[Installation]:
    with (
        own_postgres(server("postgresql-15")) as postgres,
        installed("external-one", tmp_path / "w", postgres, EGRESS_ALLOW="127.0.0.1") as one,
    ):
        yield one


def test_the_next_version_of_the_database_comes_under_load_and_the_servers_before_go_on(
    installation: Installation, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    serving = installation.server("first").start()
    folder = next_version(tmp_path, "shard", EXPAND, MORE)
    tried: list[str] = []
    with (
        serving_target(TARGET_PORTS) as target,
        ThreadPoolExecutor(2) as threads,
        psycopg.connect(installation.shard_dsn) as long_reader,
    ):
        scene = build_scene(installation, serving.url)
        with keeping_ledger(tmp_path, scene.plan("load", target, seed=seed, rate=40.0)) as ledger:
            until(lambda: ledger.acked() >= 40, "it works", within=60)
            long_reader.execute("SELECT count(*) FROM shard.scenarios")
            patience = LockPatience(seconds=GIVES_WAY_AFTER, tries=100)
            migrating = threads.submit(
                upgrade, installation.shard_dsn, "shard", patience, folder=folder,
                begun=lambda _connection, revision: tried.append(revision),
            )  # fmt: skip
            reading = threads.submit(read_until, scene.slow.portal, migrating.done)
            until(lambda: len(tried) >= 3, "the migration gave way twice", within=20)
            long_reader.rollback()
            steps = migrating.result(60)
            after = ledger.acked()
            until(lambda: ledger.acked() >= after + 40, "it works after the migration", within=60)
            second = installation.server("second").start()
            told = scene.slow.portal.call("GET", "/integrations", patience=10)
            until(lambda: ledger.acked() >= after + 80, "both work", within=60)
        drain(installation.shard_dsn, scene.scenario_ids)
        verdict = judge([ledger], installation.shard_dsn, scene.scenario_ids, target.calls)
    statuses, longest = reading.result()
    tell(f"seed {seed}; {len(tried)} tries; longest reading {longest:.2f} s; {verdict}")
    record_property("faults", f"seed {seed}; {len(tried)} tries; longest reading {longest:.2f} s; {verdict}")
    assert steps == ["9001", "9002"]
    assert verdict.is_clean, f"the promises are broken: {verdict}"
    assert (verdict.refused, verdict.unknown, verdict.other) == (0, 0, {}), "no request fails"
    assert statuses == {200}
    assert longest <= GIVES_WAY_AFTER + 1.5
    assert told.status == 200
    assert second.is_ready()


def test_what_takes_away_is_not_served_by_the_version_before(installation: Installation, tmp_path: Path) -> None:
    serving = installation.server("first").start()
    contract = "UPDATE shard.schema_version SET serves_from = '9001'"
    upgrade(installation.shard_dsn, "shard", LockPatience(), folder=next_version(tmp_path, "shard", contract))
    assert serving.is_ready(), "who serves already goes on"
    late = installation.server("late")
    late.start(wait=False)
    assert late.process is not None
    assert late.process.wait(60) != 0
    late.process = None
    assert "takes programs from 9001" in late.log_tail()
    assert f"this one knows {HEADS['shard']}" in late.log_tail()


def read_until(customer: Portal, is_done: Callable[[], bool]) -> tuple[set[int], float]:
    """Read again and again; return all answers' statuses and the longest time for one."""
    statuses, longest = set(), 0.0
    while not is_done():
        began = time.monotonic()
        statuses.add(customer.call("GET", "/integrations").status)
        longest = max(longest, time.monotonic() - began)
    return statuses, longest
