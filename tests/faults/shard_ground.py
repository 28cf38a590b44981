"""The ground of tests that move organizations: two servers, two shards that can be killed, organizations under load.

The directory is on a PostgreSQL server of its own, and so is each shard. A few of the organizations have scenarios on
webhooks; the others are only there, so that a part of them can move.
"""

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from faults.ledger import Plan
from faults.oracle import LedgerProcess, Verdict, drain, judge
from faults.scene import TARGET_PORTS, Scene, build_scene
from support.commands import run_command
from support.directory import make_organizations
from support.network import Reply
from support.postgres_process import PostgresProcess, own_postgres
from support.server import PROGRAM, Installation, ServerProcess, installed
from support.target import Target, serving_target
from support.waiting import until

IS_LONG = "MAKE_BRIDGE_TEST_KILLS" in os.environ
LOADED = 3
ORGANIZATIONS = 60 if IS_LONG else 12
MOVE_SECONDS = 400.0
_SETTINGS = {
    "EGRESS_ALLOW": "127.0.0.1",
    "DATABASE_CONNECTIONS": "2",
    "MOVING_GRACE_SECONDS": "2",
    "MOVING_AT_ONCE": "8",
    "SERVERS_SECONDS": "0.2",
    "SHARD_LOAD_SECONDS": "1",
}
_HOMES = "SELECT organization_id, shard FROM directory.placements"
_LAST_STATE = "SELECT state FROM directory.moves WHERE organization_id = %s ORDER BY id DESC LIMIT 1"
_HELD = """
SELECT (SELECT count(*) FROM shard.teams WHERE %(id)s IN (0, organization_id))
     + (SELECT count(*) FROM shard.executions WHERE %(id)s IN (0, organization_id))
     + (SELECT count(*) FROM shard.queue WHERE %(id)s IN (0, organization_id))
     + (SELECT count(*) FROM shard.templates WHERE %(id)s IN (0, organization_id))
"""
# Readers shall be there, and not be the load.
_BETWEEN_READS = 0.05


