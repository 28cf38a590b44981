"""The program whose children run customers' JavaScript: started by ``sandbox.py``, alone in a process, never imported.

It knows nothing of the server: no environment, no open file but one socket, and of the project only ``realm.js``. For
every call it is handed a socket and forks; the child, a *cell*, answers this one call and is gone. So nothing is left
of one call for the next, whatever the code has done to its engine, and a cell that crashes takes nobody with it.

Before a cell reads the code it gives up what a process can do:

* it has a user of its own where the program began as root, may open nothing, start nothing, and gain no privileges;
* ``seccomp`` leaves it the calls that compute, ask for memory, and write its answer: anything else kills it;
* its memory is bounded, by the engine and by the kernel; its processor time by the engine and, since long loops inside
  the engine never look at that bound, by a timer whose signal ends the process;
* this program kills what is still there when its time by the clock is over.

Requests and answers are framed by their length. Of a cell that died, this program writes the reason in its place.
"""

import ctypes
import gc
import json
import os
import platform
import resource
import select
import signal
import socket
import struct
import sys
import time
from pathlib import Path

import _quickjs

_CONTROL = 0
_NOBODY = 65534
_FRAME = struct.Struct("!I")
_ORDER = struct.Struct("!dI")
_LONGEST_REQUEST = 64 * 1024 * 1024
_LOOK_SECONDS = 0.02
_ROOM_BESIDE = 64 * 1024 * 1024
_STACK = 512 * 1024

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_FILTER = 1, 4, 38, 22, 2
_KILL_PROCESS, _ALLOW = 0x80000000, 0x7FFF0000
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _MACHINE_AT = 0, 4
# What computing needs: memory, locks, time, reading and writing what is open, ending.
_CALLS: dict[str, tuple[int, tuple[int, ...]]] = {
    # read write mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn sched_yield mremap madvise getpid
    # exit gettimeofday gettid futex clock_gettime exit_group getrandom rseq
    "x86_64": (
        0xC000003E,
        (0, 1, 9, 10, 11, 12, 13, 14, 15, 24, 25, 28, 39, 60, 96, 186, 202, 228, 231, 318, 334),
    ),
    "aarch64": (
        0xC00000B7,
        (63, 64, 222, 226, 215, 214, 134, 135, 139, 124, 216, 233, 172, 93, 169, 178, 98, 113, 94, 278, 293),
    ),
}  # fmt: skip


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.POINTER(_Instruction)))


