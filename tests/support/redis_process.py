"""A real Redis of the test's own: started, paused, killed and started again empty; nothing of it is kept."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.network import free_port
from support.waiting import until

PASSWORD = "hunter2-of-redis"
_PATIENCE = 10.0


@dataclass(slots=True, kw_only=True)
class RedisProcess:
    """One `redis-server`. It keeps its port over restarts, and no data."""

    program: Path
    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        own = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, *own, "--requirepass", PASSWORD, "--dir", self.folder],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        until(self._answers, f"Redis answers on port {self.port}", within=_PATIENCE)

    def kill(self) -> None:
        process, self.process = self.process, None
        assert process is not None, "Redis is not started"
        process.kill()
        process.wait(_PATIENCE)

    def pause(self) -> None:
        """Stop its clock: connections are still taken, and nobody answers."""
        assert self.process is not None, "Redis is not started"
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None, "Redis is not started"
        os.kill(self.process.pid, signal.SIGCONT)

    def command(self, *words: str) -> bytes:
        """Send one command and return what comes back first, as it came."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE) as line:
            line.sendall(_encoded(("AUTH", PASSWORD)))
            line.recv(1 << 20)
            line.sendall(_encoded(words))
            return line.recv(1 << 20)

    def flush(self) -> None:
        assert self.command("FLUSHALL") == b"+OK\r\n"

    def all_keys(self) -> list[str]:
        """All keys there are."""
        return [line.decode() for line in self.command("KEYS", "*").split(b"\r\n")[2::2]]

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"Redis ended: {(self.folder / 'redis.log').read_text()}"
        with contextlib.suppress(OSError):
            return self.command("PING") == b"+PONG\r\n"
        return False


def _encoded(command: Sequence[str]) -> bytes:
    words = [word.encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


@contextlib.contextmanager
def own_redis(program: Path, folder: Path) -> Iterator[RedisProcess]:
    """Run an empty Redis; its log lies in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    redis = RedisProcess(program=program, folder=folder, port=free_port())
    try:
        redis.start()
        yield redis
    finally:
        if redis.process is not None:
            redis.kill()
