"""PostgreSQL's own programs for copying databases: which ones fit a server, and starting them.

A rehearsal (``rehearsal``), a backup and a restore (``platform/backups``) call them. A program that is older than the
server refuses to work; the server's own is taken where it is installed, else that of this program's wheel.
Passwords reach them by their environment, which only their own user may read, never by their arguments.
"""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.platform.database.embedded_home import MAJOR_VERSION
from make_bridge.platform.database.embedded_programs import installed_programs

_PACKAGED: Final = "/usr/lib/postgresql/{}/bin"
_MAJOR: Final = 10000


async def server_major(dsn: str) -> int:
    """Return the major version of a server."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=10) as connection:
        return connection.info.server_version // _MAJOR


async def programs_for_server(dsn: str, at_least: int = 0) -> Path:
    """Return where pg_dump and pg_restore for a server are; ``at_least`` is a version that they may not be below."""
    major = await server_major(dsn)
    own = Path(_PACKAGED.format(major))
    if major >= at_least and (own / "pg_dump").exists():
        return own
    if int(MAJOR_VERSION) < max(major, at_least):
        message = (
            f"This needs the programs of PostgreSQL {max(major, at_least)}, and Make Bridge brings those of "
            f"{MAJOR_VERSION}: install the package postgresql-client-{max(major, at_least)}."
        )
        raise ConfigurationError(message)
    return installed_programs().bin


async def start_program(program: Path, dsn: str, *options: str, stdin: int = DEVNULL, stdout: int = DEVNULL) -> Process:
    """Start one on a database; what it complains of is to be read from its standard error."""
    parts = conninfo_to_dict(dsn)
    password = parts.pop("password", None)
    environment: Mapping[str, str] = {} if password is None else {"PGPASSWORD": str(password)}
    return await asyncio.create_subprocess_exec(
        program,
        "--dbname",
        make_conninfo("", **parts),
        *options,
        stdin=stdin,
        stdout=stdout,
        stderr=PIPE,
        env=environment,
    )
