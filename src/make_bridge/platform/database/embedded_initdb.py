"""Making the cluster of an embedded PostgreSQL: once, on the first start.

It is built beside its place and moved there when it is complete and synced, so a start that is killed
halfway leaves nothing that a later one could mistake for a database.
"""

import asyncio
import os
from pathlib import Path
from signal import SIGKILL

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database.embedded_home import Home, adopt_cluster, make_password, read_password, staging
from make_bridge.platform.database.embedded_process import Account, spawn
from make_bridge.platform.database.embedded_programs import Programs, initdb_for
from make_bridge.platform.database.embedded_settings import sync_method

# The one path to its own directory that a server may always take; see `directory_argument`.
_WHERE_IT_STANDS = "/proc/self/cwd"
# The locale is PostgreSQL's own, not the machine's: the same order of text on every machine, for ever.
_OPTIONS = (
    "--auth=scram-sha-256",
    "--pwfile=/dev/stdin",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--data-checksums",
    "--no-instructions",
)


def directory_argument(account: Account, cluster: Path) -> str:
    """Name the cluster for ``-D``: root's server may not be able to pass the directories above its own."""
    return _WHERE_IT_STANDS if account.dropped else str(cluster)


async def create_cluster(home: Home, account: Account, programs: Programs, superuser: str, deadline: float) -> None:
    """Build the cluster for ``superuser``, whose password the home keeps."""
    make_password(home)
    with staging(home) as place:
        cluster = place / home.cluster.name
        cluster.mkdir(mode=0o700)
        if account.dropped:
            os.chown(cluster, account.uid, account.gid)
        initdb = initdb_for(account, programs, place)
        command = [
            str(initdb),
            "-D",
            directory_argument(account, cluster),
            "-U",
            superuser,
            *_OPTIONS,
            f"--sync-method={sync_method()}",
        ]
        await _run(command, account, cluster, read_password(home).encode(), deadline)
        adopt_cluster(home, cluster)


async def _run(command: list[str], account: Account, cluster: Path, password: bytes, deadline: float) -> None:
    source = _pipe_with(password, account)
    try:
        process = await spawn(
            command, account, cluster, on_death=SIGKILL, output=asyncio.subprocess.PIPE, source=source
        )
    finally:
        os.close(source)
    try:
        async with asyncio.timeout(deadline):
            said, complained = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Unavailable(f"The database could not be made in {deadline:g} s: is the disk of {cluster} slow?") from None
    if process.returncode != 0:
        words = (complained or said).decode(errors="replace").strip()
        raise Unavailable(f"The database could not be made. initdb says: {words}")


def _pipe_with(secret: bytes, account: Account) -> int:
    """Return a pipe's end to read a secret from: it stands in no file, argument or environment."""
    source, sink = os.pipe()
    try:
        os.write(sink, secret)
    finally:
        os.close(sink)
    if account.dropped:  # /dev/stdin is opened by name, so the pipe has to belong to who opens it
        os.fchown(source, account.uid, account.gid)
    return source
