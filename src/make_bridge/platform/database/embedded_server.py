"""One server of an embedded PostgreSQL: from its command line until it accepts, and its stop.

The supervisor in ``embedded`` starts it, and starts it again when it dies.
"""

import asyncio
import signal
from asyncio.subprocess import Process
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from make_bridge.kernel.errors import ConfigurationError, Unavailable
from make_bridge.platform.database.embedded_home import Home, last_words, private_file, prune_logs
from make_bridge.platform.database.embedded_initdb import directory_argument
from make_bridge.platform.database.embedded_process import Account, ends_within, spawn, stop
from make_bridge.platform.database.embedded_programs import Programs
from make_bridge.platform.database.embedded_settings import DATABASE_SETTING, command_line, sync_method

_POLL_SECONDS = 0.02
_FIND_DATABASE = """
SELECT coalesce(s.setconfig, '{}') FROM pg_database d
LEFT JOIN pg_db_role_setting s ON s.setdatabase = d.oid AND s.setrole = 0
WHERE d.datname = %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How to start the server of one cluster."""

    home: Home
    account: Account
    programs: Programs
    settings: Mapping[str, str]

    async def start(self, admin_dsn: str, deadline: float) -> Process:
        """Start it and return when it accepts and has the database of ``admin_dsn``."""
        process = await self._spawn()
        try:
            async with asyncio.timeout(deadline):
                await self._until_it_accepts(process, admin_dsn)
        except TimeoutError:
            await stop(process, patience=0.0)
            raise Unavailable(
                f"The database did not accept connections within {deadline:g} s. {self._words()}"
            ) from None
        except BaseException:
            await stop(process, patience=0.0)
            raise
        return process

    async def _spawn(self) -> Process:
        own = {"cluster_name": self.home.cluster_name, "recovery_init_sync_method": sync_method()}
        where = directory_argument(self.account, self.home.cluster)
        command = [str(self.programs.bin / "postgres"), "-D", where, *command_line({**self.settings, **own})]
        prune_logs(self.home)
        with private_file(self.home.start_log) as output:
            return await spawn(command, self.account, self.home.cluster, on_death=signal.SIGINT, output=output)

    async def _until_it_accepts(self, process: Process, admin_dsn: str) -> None:
        while True:
            try:
                await _ensure_database(admin_dsn)
            except psycopg.OperationalError as error:
                if "authentication failed" in str(error):
                    raise ConfigurationError(
                        f"The database does not know the password in {self.home.password}. Put the file that was "
                        f"made with {self.home.cluster} back."
                    ) from error
            else:
                return
            if await ends_within(process, _POLL_SECONDS):
                raise Unavailable(f"The database ended while it was starting. {self._words()}")

    def _words(self) -> str:
        return f"Its log ({self.home.cluster / 'log'}) ends with:\n{last_words(self.home)}"


async def _ensure_database(admin_dsn: str) -> None:
    """Connect to the database that every cluster has, and make ours when it is missing."""
    name = psycopg.conninfo.conninfo_to_dict(admin_dsn)["dbname"]
    connection = await psycopg.AsyncConnection.connect(make_conninfo(admin_dsn, dbname="postgres"), autocommit=True)
    async with connection:
        row = await (await connection.execute(_FIND_DATABASE, (name,))).fetchone()
        if row is None:
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(str(name))))
        setting, value = DATABASE_SETTING
        if row is None or f"{setting}={value}" not in row[0]:
            await connection.execute(
                sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                    sql.Identifier(str(name)), sql.Identifier(setting), sql.Literal(value)
                )
            )
