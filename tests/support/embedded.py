"""What the tests of the embedded database share: supervisors to be killed, and looking at a running cluster."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from make_bridge.platform.database.embedded import EmbeddedConfig, EmbeddedEvent, EmbeddedPostgres, Happening

PROGRAM = Path(__file__).parents[1] / "integration/database/serve_embedded.py"
PATIENCE = 30.0


class Supervisor:
    """A `serve_embedded.py` of ours."""

    def __init__(self, data_dir: Path, command: Sequence[str | Path] = (sys.executable, PROGRAM), **popen: Any) -> None:
        self.process = subprocess.Popen(
            [*command, data_dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **popen
        )

    def hears(self, happening: str) -> dict[str, Any]:
        """Read lines up to the one that is waited for."""
        heard: list[dict[str, Any]] = []
        for line in self.process.stdout or ():
            heard.append(json.loads(line))
            if heard[-1]["happening"] == happening:
                return heard[-1]
        raise AssertionError(f"the supervisor ended before '{happening}': {heard}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)

    def ends(self) -> int:
        """Let it end by itself, its server first; return its exit status."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@contextmanager
def supervisors() -> Iterator[Callable[..., Supervisor]]:
    """Start supervisors; none outlives the block."""
    with contextlib.ExitStack() as exits:

        def start(data_dir: Path, **options: Any) -> Supervisor:
            supervisor = Supervisor(data_dir, **options)
            exits.enter_context(supervisor.process)
            exits.callback(supervisor.ends)
            return supervisor

        yield start


class Observed:
    """An observer that a test can wait on."""

    def __init__(self) -> None:
        self.events: list[EmbeddedEvent] = []
        self._news = asyncio.Event()

    def __call__(self, event: EmbeddedEvent) -> None:
        self.events.append(event)
        self._news.set()

    def count(self, happening: Happening) -> int:
        return sum(event.happening is happening for event in self.events)

    async def until(self, happening: Happening, times: int) -> None:
        """Wait until something has happened so many times."""
        async with asyncio.timeout(PATIENCE):
            while self.count(happening) < times:
                self._news.clear()
                await self._news.wait()


async def open_and_close(config: EmbeddedConfig) -> None:
    """Open a database for the error that this raises."""
    async with EmbeddedPostgres(config):
        pass


def make_cluster(data_dir: Path) -> Path:
    """Make a data directory with a cluster in it that is cleanly stopped."""
    with supervisors() as start:
        supervisor = start(data_dir)
        supervisor.hears("accepting")
        assert supervisor.ends() == 0
    return data_dir


def cluster_in(data_dir: Path) -> Path:
    return data_dir / "database" / "postgresql"


def postmaster_pid(data_dir: Path) -> int:
    return int((cluster_in(data_dir) / "postmaster.pid").read_text().splitlines()[0])


def dsn_of(data_dir: Path) -> str:
    """The superuser's connection string, put together without the code under test."""
    password = (data_dir / "database" / "password").read_text()
    return f"host={cluster_in(data_dir)} port=5432 dbname=make_bridge user=make_bridge_admin password={password}"


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def children_of(parent: int) -> Iterator[int]:
    """Find the processes that one has started."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"\nPPid:\t{parent}\n" in (entry / "status").read_text():
                yield int(entry.name)


def fact_of(pid: int, name: str) -> bytes:
    """Read a file of a process's own in /proc."""
    return Path(f"/proc/{pid}/{name}").read_bytes()


def program_of(pid: int) -> Path:
    return Path(f"/proc/{pid}/exe").readlink()


def child_of(parent: int, called: str) -> int:
    """Find a server process by the kind its title shows."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_child = f"\nPPid:\t{parent}\n" in (entry / "status").read_text()
            if is_child and called in (entry / "cmdline").read_text():
                return int(entry.name)
    raise AssertionError(f"{parent} has no child called {called}")


def owner_of(path: Path) -> dict[str, Any]:
    """Options for subprocess that make a child the owner of `path`, where we may."""
    if os.geteuid() != 0:
        return {}
    owner = path.stat()
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for something outside our processes: there is no signal for it, so it is asked for until a deadline."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"waited in vain until {what}"
        time.sleep(0.005)


def ask(dsn: str, statement: str) -> Any:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row[0] if row else None


def accepts(dsn: str) -> bool:
    with contextlib.suppress(psycopg.OperationalError):
        return bool(ask(dsn, "SELECT true"))
    return False


def write(dsn: str, text: str) -> None:
    """Commit a row."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (text text)")
        connection.execute("INSERT INTO kept VALUES (%s)", (text,))


def kept(dsn: str) -> list[str]:
    """Read what was committed."""
    with psycopg.connect(dsn) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM kept ORDER BY text")]
