"""A PostgreSQL of the machine's packages, for benchmarks of several processes, and a standby that follows it.

Durable as in production, and gone with its folder. The embedded one knows neither replication nor many connections.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

_HOST = "127.0.0.1"
_SETTINGS = {
    "listen_addresses": _HOST, "unix_socket_directories": "", "max_connections": "200", "shared_buffers": "64MB",
    "wal_level": "replica", "hot_standby": "on",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """One that runs."""

    programs: Path
    port: int
    password: str
    pid: int

    def url(self, database: str = "postgres") -> str:
        """Return its owner's address of a database."""
        return f"postgresql://postgres:{self.password}@{_HOST}:{self.port}/{database}"

    @property
    def address(self) -> str:
        """Return where it is, without anybody's name or password."""
        return f"postgresql://{_HOST}:{self.port}"

    def create(self, database: str) -> str:
        """Make an empty database and return its address."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"'.encode())
        return self.url(database)

    def number(self, statement: str, database: str = "postgres") -> int:
        """Return the number that a statement gives."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            row = connection.execute(statement.encode()).fetchone()
            return 0 if row is None else int(row[0])


def programs() -> Path | None:
    """Return where the newest PostgreSQL of this machine has its programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parents[1].name))
    return found[-1].parent if found else None


@contextmanager
def primary(bin_: Path, port: int) -> Iterator[Postgres]:
    """Run a fresh one."""
    password = secrets.token_hex(8)
    with _folder() as folder:
        secret = folder / "password"
        secret.write_text(password)
        secret.chmod(0o644)
        arguments = ["-A", "scram-sha-256", "-U", "postgres", "--encoding=UTF8", "--locale=C", f"--pwfile={secret}"]
        _do([bin_ / "initdb", "-D", folder / "data", *arguments], folder)
        with _running(bin_, folder, port, password) as server:
            yield server


@contextmanager
def standby_of(followed: Postgres, port: int) -> Iterator[Postgres]:
    """Copy one and follow it."""
    with _folder() as folder:
        data = folder / "data"
        copying: list[str | Path] = [
            followed.programs / "pg_basebackup",
            "-d",
            followed.url(),
            "-D",
            data,
            "-R",
            "-X",
            "stream",
        ]
        _do([*copying, "-c", "fast"], folder)
        with _running(followed.programs, folder, port, followed.password) as server:
            yield server


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="make-bridge-bench-"))
    try:
        if user := _as_postgres():
            os.chown(folder, user["user"], user["group"])
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(bin_: Path, folder: Path, port: int, password: str) -> Iterator[Postgres]:
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [bin_ / "postgres", "-D", folder / "data", "-p", str(port), *settings],
            stdout=log, stderr=log, start_new_session=True, **_as_postgres(),
        )  # fmt: skip
    server = Postgres(programs=bin_, port=port, password=password, pid=process.pid)
    try:
        _until_it_answers(server, process)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _until_it_answers(server: Postgres, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(psycopg.OperationalError):
            server.number("SELECT 1")
            return
        time.sleep(0.05)
    raise RuntimeError("PostgreSQL does not answer")


def _do(words: Sequence[str | Path], folder: Path) -> None:
    subprocess.run(words, check=True, capture_output=True, cwd=folder, **_as_postgres())


def _as_postgres() -> dict[str, Any]:
    """Options for subprocess that make root's child somebody whom PostgreSQL accepts."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
