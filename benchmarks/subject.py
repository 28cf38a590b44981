"""The server under measurement: started as anybody would start it, scenarios put in through the domain."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.load import LoadResult
from make_bridge.boot import open_domain
from make_bridge.cli.operations import operator
from make_bridge.domain.organizations.messages import NewOrganization
from make_bridge.domain.scenarios.messages import ActivateScenario, CreateScenario, GetHook
from make_bridge.settings import load_settings

PORT = 18080
# What is measured is the server, not its rate limits: they would answer most of a benchmark with 429.
_UNLIMITED = {"rates": "off"}
_HEADERS = [{"key": "content-type", "value": "application/json"}]


def _respond(module_id: int, operator_: str, body: str) -> dict[str, Any]:
    return {
        "id": module_id,
        "module": "gateway:WebhookRespond",
        "version": 1,
        "parameters": {},
        "filter": {"name": operator_, "conditions": [[{"a": "{{2.total}}", "o": operator_, "b": "100"}]]},
        "mapper": {"status": "200", "body": body, "headers": _HEADERS},
    }


TRIGGER = {"id": 1, "module": "gateway:CustomWebHook", "version": 1, "parameters": {"hook": None}, "mapper": {}}
ACCEPT_ONLY = {"name": "Accept", "flow": [TRIGGER], "metadata": {"version": 1}}
ROUTED: dict[str, Any] = {
    "name": "Variables, router, respond",
    "flow": [
        TRIGGER,
        {
            "id": 2,
            "module": "util:SetVariables",
            "version": 1,
            "parameters": {},
            "mapper": {
                "scope": "roundtrip",
                "variables": [
                    {"name": "total", "value": "{{1.qty * 1.price}}"},
                    {"name": "greeting", "value": "Hello {{1.customer.name}}!"},
                ],
            },
        },
        {
            "id": 3,
            "module": "builtin:BasicRouter",
            "version": 1,
            "mapper": None,
            "routes": [
                {"flow": [_respond(4, "number:greater", '{"total": {{2.total}}, "big": true}')]},
                {"flow": [_respond(5, "number:lessorequal", '{"total": {{2.total}}, "big": false}')]},
            ],
        },
    ],
    "metadata": {"version": 1},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A running server."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    ready_seconds: float

    def hook(self, blueprint: dict[str, Any]) -> str:
        """Put a scenario in, switch it on and return its webhook's path."""
        return asyncio.run(_make(self.data_dir, blueprint))

    def load(self, path: str, *, requests: int, connections: int, rate: float = 0.0) -> LoadResult:
        """Send webhooks from a process of its own."""
        arguments = ["127.0.0.1", str(PORT), path, str(requests), str(connections), str(rate)]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load", *arguments], check=True, capture_output=True, text=True
        )
        return LoadResult(**json.loads(done.stdout))

    def cpu_seconds(self) -> float:
        """Return the processor time of the server process itself."""
        return cpu_seconds(self.process.pid)

    def database_cpu_seconds(self) -> float:
        """Return the processor time of the processes below it, those that have ended included: its database's."""
        return family_cpu_seconds(self.process.pid) - cpu_seconds(self.process.pid, with_ended=True)

    def pss_megabytes(self) -> float:
        """Return the proportional memory of the server with its database."""
        return pss_megabytes(self.process.pid)


@contextmanager
def serving(data_dir: Path | None = None, **settings: str) -> Iterator[Subject]:
    """Start a server on the embedded database, with settings of its own, and stop it."""
    with tempfile.TemporaryDirectory(prefix="make-bridge-bench-") as fresh:
        folder = data_dir or Path(fresh) / "data"
        began = time.perf_counter()
        command = [str(Path(sys.executable).with_name("make-bridge")), "serve", "--port", str(PORT)]
        log = (folder.parent / "bench.log").open("ab")
        given = {f"MAKE_BRIDGE_{name.upper()}": value for name, value in (_UNLIMITED | settings).items()}
        # Somebody who runs it keeps bytecode, whatever the shell of who measures says.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = {**kept, **given}
        process = subprocess.Popen([*command, "--data-dir", str(folder)], stdout=log, stderr=log, env=environment)
        try:
            until_ready(process, began + 60)
            yield Subject(process=process, data_dir=folder, ready_seconds=time.perf_counter() - began)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            log.close()


def cpu_seconds(pid: int, *, with_ended: bool = False) -> float:
    """Return the processor time of a process, and, if asked for, of its children that have ended; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11 : 15 if with_ended else 13]) / os.sysconf("SC_CLK_TCK")


def family_cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and all below it, those that have ended included."""
    return sum(cpu_seconds(member, with_ended=True) for member in _family(pid))


def pss_megabytes(pid: int) -> float:
    """Return the proportional memory of a process and all below it."""
    return sum(_pss(member) for member in _family(pid)) / 1024


def until_ready(process: subprocess.Popen[bytes], deadline: float, port: int = PORT) -> None:
    """Wait until a server says that it is ready; raises RuntimeError when it ends or does not by then."""
    while time.perf_counter() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.01)
    raise RuntimeError("the server did not become ready")


async def _make(data_dir: Path, blueprint: dict[str, Any]) -> str:
    async with AsyncExitStack() as stack:
        domain = await open_domain(stack, load_settings(None, {"data_dir": data_dir}), lambda _: None, join=True)
        created = await domain.service.create(NewOrganization(name="Benchmark"))
        context = operator(created.organization_id)
        scenario = await domain.commands.execute(
            context, CreateScenario(team_id=created.team_id, blueprint=json.loads(json.dumps(blueprint)))
        )
        await domain.commands.execute(context, ActivateScenario(scenario_id=scenario.id))
        assert scenario.hook_id is not None
        hook = await domain.queries.ask(context, GetHook(hook_id=scenario.hook_id))
        return f"/hook/{hook.token}"


def _family(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    family = {pid}
    grown = True
    while grown:
        more = {child for child, parent in parents.items() if parent in family} - family
        grown = bool(more)
        family |= more
    return sorted(family)


def _pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
