"""Runs JavaScript in cells: processes that compute one answer and are gone.

``functions`` and the runs of scenarios call it, from threads, because a call waits for its answer. ``cells.py`` is the
program on the other side and says what keeps a cell from doing anything else. Here is what keeps it from being trusted:
an answer is bounded in size and time, and is text to be read.
"""

import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import structlog

from make_bridge.kernel.errors import BridgeError, Unavailable
from make_bridge.platform.sandbox.config import SandboxConfig

_log = structlog.get_logger(__name__)
_PROGRAM: Final = Path(__file__).with_name("cells.py")
# Not the server's: a cell has no secrets to find, and one time zone.
_ENVIRONMENT: Final = {"TZ": "UTC0", "LC_ALL": "C.UTF-8"}
_FRAME: Final = struct.Struct("!I")
_ORDER: Final = struct.Struct("!dI")
_READY: Final = b"ready"
_START_SECONDS: Final = 20.0
_END_SECONDS: Final = 2.0
_BESIDE: Final = 4096
_PART: Final = 65_536
Exceeded = Literal["time", "memory", "stack", "output", "crash"]
_EXCEEDED: Final[Mapping[str, Exceeded]] = {
    "time": "time", "memory": "memory", "stack": "stack", "output": "output", "crash": "crash",
}  # fmt: skip


class CallEnded(BridgeError):
    """The call was ended before it had an answer."""

    code = "function_ended"

    def __init__(self, exceeded: Exceeded) -> None:
        """``exceeded`` is what it used too much of; "crash" is that its process died."""
        super().__init__()
        self.exceeded: Exceeded = exceeded


class SandboxUnavailable(Unavailable):
    """JavaScript cannot be run on this server now."""

    code = "sandbox_unavailable"


class Sandbox:
    """See the module. Every method may be called by any thread, and waits."""

    def __init__(self, config: SandboxConfig) -> None:
        """Start nothing: the program starts with the first call."""
        self._config = config
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def ask(self, call: Mapping[str, object]) -> dict[str, Any]:
        """Return a cell's answer to a call; raises CallEnded and SandboxUnavailable."""
        config = self._config
        asked = {
            "seconds": config.seconds, "memory": config.memory_bytes, "output": config.output_bytes, "call": call,
        }  # fmt: skip
        request = json.dumps(asked).encode()
        with self._line() as line:
            line.settimeout(config.wait_seconds + _END_SECONDS)
            try:
                line.sendall(_FRAME.pack(len(request)) + request)
                answer = _received(line, config.output_bytes + _BESIDE)
            except OSError:
                raise CallEnded("time") from None
        return _read(answer)

    @property
    def most_input(self) -> int:
        """Return how large the arguments of a call may be, in bytes."""
        return self._config.input_bytes

    @property
    def process(self) -> "subprocess.Popen[bytes] | None":
        """Return the program, while it runs."""
        return self._process

    def close(self) -> None:
        """End the program, and with it every cell."""
        with self._lock:
            self._end()

    def _line(self) -> socket.socket:
        """Return the server's end of a line to a new cell; a program that has died is started once more."""
        order = _ORDER.pack(self._config.wait_seconds, 0)
        control: socket.socket | None = None
        for _ in range(2):
            mine, theirs = socket.socketpair()
            try:
                with self._lock:
                    control = self._control or self._start()
                socket.send_fds(control, [order], [theirs.fileno()])
            except SandboxUnavailable:
                mine.close()
                raise
            except OSError:
                mine.close()
                _log.warning("sandbox_lost")
                with self._lock:
                    if self._control is control:
                        self._end()
            else:
                return mine
            finally:
                theirs.close()
        raise SandboxUnavailable

    def _start(self) -> socket.socket:
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._process = subprocess.Popen(  # noqa: S603  our own program and no arguments of anybody
                [sys.executable, "-I", str(_PROGRAM)],
                stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=_ENVIRONMENT, cwd="/",
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            mine.close()
            _log.error("sandbox_not_started", reason=str(error))
            raise SandboxUnavailable from None
        finally:
            theirs.close()
        mine.settimeout(_START_SECONDS)
        self._control = mine
        try:
            said = mine.recv(len(_READY))
        except OSError:
            said = b""
        if said != _READY:
            _log.error("sandbox_not_started", reason=self._end())
            raise SandboxUnavailable
        return mine

    def _end(self) -> str:
        """End the program; return what it complained of, where it ended by itself."""
        control, process = self._control, self._process
        self._control = self._process = None
        if control is not None:
            control.close()
        if process is None:
            return ""
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)
        if process.poll() is None:
            process.kill()
            process.wait()
        complaint = "" if process.stderr is None else process.stderr.read(_BESIDE).decode(errors="replace")
        if process.stderr is not None:
            process.stderr.close()
        return complaint.strip()


def _received(line: socket.socket, most: int) -> bytes:
    (size,) = _FRAME.unpack(_exactly(line, _FRAME.size))
    if size > most:
        raise CallEnded("output")
    return _exactly(line, size)


def _exactly(line: socket.socket, size: int) -> bytes:
    taken = bytearray()
    while len(taken) < size:
        part = line.recv(min(size - len(taken), _PART))
        if not part:
            raise CallEnded("crash")
        taken += part
    return bytes(taken)


def _read(answer: bytes) -> dict[str, Any]:
    """Read an answer, of which nothing is believed: its engine ran somebody's code."""
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError):
        raise CallEnded("crash") from None
    if not isinstance(told, dict):
        raise CallEnded("crash")
    if "limit" in told:
        raise CallEnded(_EXCEEDED.get(str(told["limit"]), "crash"))
    return told
