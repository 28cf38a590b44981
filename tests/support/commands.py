"""`make-bridge` at an operator's prompt, again and again: the program is loaded once, and forks for each command.

Loading the program costs two seconds of a processor, what a command then does a tenth of one, and the suite gives some
hundred commands. So a process of our own loads it and does nothing else; for each command it forks, and the child takes
the arguments, the environment, the folder and the output of that command before a line of it runs. Servers are still
started by their name, as everybody starts them, and `architecture/test_commands_are_light.py` calls a command so.
"""

import atexit
import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

from make_bridge.cli import app
from make_bridge.cli.application import COMMANDS
from make_bridge.cli.lazy import Deferred, Family

_PROGRAM = Path(sys.executable).with_name("make-bridge")
_TESTS = Path(__file__).resolve().parents[1]
_MOST_BYTES = 256 * 1024
# Loading the program, on a machine that has much else to do.
_PATIENCE = 60.0
_READY = b"ready"
_BEGIN = "import sys; from support.commands import fork_for_each; fork_for_each(int(sys.argv[1]))"


def run_command(
    arguments: Sequence[str | Path], environment: Mapping[str, str], folder: Path, *, timeout: float
) -> "subprocess.CompletedProcess[str]":
    """Run `make-bridge` with these arguments to its end; several may run at once."""
    given = [str(argument) for argument in arguments]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        status = _status_of(given, environment, folder, (output, errors), timeout)
        return subprocess.CompletedProcess(
            [str(_PROGRAM), *given], os.waitstatus_to_exitcode(status), _text(output), _text(errors)
        )


def _status_of(
    arguments: list[str], environment: Mapping[str, str], folder: Path, files: Sequence[IO[bytes]], timeout: float
) -> int:
    said = json.dumps({"arguments": arguments, "environment": dict(environment), "folder": str(folder)}).encode()
    assert len(said) < _MOST_BYTES, "the environment is too large to be handed over"
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            socket.send_fds(_loaded(), [said], [theirs.fileno(), *(file.fileno() for file in files)])
        ours.settimeout(timeout)
        child = int(_answer(ours))
        try:
            return int(_answer(ours))
        except TimeoutError:
            os.kill(child, signal.SIGKILL)
            raise subprocess.TimeoutExpired([str(_PROGRAM), *arguments], timeout) from None


def _answer(line: socket.socket) -> bytes:
    said = line.recv(64)
    assert said, "the process that starts commands has ended"
    return said


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@cache
def _loaded() -> socket.socket:
    """Start the process that loads the program; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE_BRIDGE_", "PYTEST_"))}
    path = os.pathsep.join(filter(None, (str(_TESTS), os.environ.get("PYTHONPATH"))))
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _BEGIN, str(theirs.fileno())],
            env=kept | {"PYTHONPATH": path},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    atexit.register(_end, process, ours)
    ours.settimeout(_PATIENCE)
    assert ours.recv(64) == _READY, "the program could not be loaded"
    return ours


def _end(process: "subprocess.Popen[bytes]", line: socket.socket) -> None:
    line.close()
    process.wait(_PATIENCE)


def fork_for_each(descriptor: int) -> None:
    """Load the program, then fork for every command that is asked for. It comes back in whoever is such a command."""
    for module in sorted({command.module for command in _leaves(COMMANDS)}):
        importlib.import_module(module)
    # Nobody waits here for those who wait for the commands.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as line:
        line.send(_READY)
        while (asked := socket.recv_fds(line, _MOST_BYTES, 3))[0]:
            said, descriptors, _, _ = asked
            if os.fork() == 0:
                line.close()
                _run(json.loads(said), *descriptors)
                return
            for given in descriptors:
                os.close(given)


def _leaves(commands: Mapping[str, Deferred | Family]) -> Iterator[Deferred]:
    for command in commands.values():
        if isinstance(command, Deferred):
            yield command
        else:
            yield from _leaves(command.commands)


def _run(asked: "dict[str, object]", reply: int, output: int, errors: int) -> None:
    """Fork again: one becomes the command, the other tells its number and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        with socket.socket(fileno=reply) as line, contextlib.suppress(BrokenPipeError):
            line.send(str(child).encode())
            line.send(str(os.waitpid(child, 0)[1]).encode())
        os._exit(0)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    for given in (reply, output, errors):
        os.close(given)
    arguments, environment, folder = asked["arguments"], asked["environment"], asked["folder"]
    assert isinstance(arguments, list)
    assert isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(str(folder))
    sys.argv = [str(_PROGRAM), *arguments]
    sys.exit(app())
