"""Processes of an embedded PostgreSQL: starting one, and finding what an earlier supervisor left behind.

A pid file proves nothing (its process may be a zombie, and its number may be somebody else's by now),
so the living are found by their own words in ``/proc``: every server process carries its cluster's name
in its command line or title. ``/proc/<pid>/cwd`` would say the same, but root in a container may not
read it of another user's process.
"""

import asyncio
import contextlib
import os
import pwd
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from make_bridge.kernel.errors import ConfigurationError

_LAUNCH = Path(__file__).with_name("embedded_launch.py")
_NAMES_FOR_ROOT = ("postgres", "nobody")
# Nothing of the caller's environment reaches the server: not its PG* variables, not its secrets.
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_POLL_SECONDS = 0.02
# Told to stop at once, a postmaster itself kills after 5 s the children that do not; it is left the time to.
_AT_ONCE_SECONDS = 8.0
_KILLED_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who the server runs as; ``dropped`` when that is not who we are."""

    uid: int
    gid: int
    dropped: bool

    def has_name(self) -> bool:
        """Say whether the system knows a name for this user: a container may run under any number."""
        try:
            pwd.getpwuid(self.uid)
        except KeyError:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Living:
    """A running process of a cluster."""

    pid: int
    is_postmaster: bool


def account_for(cluster: Path) -> Account:
    """Choose the user: ourselves, or for root the owner of the files, else ``postgres``, else ``nobody``."""
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid(), dropped=False)
    if cluster.exists():
        owner = cluster.stat()
        return Account(uid=owner.st_uid, gid=owner.st_gid, dropped=True)
    for name in _NAMES_FOR_ROOT:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(uid=entry.pw_uid, gid=entry.pw_gid, dropped=True)
    raise ConfigurationError(
        "PostgreSQL refuses to run as root, and this system has neither a user 'postgres' nor a user 'nobody'. "
        "Add one of them, or start Make Bridge as another user."
    )


async def spawn(
    command: list[str],
    account: Account,
    directory: Path,
    *,
    on_death: signal.Signals,
    output: IO[bytes] | int,
    source: int = asyncio.subprocess.DEVNULL,
) -> Process:
    """Start ``command`` in ``directory`` as ``account``; it gets ``on_death`` when this process dies.

    The directory is entered before the user changes, so a server whose directory lies below one that
    its user may not pass (``/root`` is 0700) still stands in it. Call on the event loop's own thread.
    """
    user = (account.uid, account.gid) if account.dropped else (-1, -1)
    arguments = [str(number) for number in (os.getpid(), *user, int(on_death))]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-S",
        str(_LAUNCH),
        *arguments,
        *command,
        cwd=directory,
        env=_ENVIRONMENT,
        stdin=source,
        stdout=output,
        stderr=output,
    )


async def ends_within(process: Process, seconds: float) -> bool:
    """Wait for a child of ours to end, and reap it; False when it outlives the time."""
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        return False
    return True


async def stop(process: Process, patience: float) -> None:
    """Stop a server: fast (sessions are rolled back, a clean end), then at once, then by the kernel."""
    for number, seconds in (
        (signal.SIGINT, patience),
        (signal.SIGQUIT, _AT_ONCE_SECONDS),
        (signal.SIGKILL, _KILLED_SECONDS),
    ):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        if await ends_within(process, seconds):
            return


def living(cluster_name: str, account: Account) -> list[Living]:
    """Find the processes of a cluster, whoever is their parent now; zombies have no words and do not count."""
    return list(_scan(cluster_name, account))


def _scan(cluster_name: str, account: Account) -> Iterator[Living]:
    setting, title = f"cluster_name={cluster_name}", f"postgres: {cluster_name}: "
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended while we looked
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            is_postmaster = setting in words
            if (is_postmaster or words[0].startswith(title)) and entry.stat().st_uid in {account.uid, os.geteuid()}:
                yield Living(pid=int(entry.name), is_postmaster=is_postmaster)


async def stop_leftovers(cluster_name: str, account: Account, patience: float) -> int:
    """Stop every process of a cluster that a dead supervisor left; return how many there were.

    A postmaster gets time for a clean end. Its orphaned sessions get none: they can commit nothing
    any more, and while one lives the shared memory is taken.
    """
    found = living(cluster_name, account)
    for number, seconds in (
        (signal.SIGINT, patience),
        (signal.SIGQUIT, _AT_ONCE_SECONDS),
        (signal.SIGKILL, _KILLED_SECONDS),
    ):
        if await _tell_and_wait(cluster_name, account, number, seconds):
            return len(found)
    raise ConfigurationError(
        f"Processes of an earlier PostgreSQL do not end: {[process.pid for process in living(cluster_name, account)]}. "
        "They wait for a disk that does not answer; restart the machine, or pass another --data-dir."
    )


async def _tell_and_wait(cluster_name: str, account: Account, number: signal.Signals, seconds: float) -> bool:
    until = asyncio.get_running_loop().time() + seconds
    told: set[int] = set()
    while alive := living(cluster_name, account):
        orphaned = not any(process.is_postmaster for process in alive)
        for process in alive:
            if (process.is_postmaster or orphaned) and process.pid not in told:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL if orphaned else number)
                told.add(process.pid)
        if asyncio.get_running_loop().time() > until:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True
