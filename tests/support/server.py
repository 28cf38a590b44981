"""The product as its operator sees it: the command, its processes, and the three ways to give it a database.

Black-box tests start `make-bridge serve` here, as children of the test process (only a parent can wait for what it
killed), and stop, kill, pause and continue them. An `Installation` is what several processes share: the data directory
or the databases, the root key and the settings. Everything a process says goes into a file, which a failed test shows.
"""

import atexit
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest

from support.commands import run_command
from support.embedded import children_of, cluster_in, dsn_of, postmaster_pid
from support.network import Reply, free_port, send
from support.postgres_process import PostgresProcess
from support.waiting import until

Layout = Literal["embedded", "external-one", "external-two", "apart"]
LAYOUTS: tuple[Layout, ...] = ("embedded", "external-one", "apart")
"""In which whatever a customer sees is tested. The last is directory and shard in two, and each service by itself."""
TWO: frozenset[Layout] = frozenset({"external-two", "apart"})
_SERVICES = ("bridge", "templates", "scenarios", "worker")
PROGRAM = Path(sys.executable).with_name("make-bridge")
START_SECONDS = 60.0
STOP_SECONDS = 40.0
_SHOWN_LOG = 12_000
# Tests call from one address with one key, as fast as they can; those of rate limits set them.
_UNLIMITED = {
    "RATES": "on", "RATE_GENERAL": "0", "RATE_FAILURES": "0", "RATE_API": "0", "RATE_HOOK": "0", "RATE_FLOW": "0",
}  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Installation:
    """One installation of the product; `databases` are (directory, shard) as its owner reaches them."""

    layout: Layout
    folder: Path
    environment: dict[str, str]
    external: tuple[str, str] | None = None
    servers: "list[ServerProcess]" = field(default_factory=list)
    _cluster: int | None = None

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def directory_dsn(self) -> str:
        return self._embedded_dsn() if self.external is None else self.external[0]

    @property
    def shard_dsn(self) -> str:
        return self._embedded_dsn() if self.external is None else self.external[1]

    def _embedded_dsn(self) -> str:
        """Name the socket's folder by a descriptor: a socket's path has 107 bytes, and a test's folder is deep."""
        cluster = cluster_in(self.data_dir)
        if self._cluster is None:
            self._cluster = os.open(cluster, os.O_PATH)
        return dsn_of(self.data_dir).replace(f"host={cluster} ", f"host=/proc/self/fd/{self._cluster} ")

    def command(self, *arguments: str | Path, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run `make-bridge` with these arguments, beside whatever serves."""
        done = run_command(arguments, self.process_environment(), self.folder, timeout=START_SECONDS)
        shown = f"make-bridge {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert not check or done.returncode == 0, shown
        return done

    def ask(self, *arguments: str | Path) -> Any:
        """Run a command with `--json` and return what it printed."""
        return json.loads(self.command(*arguments, "--json").stdout)

    def server(self, name: str = "server", **settings: str) -> "ServerProcess":
        """Describe one more serving process; it is not started."""
        server = ServerProcess(installation=self, name=name, port=free_port(), settings=settings)
        self.servers.append(server)
        return server

    def serve(self) -> "ServerProcess":
        """Start what is served in this layout, and return what the world calls."""
        if self.layout != "apart":
            return self.server().start()
        gateway = self.server("gateway", ROLES="gateway")
        # Nobody calls while they end: nobody has to be told first.
        self.environment |= {"PUBLIC_URL": gateway.url, "LEAVE_SECONDS": "0"}
        services = [self.server(role, ROLES=role).start(wait=False) for role in _SERVICES]
        for service in services:
            service.wait_ready()
        return gateway.start()

    def metric(self, name: str, **labels: str) -> float:
        """Read a metric: the sum over all processes that serve."""
        return sum(server.metric(name, **labels) for server in self.servers if server.process is not None)

    def process_environment(self, settings: Mapping[str, str] | None = None) -> dict[str, str]:
        """The caller's environment without settings of its own, and ours."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE_BRIDGE_", "PYTEST_"))}
        own = {f"MAKE_BRIDGE_{name}": value for name, value in (self.environment | dict(settings or {})).items()}
        return kept | own

    def close(self) -> None:
        """End whatever still serves; one that does not end as it should is a failure."""
        for server in self.servers:
            server.ask_to_end()
        wrong = [complaint for server in self.servers if (complaint := server.end())]
        if self._cluster is not None:
            os.close(self._cluster)
            self._cluster = None
        assert wrong == [], "\n".join(wrong)


@dataclass(slots=True, kw_only=True)
class ServerProcess:
    """One `make-bridge serve`. It keeps its port over restarts."""

    installation: Installation
    name: str
    port: int
    settings: Mapping[str, str]
    process: "subprocess.Popen[bytes] | None" = field(default=None)
    _is_asked: bool = field(default=False)

    @property
    def url(self) -> str:
        return f"{'http' if self.certificate is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path | None:
        """The certificate it makes for this machine, when it speaks https."""
        is_made = self.settings.get("TLS_SELF_SIGNED") == "true"
        return self.installation.data_dir / "tls" / "certificate.pem" if is_made else None

    @property
    def log(self) -> Path:
        return self.installation.folder / f"{self.name}.log"

    def start(self, *, wait: bool = True, program: Path = PROGRAM) -> "ServerProcess":
        """Start it, and wait until it says that it is ready; ``program`` may be another that ends in the same one."""
        assert self.process is None, f"{self.name} is already started"
        arguments = ["serve", "--host", "127.0.0.1", "--port", str(self.port)]
        arguments += ["--data-dir", str(self.installation.data_dir)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [program, *arguments],
                env=self.installation.process_environment(self.settings),
                cwd=self.installation.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, *, within: float = START_SECONDS) -> None:
        until(self._is_ready_or_dead, f"{self.name} is ready on port {self.port}", within=within, pause=0.05)

    def kill(self) -> None:
        """Kill the process group, as nothing can be caught or cleaned up; an embedded database is left to itself."""
        process = self._running()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_SECONDS)
        self.process = None

    def kill_postgres(self) -> None:
        """Kill the postmaster of the embedded database; who serves goes on."""
        os.kill(postmaster_pid(self.installation.data_dir), signal.SIGKILL)

    def kill_everything(self) -> None:
        """Kill the server and every process of its embedded database in one moment."""
        found = list(postgres_processes(self.installation.data_dir))
        os.killpg(self._running().pid, signal.SIGSTOP)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.kill()

    def pause(self) -> None:
        """Stop its clock: it keeps its connections and does nothing."""
        os.killpg(self._running().pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self._running().pid, signal.SIGCONT)

    def ask_to_end(self) -> None:
        """Ask it to end, whatever it is at, and wait for nothing."""
        if self.process is not None and not self._is_asked:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGCONT)
                self.process.send_signal(signal.SIGTERM)
            self._is_asked = True

    def end(self) -> str | None:
        """Ask it to end, and return what is wrong with how it did."""
        self.ask_to_end()
        process, self.process, self._is_asked = self.process, None, False
        if process is None:
            return None
        try:
            status = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_SECONDS)
            return f"{self.name} did not end within {STOP_SECONDS:g} s of SIGTERM: {self.log_tail()}"
        return None if status == 0 else f"{self.name} ended with the status {status}: {self.log_tail()}"

    def get(self, path: str) -> Reply:
        return send("GET", self.url + path, certificate=self.certificate)

    def is_ready(self) -> bool:
        """Ask `/ready`; one that does not answer is not ready."""
        try:
            return send("GET", f"{self.url}/ready", patience=2.0, certificate=self.certificate).status == 200
        except OSError:
            return False

    def metric(self, name: str, **labels: str) -> float:
        """Read a metric: the sum over all series that have these labels; 0 when there is none yet."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        total = 0.0
        for line in self.get("/metrics").body.decode().splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(label in series for label in wanted):
                total += float(value)
        return total

    def log_tail(self) -> str:
        """The end of what it said, for the report of a failed test."""
        return self.log.read_text(errors="replace")[-_SHOWN_LOG:] if self.log.exists() else ""

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self.process is not None, f"{self.name} is not started"
        return self.process

    def _is_ready_or_dead(self) -> bool:
        status = self._running().poll()
        assert status is None, f"{self.name} ended with {status}:\n{self.log_tail()}"
        return self.is_ready()


def postgres_processes(data_dir: Path) -> Iterator[int]:
    """Find the embedded postmaster and its children."""
    with contextlib.suppress(OSError):
        postmaster = postmaster_pid(data_dir)
        yield postmaster
        yield from children_of(postmaster)


@contextlib.contextmanager
def installed(
    layout: Layout, folder: Path, postgres: PostgresProcess | None, **settings: str
) -> Iterator[Installation]:
    """Prepare an installation; `postgres` is where the external layouts get their databases. All servers end here.

    An embedded database is there already, as `make-bridge migrate` leaves it.
    """
    if layout == "embedded":
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", f"{_migrated_data()}/.", folder / "data"], check=True, capture_output=True)
    with installed_anew(layout, folder, postgres, **settings) as installation:
        yield installation


@contextlib.contextmanager
def installed_anew(
    layout: Layout, folder: Path, postgres: PostgresProcess | None, **settings: str
) -> Iterator[Installation]:
    """Prepare an installation with nothing there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {"DATA_DIR": str(folder / "data"), **_UNLIMITED, **settings}
    external = None
    if layout != "embedded":
        assert postgres is not None, "an external layout needs a PostgreSQL"
        external = _databases(layout, postgres)
        key = folder / "root.key"
        key.write_text(secrets.token_hex(32))
        key.chmod(0o600)
        environment |= {"DATABASE_URL": external[0], "ROOT_KEY_FILE": str(key)}
        if layout in TWO:
            environment["SHARD_URLS"] = f"0={external[1]}"
    installation = Installation(layout=layout, folder=folder, environment=environment, external=external)
    try:
        yield installation
    finally:
        installation.close()


@cache
def _migrated_data() -> Path:
    """Make a data directory once for all embedded databases of this process, which saves each three seconds."""
    folder = Path(tempfile.mkdtemp(prefix="make-bridge-data-"))
    atexit.register(shutil.rmtree, folder)
    made = Installation(layout="embedded", folder=folder, environment={"DATA_DIR": str(folder / "data")})
    made.command("migrate")
    return made.data_dir


def _databases(layout: Layout, postgres: PostgresProcess) -> tuple[str, str]:
    name = f"bridge_{secrets.token_hex(4)}"
    directory = postgres.create(name)
    return directory, postgres.create(f"{name}_shard") if layout in TWO else directory


def show_logs(report: pytest.TestReport, folder: Path) -> None:
    """Add the end of every log below a folder to the report of a failed test: of servers and embedded databases."""
    for log in sorted(folder.rglob("*.log")):
        report.sections.append((f"end of {log}", log.read_text(errors="replace")[-_SHOWN_LOG:]))
