"""A PostgreSQL of a test's own, from the machine's packages: an external database for the product, free to be killed.

`tests/support/postgres.py` makes databases on a server that is there; this starts a server. It is a child of the test
process, durable as in production (fsync stays on), and gone with its directory when the block ends.
"""

import atexit
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from support.embedded import children_of, is_alive
from support.network import free_port
from support.waiting import until

_PASSWORD = "only-for-tests"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_worker_processes": "2",
    "log_min_error_statement": "panic",
}
_PATIENCE = 60.0


@dataclass(slots=True, kw_only=True)
class PostgresProcess:
    """One running server."""

    programs: Path
    directory: Path
    port: int
    settings: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def url(self, database: str = "postgres") -> str:
        """The owner's address of a database, as MAKE_BRIDGE_DATABASE_URL takes it."""
        return f"postgresql://postgres:{_PASSWORD}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database and return its address."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        return self.url(database)

    def start(self) -> None:
        settings = [word for name, value in (_SETTINGS | self.settings).items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.directory / "data", "-p", str(self.port), *settings],
                stdout=log,
                stderr=log,
                start_new_session=True,
                **as_postgres(),
            )
        until(self._accepts, f"PostgreSQL accepts on port {self.port}", within=_PATIENCE)

    def processes(self) -> list[int]:
        """Return the server with all its sessions."""
        assert self.process is not None, "PostgreSQL is not started"
        return [self.process.pid, *children_of(self.process.pid)]

    def kill(self) -> None:
        """Kill it with all its sessions, as nothing can be caught or cleaned up; its data stay for the next start."""
        assert self.process is not None, "PostgreSQL is not started"
        found = self.processes()
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(_PATIENCE)
        self.process = None
        until(lambda: not any(map(is_alive, found)), "all processes of PostgreSQL are gone", within=_PATIENCE)

    def stop(self) -> None:
        """End it at once: its data go with it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(_PATIENCE)

    def _accepts(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"PostgreSQL ended: {self.log.read_text()[-2000:]}"
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url()):
            return True
        return False


@contextlib.contextmanager
def own_postgres(postgres: Path, **settings: str) -> Iterator[PostgresProcess]:
    """Run a fresh server of the program `postgres`, with settings of its own; nothing of it outlives the block."""
    # Not below pytest's own folder: that is closed to the user who runs the server for root.
    directory = Path(tempfile.mkdtemp(prefix="make-bridge-postgres-"))
    server = PostgresProcess(programs=postgres.parent, directory=directory, port=free_port(), settings=settings)
    try:
        _lay_cluster(server)
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory)


def _lay_cluster(server: PostgresProcess) -> None:
    """Give a server the files it begins with: a copy of those that were made once."""
    user = as_postgres()
    if user:
        os.chown(server.directory, user["user"], user["group"])
    subprocess.run(["cp", "-a", _cluster(server.programs), server.directory / "data"], check=True, capture_output=True)


@cache
def _cluster(programs: Path) -> Path:
    """Make the files of a server, which takes a second of a processor; they are gone when this process is."""
    directory, user = Path(tempfile.mkdtemp(prefix="make-bridge-cluster-")), as_postgres()
    atexit.register(shutil.rmtree, directory)
    if user:
        os.chown(directory, user["user"], user["group"])
    password = directory / "password"
    password.write_text(_PASSWORD)
    password.chmod(0o644)
    arguments = ["-A", "scram-sha-256", "-U", "postgres", "--encoding=UTF8", "--locale=C", f"--pwfile={password}"]
    subprocess.run(
        [programs / "initdb", "-D", directory / "data", *arguments, "--no-sync"],
        check=True,
        capture_output=True,
        cwd=directory,
        **user,
    )
    return directory / "data"


def as_postgres() -> dict[str, Any]:
    """Options for subprocess that make root's child somebody whom PostgreSQL accepts."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise AssertionError("PostgreSQL refuses to run as root, and there is nobody else")
