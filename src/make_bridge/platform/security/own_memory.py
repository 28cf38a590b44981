"""Keeping this process's memory to itself: keys and secrets are in it, and a core dump is a file of all of it.

``cli`` calls it before anything is read. The limit forbids core files; where the kernel hands dumps to a program it
does not ask the limit, but it asks whether the process may be dumped at all, and the same answer closes ``/proc/PID``
(memory, environment) and debuggers to other processes of the same user.
"""

import ctypes
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def refuse_dumps() -> None:
    """Let nobody dump this process; its children decide for themselves, but inherit that core files are forbidden."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
