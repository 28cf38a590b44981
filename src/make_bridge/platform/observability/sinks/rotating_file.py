"""A log file with a largest size, and a number of older ones behind it: ``log``, ``log.1``, ``log.2`` and so on.

The standard library's handler keeps what a full disk refused in a buffer and writes it later: nobody knows whether a
line is there, and one that is offered again is there twice (docs/decisions/0019-log-sinks.md). Here a line is written
whole or taken back, the file is opened again after any failure, and one process at a time has it: two would throw away
each other's lines while they change files.
"""

import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from make_bridge.platform.observability.sinks.port import Taken

_MODE: Final = 0o600
_TAKEN: Final = "another process writes to it: give each process a file of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileConfig:
    """``count`` is how many older files are kept, each of ``most_bytes`` at most."""

    path: Path
    most_bytes: int
    count: int


class RotatingFile:
    """See the module."""

    def __init__(self, config: FileConfig) -> None:
        """Nothing is opened before the first line."""
        self._config = config
        self._descriptor = -1
        self._size = 0
        self._lock = -1

    def write(self, lines: Sequence[bytes]) -> Taken:
        """Write lines until one does not go."""
        for done, line in enumerate(lines):
            try:
                self._write(line + b"\n")
            except OSError as error:
                self._let_go()
                return Taken(left=lines[done:], reason=error.strerror or type(error).__name__)
        return Taken()

    def close(self) -> None:
        """Close it, and let another process have it."""
        self._let_go()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _write(self, data: bytes) -> None:
        if self._descriptor < 0:
            self._open()
        if self._size and self._size + len(data) > self._config.most_bytes:
            self._rotate()
        written = os.write(self._descriptor, data)
        if written < len(data):
            # The rest would not fit either: no half line stays.
            os.ftruncate(self._descriptor, self._size)
            raise OSError(None, "No space left on device")
        self._size += written

    def _open(self) -> None:
        path = self._config.path
        if self._lock < 0:
            self._lock = _only_one(path.with_name(path.name + ".lock"))
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        self._size = os.fstat(self._descriptor).st_size
        if self._size and os.pread(self._descriptor, 1, self._size - 1) != b"\n":
            # Half a line, of a process that was killed: what comes now begins one of its own.
            self._size += os.write(self._descriptor, b"\n")

    def _rotate(self) -> None:
        path = self._config.path
        older = [path.with_name(f"{path.name}.{number}") for number in range(1, self._config.count + 1)]
        for newer, old in reversed(list(zip([path, *older], older, strict=False))):
            if newer.exists():
                newer.replace(old)
        if not older:
            path.unlink()
        self._let_go()
        self._open()

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _only_one(path: Path) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise OSError(error.errno, _TAKEN) from error
    return descriptor
