"""A process with a secret in its memory that is looked at and dies as if it had crashed; run by `test_process.py`.

Who looks is another process of the same user; root may look anywhere, so root becomes somebody else first.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys

from make_bridge.platform.security.own_memory import refuse_dumps

NOBODY = 65534
GET_DUMPABLE, SET_DUMPABLE = 3, 4

resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, resource.getrlimit(resource.RLIMIT_CORE)[1]))
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    ctypes.CDLL(None).prctl(SET_DUMPABLE, 1, 0, 0, 0)  # the kernel takes it from whoever changes the user
refuse_dumps()
for name in ("environ", "mem"):
    subprocess.run(["/bin/head", "-c", "1000", f"/proc/{os.getpid()}/{name}"], check=False)
dumpable = ctypes.CDLL(None).prctl(GET_DUMPABLE, 0, 0, 0, 0)
sys.stdout.write(f"{resource.getrlimit(resource.RLIMIT_CORE)} dumpable {dumpable}")
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGABRT)