@dataclass(slots=True, kw_only=True)
class Ground:
    """See the module. ``databases`` are the addresses of the shards' owners by number."""

    installation: Installation
    folder: Path
    home: PostgresProcess
    processes: dict[int, PostgresProcess]
    servers: tuple[ServerProcess, ServerProcess]
    databases: dict[int, str]
    scenes: list[Scene]
    ids: list[int]
    target: Target
    ledgers: list[list[LedgerProcess]] = field(default_factory=lambda: [[] for _ in range(LOADED)])

    def new_shard(self) -> int:
        """Make an empty database, whose address stands in a file; return the number that it is to have."""
        number = max(self.databases) + 1
        self.databases[number] = self.home.create(f"shard_{number}")
        self.owner_file(number).write_text(self.databases[number])
        return number

    def owner_file(self, number: int) -> Path:
        return self.folder / f"owner-{number}"

    def homes(self) -> dict[int, int]:
        with psycopg.connect(self.installation.directory_dsn, autocommit=True) as connection:
            return {row[0]: row[1] for row in connection.execute(_HOMES)}

    def shards(self, *words: str) -> Any:
        """Run a command on shards and return what it printed."""
        installation = self.installation
        done = run_command(
            ["shards", *words, "--json"], installation.process_environment(), installation.folder, timeout=MOVE_SECONDS
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def moved(self, *words: str) -> list[dict[str, Any]]:
        """Run a command that moves organizations, and return their moves."""
        told = self.shards(*words, *self._owners())
        moves: list[dict[str, Any]] = told["moved"]
        assert len(moves) == len(told["plan"])
        assert all(move["moved"] for move in moves), moves
        return moves

    def _owners(self) -> list[str]:
        """Say how the owners of shards are reached that are in no setting."""
        added = self.databases.keys() - self.processes.keys()
        return [word for number in sorted(added) for word in ("--owner-file", f"{number}={self.owner_file(number)}")]

    def begin_move(self, organization: int, shard: int) -> "subprocess.Popen[str]":
        command: list[str | Path] = [PROGRAM, "shards", "move", str(organization), str(shard), *self._owners()]
        environment = self.installation.process_environment()
        return subprocess.Popen(
            command, env=environment, cwd=self.installation.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip

    def end_move(self, organization: int, shard: int) -> bool:
        with self.begin_move(organization, shard) as mover:
            return mover.wait(MOVE_SECONDS) == 0

    def kill_in(self, state: str, victim: int, organization: int, shard: int) -> tuple[str, int, str]:
        """Kill a shard's database when a move is in a state; return how that left it, how it ended, what it said."""
        with (
            psycopg.connect(self.installation.directory_dsn, autocommit=True) as directory,
            self.begin_move(organization, shard) as mover,
        ):

            def now_in() -> str:
                row = directory.execute(_LAST_STATE, (organization,)).fetchone()
                return "" if row is None else str(row[0])

            try:
                until(
                    lambda: mover.poll() is not None or now_in() == state,
                    f"the move is {state}", within=MOVE_SECONDS, pause=0.005,
                )  # fmt: skip
                self.processes[victim].kill()
                self.processes[victim].start()
                status = mover.wait(MOVE_SECONDS)
            finally:
                mover.kill()
            return now_in(), status, mover.stderr.read() if mover.stderr is not None else ""

    def read(self) -> Reply:
        """Read as a customer of each loaded organization; the worst answer counts."""
        time.sleep(_BETWEEN_READS)
        replies = [scene.quick.portal.call("GET", f"/scenarios/{scene.quick.id}") for scene in self.scenes]
        return max(replies, key=lambda reply: reply.status)

    def held_by(self, shard: int, organization: int = 0) -> int:
        """How many rows a shard has of an organization, or of all."""
        with psycopg.connect(self.databases[shard], autocommit=True) as connection:
            row = connection.execute(_HELD.encode(), {"id": organization}).fetchone()
            return int(row[0]) if row else 0

    def plan(self, name: str, number: int, seed: int, rate: float) -> Plan:
        """Plan a load on one of the loaded organizations."""
        return self.scenes[number].plan(
            f"{name}{number}-{seed}", self.target, weights={"slow": 1, "quick": 3}, seed=seed + number, rate=rate,
            patience=30.0,
        )  # fmt: skip

    def verdict(self, number: int, ledger: LedgerProcess) -> Verdict:
        """Hold a ledger, and those before it, against what is stored where the organization lives by now."""
        self.ledgers[number].append(ledger)
        scene = self.scenes[number]
        dsn = self.databases[self.homes()[scene.integrator.organization_id]]
        drain(dsn, scene.scenario_ids)
        names = tuple(f"{one.file.stem}-" for one in self.ledgers[number])
        calls = [call for call in self.target.calls if call.headers.get("x-op", "").startswith(names)]
        return judge(self.ledgers[number], dsn, scene.scenario_ids, calls)

    def home_of(self, organization: int) -> int:
        """Return on which of the first two shards an organization lives; one that was left elsewhere comes back."""
        if self.homes()[organization] not in self.processes:
            assert self.end_move(organization, 0)
        return self.homes()[organization]

    def busiest(self) -> int:
        """Which of the loaded organizations lives where most of them live."""
        homes = self.homes()
        lives = [homes[scene.integrator.organization_id] for scene in self.scenes]
        return max(range(LOADED), key=lambda number: lives.count(lives[number]))


def refused(ledger: LedgerProcess) -> Counter[str]:
    """Count what a ledger was told but that all is well."""
    return Counter(line.status for line in ledger.lines() if line.status != "200")


@contextmanager
def shard_ground(server: Callable[[str], Path], folder: Path) -> Iterator[Ground]:
    """Start all of it."""
    with ExitStack() as stack:
        target = stack.enter_context(serving_target(TARGET_PORTS))
        home, *others = (stack.enter_context(own_postgres(server("postgresql-15"))) for _ in range(3))
        installation = stack.enter_context(installed("external-two", folder / "w", home, **_SETTINGS))
        databases = {number: one.create(f"shard_{number}") for number, one in enumerate(others)}
        installation.environment["SHARD_URLS"] = " ".join(f"{number}={url}" for number, url in databases.items())
        servers = installation.server("first").start(wait=False), installation.server("second")
        # Three databases are migrated meanwhile.
        servers[0].wait_ready(within=180)
        servers[1].start()
        scenes = [build_scene(installation, servers[number % 2].url) for number in range(LOADED)]
        ids = [scene.integrator.organization_id for scene in scenes]
        ids += make_organizations(installation, ORGANIZATIONS - LOADED)
        yield Ground(
            installation=installation, folder=folder, home=home, processes=dict(enumerate(others)), servers=servers,
            databases=databases, scenes=scenes, ids=ids, target=target,
        )  # fmt: skip
