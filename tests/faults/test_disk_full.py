"""The volume of PostgreSQL is full, and then it is not: nobody was told "accepted" for what is not stored.

The embedded database lies on a small file system in memory, which a file of the test's fills up. First rows find no
room, and reading goes on. Then the write-ahead log finds none either: PostgreSQL gives up, and whoever runs it starts
it again until there is room. Where this user may not mount, the tests are skipped by name. (F-20)
"""

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from faults.oracle import LedgerProcess, Verdict, drain, judge, keeping_ledger
from faults.scene import TARGET_PORTS, Scene, build_scene, new_seed, tell
from support.server import Installation, ServerProcess, installed
from support.target import Target, serving_target
from support.waiting import until

SIZE = "400m"
REFUSALS = 20
RECOVERED_WITHIN = 10.0
_PIECE = 1 << 20
_SWITCHES = 60

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A small file system of this test's own, as the product's data directory."""
    place = tmp_path / "w" / "data"
    place.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip("this user may not mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@dataclass(slots=True, kw_only=True)
class Stage:
    """A server whose volume can be filled."""

    installation: Installation
    server: ServerProcess
    scene: Scene
    target: Target
    volume: Path

    def fill(self) -> None:
        """Leave no room; what is freed meanwhile is taken too."""
        with (self.volume / "filler").open("ab", buffering=0) as filler:
            for size in (_PIECE, 4096):
                with contextlib.suppress(OSError):
                    while filler.write(b"\0" * size):
                        pass

    def empty(self) -> float:
        """Make room, and return how long after that a webhook of each kind is accepted."""
        (self.volume / "filler").unlink()
        began = time.monotonic()
        until(self.accepts, "webhooks are accepted again", within=60)
        return time.monotonic() - began

    def accepts(self) -> bool:
        webhook = {"op": "after", "url": self.target.url}
        try:
            return all(each.call_hook(webhook).status == 200 for each in (self.scene.slow, self.scene.quick))
        except OSError:
            return False

    def judge(self, ledger: LedgerProcess) -> Verdict:
        drain(self.installation.shard_dsn, self.scene.scenario_ids)
        verdict = judge([ledger], self.installation.shard_dsn, self.scene.scenario_ids, self.target.calls)
        # What was sent to see whether it works again is in no ledger, and some of it was refused.
        verdict.strangers = []
        return verdict


@pytest.fixture
def stage(volume: Path) -> Iterator[Stage]:
    with (
        serving_target(TARGET_PORTS) as target,
        installed("embedded", volume.parent, None, EGRESS_ALLOW="127.0.0.1") as installation,
    ):
        server = installation.server().start()
        scene = build_scene(installation, server.url)
        yield Stage(installation=installation, server=server, scene=scene, target=target, volume=volume)


def refused(ledger: LedgerProcess) -> int:
    return sum(line.status == "503" for line in ledger.lines())


def test_a_webhook_that_finds_no_room_is_refused_and_nothing_acknowledged_is_lost(
    stage: Stage, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    plan = stage.scene.plan("load", stage.target, seed=seed, weights={"slow": 1, "quick": 1}, padding=20_000)
    with keeping_ledger(tmp_path, plan) as ledger:
        until(lambda: ledger.acked() >= 50, "webhooks are acknowledged", within=60)
        stage.fill()
        until(lambda: refused(ledger) >= REFUSALS, "webhooks are refused", within=120)
        reply = stage.scene.quick.call_hook({"op": "while full", "padding": "x" * 200_000})
        read = stage.scene.quick.portal.call("GET", "/integrations")
        full = stage.server.metric("database_refusals_total", reason="full")
        recovered = stage.empty()
        mark = ledger.acked() + 50
        until(lambda: ledger.acked() >= mark, "webhooks are acknowledged again", within=60)
    verdict = stage.judge(ledger)
    numbers = (
        f"seed {seed}; {refused(ledger)} refused; accepted again {recovered:.1f} s after there was room; {verdict}"
    )
    tell(numbers)
    record_property("faults", numbers)
    assert verdict.is_clean, f"the promises are broken: {verdict}"
    assert reply.status == 503
    assert "retry-after" in reply.headers
    assert read.status == 200, "reading needs no room"
    assert full >= 1, "nobody who watches the metrics would know why"
    assert recovered <= RECOVERED_WITHIN


def test_a_log_that_finds_no_room_ends_postgresql_and_its_supervisor_brings_it_back(
    stage: Stage, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    plan = stage.scene.plan("load", stage.target, seed=seed, weights={"slow": 1, "quick": 1}, rate=30.0)
    with keeping_ledger(tmp_path, plan) as ledger:
        until(lambda: ledger.acked() >= 50, "webhooks are acknowledged", within=60)
        stage.fill()
        use_up_log(stage)
        before = ledger.acked()
        until(lambda: refused(ledger) >= REFUSALS, "webhooks are refused", within=120)
        assert stage.server.get("/live").status == 200
        recovered = stage.empty()
        until(lambda: ledger.acked() >= before + 50, "webhooks are acknowledged again", within=60)
    verdict = stage.judge(ledger)
    numbers = (
        f"seed {seed}; {refused(ledger)} refused; accepted again {recovered:.1f} s after there was room; {verdict}"
    )
    tell(numbers)
    record_property("faults", numbers)
    assert verdict.is_clean, f"the promises are broken: {verdict}"
    assert recovered <= RECOVERED_WITHIN


def use_up_log(stage: Stage) -> None:
    """Begin new segments of the log until there is no room for one: PostgreSQL ends all sessions then."""
    try:
        for _ in range(_SWITCHES):
            with psycopg.connect(stage.installation.shard_dsn, autocommit=True) as connection:
                connection.execute("SELECT pg_logical_emit_message(false, 'test', 'x', true)")
                connection.execute("SELECT pg_switch_wal()")
            stage.fill()
    except psycopg.OperationalError:
        return
    raise AssertionError("there was always room for the log: the test does not bite")
