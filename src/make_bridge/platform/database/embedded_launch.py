"""The step between the supervisor and a server process: run as a program, it becomes PostgreSQL.

``embedded_process.spawn`` runs it with the bare interpreter (``python -I -S``), so it imports nothing
of this package. It is a program and not a ``preexec_fn`` because code between fork and exec deadlocks
in a process with threads, and because the kernel forgets the parent-death signal whenever the user
changes: the order below (new session, user, signal, exec) is the only one that works.

Arguments: supervisor's pid, uid and gid to take (-1 keeps them), signal when the supervisor dies,
program, its arguments.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_CANNOT_RUN = 126  # as a shell says it


def _take_user(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _tie_to_parent(parent: int, signal: int) -> None:
    # The signal follows the thread that made this process: the supervisor spawns on its event loop's thread.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:  # it died before the line above
        sys.exit("The process that was starting PostgreSQL is gone.")


def main() -> None:
    """Leave the terminal's session, drop to the user, tie the life to the supervisor's, become the program."""
    parent, uid, gid, signal = (int(argument) for argument in sys.argv[1:5])
    program = sys.argv[5]
    os.setsid()  # Ctrl-C in the terminal is for the supervisor, which drains before it stops the database
    if uid >= 0:
        try:
            _take_user(uid, gid)
        except OSError as error:
            sys.exit(
                f"PostgreSQL refuses to run as root, and this root may not become uid {uid}: {error}. "
                "Start Make Bridge as another user, or allow it CAP_SETUID and CAP_SETGID."
            )
    _tie_to_parent(parent, signal)
    try:
        os.execv(program, sys.argv[5:])  # noqa: S606 no shell is the point
    except OSError as error:
        sys.stderr.write(f"{program} cannot be run: {error}\n")
        sys.exit(_CANNOT_RUN)


if __name__ == "__main__":
    main()