class Filter:
    """The kernel's filter of system calls, made once and put on by each cell."""

    def __init__(self) -> None:
        """Raise OSError on machines whose numbers nobody has written down."""
        known = _CALLS.get(platform.machine())
        if known is None:
            raise OSError(f"no list of system calls for {platform.machine()}")
        machine, calls = known
        lines = [(_LOAD_WORD, 0, 0, _MACHINE_AT), (_JUMP_IF_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _KILL_PROCESS)]
        lines.append((_LOAD_WORD, 0, 0, _NUMBER_AT))
        lines += [(_JUMP_IF_EQUAL, len(calls) - index, 0, call) for index, call in enumerate(calls)]
        lines += [(_RETURN, 0, 0, _KILL_PROCESS), (_RETURN, 0, 0, _ALLOW)]
        self._lines = (_Instruction * len(lines))(*(_Instruction(*line) for line in lines))
        self._program = _Program(len(lines), self._lines)
        self._libc = ctypes.CDLL(None, use_errno=True)

    def forbid_privileges(self) -> None:
        """Give up, for this process and its children, what programs could add, and being looked into."""
        self._control(_PR_SET_NO_NEW_PRIVS, 1)
        self._control(_PR_SET_DUMPABLE, 0)

    def die_with_parent(self) -> None:
        """End when the process that started this one does."""
        self._control(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def put_on(self) -> None:
        """Leave this process nothing but computing."""
        self._control(_PR_SET_SECCOMP, _SECCOMP_FILTER, ctypes.addressof(self._program))

    def _control(self, option: int, *values: int) -> None:
        words = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
        if self._libc.prctl(ctypes.c_int(option), *words) != 0:
            raise OSError(ctypes.get_errno(), f"prctl({option}) was refused")


def main() -> None:
    """Serve calls until the server closes its end."""
    control = socket.socket(fileno=_CONTROL)
    time.tzset()
    realm = Path(__file__).with_name("realm.js").read_text(encoding="utf-8")
    filter_ = Filter()
    filter_.forbid_privileges()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    gc.disable()
    gc.freeze()
    control.send(b"ready")
    Warden(control, realm, filter_).serve()


class Warden:
    """Forks a cell for each call, and buries it."""

    def __init__(self, control: socket.socket, realm: str, filter_: Filter) -> None:
        """Begin with no cell."""
        self._control = control
        self._filter = filter_
        # Made before anybody's code is here, and forked with: a cell has an engine that is as good as new.
        self._engine = _quickjs.Context()
        self._engine.set_max_stack_size(_STACK)
        self._realm = self._engine.eval(realm)
        self._cells: dict[int, tuple[float, socket.socket]] = {}

    def serve(self) -> None:
        """Take orders until there are no more to come."""
        while True:
            ready, _, _ = select.select([self._control], [], [], _LOOK_SECONDS if self._cells else None)
            if ready and not self._take():
                break
            self._bury()
        for pid in self._cells:
            os.kill(pid, signal.SIGKILL)

    def _take(self) -> bool:
        order, descriptors, _, _ = socket.recv_fds(self._control, _ORDER.size, 1)
        if not order:
            return False
        seconds, _ = _ORDER.unpack(order)
        line = socket.socket(fileno=descriptors[0])
        pid = os.fork()
        if pid == 0:
            try:
                self._filter.die_with_parent()
                self._control.close()
                os.close(2)
                for _, other in self._cells.values():
                    other.close()
                self._answer(line)
            finally:
                os._exit(1)
        self._cells[pid] = (time.monotonic() + seconds, line)
        return True

    def _answer(self, line: socket.socket) -> None:
        """Answer one call, in a process of its own, and end."""
        asked = json.loads(_receive(line))
        seconds, memory, output = asked["seconds"], asked["memory"], asked["output"]
        request = json.dumps(asked["call"])
        self._engine.set_memory_limit(memory)
        self._engine.set_time_limit(seconds)
        self._confine(seconds, memory)
        try:
            said = self._realm(request).encode()
        except Exception as error:  # noqa: BLE001  whatever the engine says of a call is this call's end
            said = json.dumps({"limit": _limit_of(error)}).encode()
        if len(said) > output:
            said = b'{"limit":"output"}'
        _send(line, said)
        os._exit(0)

    def _confine(self, seconds: float, memory: int) -> None:
        with Path("/proc/self/statm").open("rb") as sizes:
            used = int(sizes.read().split()[0]) * resource.getpagesize()
        room = used + 2 * memory + _ROOM_BESIDE
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        whole = int(seconds) + 2
        resource.setrlimit(resource.RLIMIT_CPU, (whole, whole))
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        # The engine's own limit comes first where it looks at it; a loop inside it that never does ends here.
        signal.setitimer(signal.ITIMER_PROF, seconds * 1.2 + 0.02)
        self._filter.put_on()

    def _bury(self) -> None:
        now = time.monotonic()
        for pid, (deadline, line) in list(self._cells.items()):
            is_late = now > deadline
            if is_late:
                os.kill(pid, signal.SIGKILL)
            found, status = os.waitpid(pid, 0 if is_late else os.WNOHANG)
            if found:
                del self._cells[pid]
                reason = "" if status == 0 else "time" if is_late else _reason(status)
                if reason:
                    _send(line, json.dumps({"limit": reason}).encode())
                line.close()


def _reason(status: int) -> str:
    return "time" if os.WIFSIGNALED(status) and os.WTERMSIG(status) in {signal.SIGPROF, signal.SIGXCPU} else "crash"


def _limit_of(error: Exception) -> str:
    words = str(error)
    if "interrupted" in words:
        return "time"
    if isinstance(error, MemoryError) or "out of memory" in words or words.startswith("null"):
        return "memory"
    return "stack" if "call stack" in words else "crash"


def _receive(line: socket.socket) -> bytes:
    (size,) = _FRAME.unpack(_exactly(line, _FRAME.size))
    if size > _LONGEST_REQUEST:
        raise ValueError(size)
    return _exactly(line, size)


def _exactly(line: socket.socket, size: int) -> bytes:
    taken = bytearray()
    while len(taken) < size:
        part = os.read(line.fileno(), size - len(taken))
        if not part:
            os._exit(1)
        taken += part
    return bytes(taken)


def _send(line: socket.socket, answer: bytes) -> None:
    left = memoryview(_FRAME.pack(len(answer)) + answer)
    while left:
        try:
            left = left[os.write(line.fileno(), left) :]
        except OSError:
            return


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError) as failure:
        sys.stderr.write(f"{failure}\n")
        sys.exit(1)
