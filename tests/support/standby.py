"""A standby of a test's own PostgreSQL: copied, streaming, free to be paused and killed."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from support.network import free_port
from support.postgres_process import PostgresProcess, as_postgres


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby:
    """One standby that runs, and what it follows."""

    server: PostgresProcess
    primary: PostgresProcess

    @property
    def address(self) -> str:
        """Where it is, without anybody's name or password."""
        return f"postgresql://127.0.0.1:{self.server.port}"

    def pause_replay(self) -> None:
        """Have it answer as before, and take in nothing more."""
        self._tell("SELECT pg_wal_replay_pause()")

    def resume_replay(self) -> None:
        self._tell("SELECT pg_wal_replay_resume()")

    def freeze(self) -> None:
        """Stop its clock: it keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.server.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _tell(self, statement: str) -> None:
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def standby_of(primary: PostgresProcess) -> Iterator[Standby]:
    """Copy a server and follow it; nothing of the standby outlives the block."""
    directory, user = Path(tempfile.mkdtemp(prefix="make-bridge-standby-")), as_postgres()
    server = PostgresProcess(programs=primary.programs, directory=directory, port=free_port())
    try:
        if user:
            os.chown(directory, user["user"], user["group"])
        copy: list[str | Path] = [primary.programs / "pg_basebackup", "-d", primary.url(), "-D", directory / "data"]
        subprocess.run(
            [*copy, "-R", "-X", "stream", "-c", "fast", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=directory,
            **user,
        )
        server.start()
        yield Standby(server=server, primary=primary)
    finally:
        if server.process is not None:
            Standby(server=server, primary=primary).thaw()
        server.stop()
        shutil.rmtree(directory)
