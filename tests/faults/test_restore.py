"""F-60: a backup taken under load, the installation destroyed, the backup restored elsewhere.

Whatever was acknowledged before the backup's moment is there after the restore with exactly one end; runs that were in
flight at that moment go on in the restored installation; what was sealed opens. What came after that moment is lost
with the installation, and the test says how much: the moment of the snapshot is the promise, no later one.

The short form runs on the embedded database, MAKE_BRIDGE_TEST_RESTORES=1 is the long one: directory and shard apart on
an external PostgreSQL 15, which is read and written by that version's own programs.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from faults.oracle import LedgerProcess, Line, drain, judge, keeping_ledger
from faults.scene import TARGET_PORTS, Scene, build_scene, new_seed, tell
from support.integrator import API
from support.network import send
from support.postgres_process import own_postgres
from support.server import Installation, Layout, installed, installed_anew
from support.target import Target, serving_target
from support.waiting import until

IS_LONG = "MAKE_BRIDGE_TEST_RESTORES" in os.environ
TESTED_LAYOUTS = [
    "embedded",
    *([pytest.param("external-two", marks=pytest.mark.requires_server("postgresql-15"))] if IS_LONG else []),
]
_IN_FLIGHT = 20
_MARK = 80
_RUN_SECONDS = 2.0
_UNKNOWN = "unknown"

pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True, slots=True)
class UpTo:
    """A ledger as its client had it at a moment: what was answered later may be there or not."""

    ledger: LedgerProcess
    moment: float

    def lines(self) -> list[Line]:
        return [
            line
            if line.answered_at is not None and line.answered_at < self.moment
            else replace(line, status=_UNKNOWN, execution_id=None)
            for line in self.ledger.lines()
        ]


@contextmanager
def two_places(
    layout: Layout, folder: Path, program: Callable[[str], Path]
) -> Iterator[tuple[Installation, Installation]]:
    """Give the installation that will be destroyed, and the empty one that the backup goes to."""
    with ExitStack() as stack:
        postgres = None if layout == "embedded" else stack.enter_context(own_postgres(program("postgresql-15")))
        first = stack.enter_context(installed(layout, folder / "first", postgres, EGRESS_ALLOW="127.0.0.1"))
        second = stack.enter_context(installed_anew(layout, folder / "second", postgres, EGRESS_ALLOW="127.0.0.1"))
        if layout != "embedded":
            second.environment["ROOT_KEY_FILE"] = first.environment["ROOT_KEY_FILE"]
        yield first, second


def backup_under_load(
    first: Installation, scene: Scene, target: Target, ledger: LedgerProcess, key: Path, folder: Path
) -> float:
    """Take a backup while runs are in flight and webhooks come; return a moment that is before its snapshot."""
    until(lambda: target.in_flight >= _IN_FLIGHT, f"{_IN_FLIGHT} runs are in flight", within=60)
    until(lambda: ledger.acked() >= _MARK, "some webhooks are acknowledged", within=60)
    began = time.time()
    done = first.command("backup", folder, "--with-key", key)
    assert "restore" not in done.stderr
    mark = ledger.acked() + _IN_FLIGHT
    until(lambda: ledger.acked() >= mark, "more webhooks are acknowledged after the backup", within=60)
    return began


def restored(second: Installation, folder: Path, key: Path) -> None:
    words: Sequence[str | Path] = () if second.layout != "embedded" else ("--key", key)
    second.command("backup", "check", folder)
    second.command("restore", folder, *words)


def opens_what_was_sealed(url: str, scene: Scene, team_id: int) -> None:
    """The key that signs tokens and the hooks' own tokens are sealed in the database."""
    portal = replace(scene.quick.portal, integrator=replace(scene.integrator, url=url))
    until(
        lambda: portal.call("GET", f"/scenarios/{scene.quick.id}").status == 200,
        "a fresh portal token is let in",
        within=60,
        pause=0.5,
    )
    headers = {"Authorization": f"Token {scene.integrator.api_token}"}
    hooks = send("GET", f"{url}/api/v2/hooks?teamId={team_id}", headers=headers).json()["hooks"]
    tokens = {hook["url"].rpartition("/")[2] for hook in hooks}
    assert {scene.quick.hook_url.rpartition("/")[2], scene.slow.hook_url.rpartition("/")[2]} <= tokens


@pytest.mark.parametrize("layout", TESTED_LAYOUTS)
def test_a_backup_taken_under_load_restores_what_was_acknowledged_before_it(
    layout: Layout, server: Callable[[str], Path], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = new_seed()
    backup, key = tmp_path / "backup", tmp_path / "kept.key"
    with two_places(layout, tmp_path, server) as (first, second), serving_target(TARGET_PORTS) as target:
        serving = first.server().start()
        scene = build_scene(first, serving.url)
        target.linger = _RUN_SECONDS
        with keeping_ledger(tmp_path, scene.plan("load", target, seed=seed, rate=60.0)) as ledger:
            moment = backup_under_load(first, scene, target, ledger, key, backup)
            used = scene.integrator.token("dana@example.com")
            headers = {"Authorization": f"Bearer {used}"}
            assert send("GET", f"{serving.url}{API}/scenarios", headers=headers).status == 200
            if layout == "embedded":
                serving.kill_everything()
            else:
                serving.kill()
        target.linger = 0.0

        restored(second, backup, key)
        again = second.server().start()
        assert send("GET", f"{again.url}{API}/scenarios", headers=headers).status == 401, "a used token was let in"
        drain(second.shard_dsn, scene.scenario_ids)
        verdict = judge([UpTo(ledger, moment)], second.shard_dsn, scene.scenario_ids, target.calls)  # type: ignore[list-item]
        with psycopg.connect(second.shard_dsn) as connection:
            there = {row[0].hex for row in connection.execute("SELECT id FROM shard.executions")}
            ((team_id,),) = connection.execute("SELECT DISTINCT team_id FROM shard.hooks").fetchall()
        acked = [line for line in ledger.lines() if line.status == "200"]
        gone = [line for line in acked if line.execution_id not in there]
        told = f"seed {seed}; {len(gone)} of {len(acked)} acknowledged came after the snapshot; {verdict}"
        tell(told)
        record_property("faults", told)
        assert verdict.acked >= _MARK, f"too little load to say anything: {verdict}"
        assert verdict.is_clean, f"the promises are broken: {verdict}"
        assert gone, "nothing was acknowledged after the snapshot: the test does not bite"
        opens_what_was_sealed(again.url, scene, team_id)
        reply = send("POST", f"{again.url}/hook/{scene.quick.hook_url.rpartition('/')[2]}", json_body={"op": "new"})
        assert reply.status == 200
