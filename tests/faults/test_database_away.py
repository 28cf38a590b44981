"""PostgreSQL is killed and stays away for a while, again and again under load, and the server lives on.

`test_kill9` kills a database that is back at once; here it is an external one whose absence is long enough to be felt.
What is watched is the server: how soon it says that it is not ready, how soon it is again, that it never ends, and that
it hands out no connection that died. The short form kills three times; MAKE_BRIDGE_TEST_KILLS=20 is the long one.
(F-04)
"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from faults.oracle import LedgerProcess, drain, judge, keeping_ledger
from faults.scene import TARGET_PORTS, Scene, build_scene, new_seed, tell
from support.network import send
from support.postgres_process import PostgresProcess, own_postgres
from support.server import Installation, ServerProcess, installed
from support.target import Target, serving_target
from support.waiting import until

KILLS = int(os.environ.get("MAKE_BRIDGE_TEST_KILLS", "3"))
UNREADY_WITHIN = 2.0
READY_WITHIN = 5.0
AT_ONCE = 24

pytestmark = [
    pytest.mark.requires_server("postgresql-15"),
    pytest.mark.timeout(180 + 20 * KILLS),
]


@dataclass(slots=True, kw_only=True)
class Stage:
    """A server, its database, and what was measured of them."""

    installation: Installation
    postgres: PostgresProcess
    server: ServerProcess
    scene: Scene
    target: Target
    unready: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)

    def take_away(self, ledger: LedgerProcess) -> None:
        """Kill PostgreSQL under load, watch the server notice, bring it back, watch the server recover."""
        mark = ledger.acked() + 40
        until(lambda: ledger.acked() >= mark, "webhooks are acknowledged", within=60)
        customer = self.scene.slow.portal
        # Many at once, so that the server holds many connections that are about to die.
        assert set(at_once(lambda: customer.call("GET", "/integrations").status)) == {200}
        self.postgres.kill()
        died = time.monotonic()
        until(lambda: self.readiness() == 503, "the server says that it is not ready", within=READY_WITHIN)
        self.unready.append(time.monotonic() - died)
        assert self.server.get("/live").status == 200
        self.postgres.start()
        back = time.monotonic()
        until(self.server.is_ready, "the server is ready again", within=30)
        self.ready.append(time.monotonic() - back)
        after = at_once(lambda: customer.call("GET", "/integrations").status)
        assert set(after) == {200}, f"connections that died are still given out: {after}"
        assert self.server.process is not None
        assert self.server.process.poll() is None, "the server has ended with its database"

    def readiness(self) -> int:
        return send("GET", f"{self.server.url}/ready", patience=READY_WITHIN).status


@pytest.fixture
def stage(tmp_path: Path, server: Callable[[str], Path]) -> Iterator[Stage]:
    with ExitStack() as stack:
        target = stack.enter_context(serving_target(TARGET_PORTS))
        postgres = stack.enter_context(own_postgres(server("postgresql-15")))
        installation = stack.enter_context(
            installed("external-one", tmp_path / "w", postgres, EGRESS_ALLOW="127.0.0.1")
        )
        serving = installation.server().start()
        scene = build_scene(installation, serving.url)
        target.linger = 0.3
        yield Stage(installation=installation, postgres=postgres, server=serving, scene=scene, target=target)


def test_a_database_that_goes_away_again_and_again_costs_nothing_that_was_acknowledged(
    stage: Stage, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    plan = stage.scene.plan("load", stage.target, seed=seed, weights={"slow": 1, "quick": 2}, rate=80.0)
    with keeping_ledger(tmp_path, plan) as ledger:
        for _ in range(KILLS):
            stage.take_away(ledger)
    stage.target.linger = 0.0
    drain(stage.installation.shard_dsn, stage.scene.scenario_ids)
    verdict = judge([ledger], stage.installation.shard_dsn, stage.scene.scenario_ids, stage.target.calls)
    numbers = (
        f"seed {seed}; {KILLS} kills; not ready after at most {max(stage.unready):.2f} s, ready again at most"
        f" {max(stage.ready):.2f} s after PostgreSQL; {verdict}"
    )
    tell(numbers)
    record_property("faults", numbers)
    assert verdict.is_clean, f"the promises are broken: {verdict}"
    assert verdict.acked >= 40 * KILLS
    assert max(stage.unready) <= UNREADY_WITHIN
    assert max(stage.ready) <= READY_WITHIN


def at_once(call: Callable[[], int]) -> list[int]:
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return [future.result() for future in [threads.submit(call) for _ in range(AT_ONCE)]]
