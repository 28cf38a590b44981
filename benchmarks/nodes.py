"""What one more process, shard or replica costs while nobody calls, and what it adds when everybody does.

One PostgreSQL with the directory and each shard in a database of its own; processes with some of the roles. Each layout
is started, left alone, and then sent webhooks on both cores at once, whose runs are stored and carried out by workers.
The line of a layout is what all of it takes; what the last part added is the difference to the first line. On a machine
whose cores the first layout fills already, one more process adds nothing and costs its own idling.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import postgres
from benchmarks.load import LoadResult
from benchmarks.postgres import Postgres
from benchmarks.report import Report
from benchmarks.subject import ROUTED, TRIGGER, cpu_seconds, family_cpu_seconds, pss_megabytes, until_ready
from make_bridge.boot import open_domain
from make_bridge.cli.operations import operator
from make_bridge.domain.organizations.messages import NewOrganization
from make_bridge.domain.scenarios.messages import ActivateScenario, CreateScenario, GetHook
from make_bridge.settings import load_settings

_DATABASE_PORT, _STANDBY_PORT, _FIRST_PORT = 18100, 18101, 18110
_API, _WORKER = "gateway,bridge,templates,scenarios", "worker"
_SETTLING_SECONDS, _IDLE_SECONDS, _DRAIN_SECONDS = 4.0, 8.0, 60.0
_REQUESTS, _CONNECTIONS, _WARM = 4_000, 32, 400
# Nobody waits for an answer of the scenario: what is measured is work, not how soon a worker's answer travels.
_UNANSWERED: dict[str, Any] = {**ROUTED, "name": "Variables", "flow": [TRIGGER, ROUTED["flow"][1]]}
_TRANSACTIONS = "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database"
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE usename IS NOT NULL AND backend_type = 'client backend'"
_WAITING = "SELECT count(*) FROM shard.queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How many of each there are."""

    name: str
    apis: int = 1
    workers: int = 1
    shards: int = 1
    replicas: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a layout takes idle: shares of a core in per cent, MB, sessions, transactions a second; and its runs."""

    servers: float
    database: float
    memory: float
    sessions: int
    transactions: float
    runs: float


_LAYOUTS = (
    Layout(name="one API node, one worker"),
    Layout(name="one more API node", apis=2),
    Layout(name="one more worker", workers=2),
    Layout(name="one more shard", shards=2),
    Layout(name="a read replica", replicas=1),
)


def run(report: Report) -> None:
    """Measure and report."""
    programs = postgres.programs()
    if programs is None:
        report.line("no PostgreSQL in /usr/lib/postgresql here", "not measured")
        return
    first: Taken | None = None
    for layout in _LAYOUTS:
        with tempfile.TemporaryDirectory(prefix="make-bridge-bench-") as folder:
            taken = _measure(programs, Path(folder), layout)
        report.line(layout.name, _told(taken, first))
        first = first or taken


def _told(taken: Taken, first: Taken | None) -> str:
    if first is None:
        return (
            f"servers {taken.servers:.1f} %, PostgreSQL {taken.database:.1f} % of a core, {taken.memory:.0f} MB, "
            f"{taken.sessions} connections, {taken.transactions:.0f} transactions/s; {taken.runs:,.0f} runs/s"
        )
    return (
        f"servers {taken.servers - first.servers:+.1f} %, PostgreSQL {taken.database - first.database:+.1f} %, "
        f"{taken.memory - first.memory:+.0f} MB, {taken.sessions - first.sessions:+d} connections, "
        f"{taken.transactions - first.transactions:+.0f} transactions/s; {taken.runs / first.runs:.2f} times the runs"
    )


def _measure(programs: Path, folder: Path, layout: Layout) -> Taken:
    with ExitStack() as stack:
        database = stack.enter_context(postgres.primary(programs, _DATABASE_PORT))
        shards = [f"shard{number}" for number in range(layout.shards)]
        environment = _environment(database, shards, folder)
        _migrate(environment, folder)
        standbys = [
            stack.enter_context(postgres.standby_of(database, _STANDBY_PORT + number))
            for number in range(layout.replicas)
        ]
        if standbys:
            environment["MAKE_BRIDGE_REPLICA_URLS"] = " ".join(f"0={standby.address}" for standby in standbys)
        apis = [stack.enter_context(_served(environment, folder, _API, number)) for number in range(layout.apis)]
        workers = [
            stack.enter_context(_served(environment, folder, _WORKER, layout.apis + number))
            for number in range(layout.workers)
        ]
        paths = asyncio.run(_hooks(environment, range(layout.shards)))
        servers = [process.pid for process in (*apis, *workers)]
        databases = [database.pid, *(standby.pid for standby in standbys)]
        idle = _idle(servers, databases, [database, *standbys])
        runs = _runs(paths, layout.apis, database, shards)
    return Taken(**idle, runs=runs)


def _idle(servers: Sequence[int], databases: Sequence[int], asked: Sequence[Postgres]) -> dict[str, Any]:
    """Leave everything alone for a while, and say what it took meanwhile."""
    time.sleep(_SETTLING_SECONDS)

    def counts() -> tuple[float, float, float, int]:
        ours = sum(cpu_seconds(pid) for pid in servers)
        theirs = sum(family_cpu_seconds(pid) for pid in databases)
        return time.monotonic(), ours, theirs, sum(one.number(_TRANSACTIONS) for one in asked)

    before = counts()
    time.sleep(_IDLE_SECONDS)
    after = counts()
    seconds, ours, theirs, transactions = (late - early for late, early in zip(after, before, strict=True))
    return {
        "servers": 100 * ours / seconds,
        "database": 100 * theirs / seconds,
        "memory": sum(pss_megabytes(pid) for pid in servers),
        "sessions": sum(one.number(_SESSIONS) - 1 for one in asked),
        "transactions": transactions / seconds,
    }


def _runs(paths: Sequence[str], apis: int, database: Postgres, shards: Sequence[str]) -> float:
    """Send webhooks to each API node at once; return how many runs a second were taken in, carried out and settled."""
    _send(paths, apis, _WARM)
    _drained(database, shards)
    began = time.monotonic()
    _send(paths, apis, _REQUESTS)
    _drained(database, shards)
    return _REQUESTS / (time.monotonic() - began)


def _send(paths: Sequence[str], apis: int, requests: int) -> None:
    """Send, from a process for each hook and node, so many in all."""
    ways = [(path, node) for path in paths for node in range(apis)]
    share, at_once = str(requests // len(ways)), str(_CONNECTIONS // len(ways))
    loads = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load", "127.0.0.1", str(_FIRST_PORT + node), path, share, at_once, "0"],
            stdout=subprocess.PIPE,
        )
        for path, node in ways
    ]
    for load in loads:
        said, _ = load.communicate(timeout=_DRAIN_SECONDS)
        result = LoadResult(**json.loads(said))
        assert result.failed == 0, result


def _drained(database: Postgres, shards: Sequence[str]) -> None:
    deadline = time.monotonic() + _DRAIN_SECONDS
    while any(database.number(_WAITING, shard) for shard in shards):
        if time.monotonic() > deadline:
            raise RuntimeError("the workers do not come to an end")
        time.sleep(0.02)


def _environment(database: Postgres, shards: Sequence[str], folder: Path) -> dict[str, str]:
    key = folder / "root.key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    given = {
        "DATABASE_URL": database.create("directory"),
        "SHARD_URLS": " ".join(f"{number}={database.create(name)}" for number, name in enumerate(shards)),
        "ROOT_KEY_FILE": str(key), "RATES": "off", "PUBLIC_URL": f"http://127.0.0.1:{_FIRST_PORT}",
        "DATABASE_CONNECTIONS": "4", "LEAVE_SECONDS": "0",
    }  # fmt: skip
    return {f"MAKE_BRIDGE_{name}": value for name, value in given.items()}


def _migrate(environment: Mapping[str, str], folder: Path) -> None:
    subprocess.run(
        [_program(), "migrate"], env={**os.environ, **environment}, cwd=folder, check=True, capture_output=True
    )


@contextmanager
def _served(
    environment: Mapping[str, str], folder: Path, roles: str, number: int
) -> Iterator["subprocess.Popen[bytes]"]:
    port = _FIRST_PORT + number
    command = [_program(), "serve", "--roles", roles, "--port", str(port), "--data-dir", str(folder / "none")]
    with (folder / f"{number}.log").open("ab") as log:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        until_ready(process, time.perf_counter() + 60, port)
        yield process
    finally:
        process.terminate()
        process.wait(40)


def _program() -> str:
    return str(Path(sys.executable).with_name("make-bridge"))


async def _hooks(environment: Mapping[str, str], shards: Sequence[int]) -> list[str]:
    """Make a scenario on each shard, switch it on, and return the paths of their webhooks."""
    given = {name.removeprefix("MAKE_BRIDGE_").lower(): value for name, value in environment.items()}
    found: dict[int, str] = {}
    async with AsyncExitStack() as stack:
        domain = await open_domain(stack, load_settings(None, given), lambda _: None, join=True)
        while len(found) < len(shards):
            created = await domain.service.create(NewOrganization(name="Benchmark"))
            shard = await domain.shards.of(created.organization_id)
            if shard.number in found:
                continue
            context = operator(created.organization_id)
            blueprint = json.loads(json.dumps(_UNANSWERED))
            scenario = await domain.commands.execute(
                context, CreateScenario(team_id=created.team_id, blueprint=blueprint)
            )
            await domain.commands.execute(context, ActivateScenario(scenario_id=scenario.id))
            assert scenario.hook_id is not None
            hook = await domain.queries.ask(context, GetHook(hook_id=scenario.hook_id))
            found[shard.number] = f"/hook/{hook.token}"
    return list(found.values())
