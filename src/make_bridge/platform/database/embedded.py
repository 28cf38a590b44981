"""The embedded database: a real PostgreSQL that lives and dies with this process.

``boot`` opens it when no ``DATABASE_URL`` is given; migrations, roles and pools then use it like any
other server, through the facts it yields. It makes the cluster on the first start, clears away what a
killed predecessor left, starts the server as a child of this process and starts it again when it dies.
Why each part is as it is: docs/decisions/0006-embedded-postgresql.md.
"""

import asyncio
from asyncio.subprocess import Process
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType

import psycopg
import structlog
from psycopg.conninfo import make_conninfo

from make_bridge.kernel.errors import BridgeError
from make_bridge.platform.database.embedded_home import (
    Home,
    claim,
    home_in,
    is_claimed,
    prune_logs,
    read_password,
    refuse_other_version,
    remove_pid_files,
    short_way,
)
from make_bridge.platform.database.embedded_initdb import create_cluster
from make_bridge.platform.database.embedded_process import account_for, ends_within, stop, stop_leftovers
from make_bridge.platform.database.embedded_programs import programs_for
from make_bridge.platform.database.embedded_server import Server
from make_bridge.platform.database.embedded_settings import SETTINGS

_SUPERUSER = "make_bridge_admin"
_PORT = 5432
# The first restart is at once; a server that keeps dying is not made to die faster.
_BACK_OFF_SECONDS = (0.0, 0.2, 1.0, 5.0)
_HEALTHY_SECONDS = 60.0
_HOUSEKEEPING_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedConfig:
    """Where the database lives, and how long its steps may take (seconds)."""

    data_dir: Path
    dbname: str = "make_bridge"
    create_deadline: float = 120.0
    start_deadline: float = 120.0  # recovery after a crash is part of a start
    stop_deadline: float = 20.0
    settings: Mapping[str, str] = field(default_factory=dict)  # over embedded_settings.SETTINGS
    program_cache: Path = Path("/var/cache/make-bridge")  # for root, when the wheel is out of its server's reach


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedFacts:
    """How to reach the running database."""

    host: str
    dbname: str
    user: str
    password: str = field(repr=False)

    @property
    def admin_dsn(self) -> str:
        """The bootstrap superuser's connection string: for migrations, never for serving."""
        return self.serving_dsn(self.user, self.password)

    def serving_dsn(self, role: str, password: str) -> str:
        """Write the connection string of a login role."""
        return make_conninfo(host=self.host, port=_PORT, dbname=self.dbname, user=role, password=password)


class Happening(StrEnum):
    """What an observer may be told."""

    CREATED = "created"
    LEFTOVERS_STOPPED = "leftovers_stopped"
    STARTED = "started"
    DIED = "died"
    RESTART_FAILED = "restart_failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedEvent:
    """Something that happened to the embedded database; ``seconds`` is what the step took."""

    happening: Happening
    detail: str = ""
    seconds: float = 0.0


Observer = Callable[[EmbeddedEvent], None]


def log_event(event: EmbeddedEvent) -> None:
    """Write an event to the log: the observer when no other is given."""
    log = structlog.stdlib.get_logger(__name__)
    write = log.error if event.happening in {Happening.DIED, Happening.RESTART_FAILED} else log.info
    write(f"embedded_database.{event.happening}", detail=event.detail, seconds=round(event.seconds, 3))


def facts_of_running(config: EmbeddedConfig) -> EmbeddedFacts | None:
    """Return the facts of a database that some process serves from this data directory now, if one does."""
    home = home_in(config.data_dir)
    return _facts(home, config) if is_claimed(home) and home.cluster.exists() else None


def _facts(home: Home, config: EmbeddedConfig) -> EmbeddedFacts:
    return EmbeddedFacts(
        host=str(home.socket_directory), dbname=config.dbname, user=_SUPERUSER, password=read_password(home)
    )


class EmbeddedPostgres:
    """The supervisor: an async context manager that yields the facts of a running database.

    Enter it on a thread that lives as long as the database should: the kernel stops the server when the
    thread that started it ends.
    """

    def __init__(self, config: EmbeddedConfig, observe: Observer = log_event) -> None:
        """``observe`` is called on the event loop for every event; it must neither block nor raise."""
        self._config = config
        self._observe = observe
        self._exits = AsyncExitStack()
        self._process: Process | None = None

    async def __aenter__(self) -> EmbeddedFacts:
        """Bring the database up; when it cannot, raise a sentence that says what to do."""
        async with AsyncExitStack() as exits:
            home = exits.enter_context(claim(self._config.data_dir))
            exits.enter_context(short_way(home))
            server = await self._prepare(home)
            facts = _facts(home, self._config)
            self._process = await self._start(server, facts)
            exits.push_async_callback(self._stop)
            exits.push_async_callback(_end, asyncio.create_task(self._keep_alive(server, facts, self._process)))
            self._exits = exits.pop_all()
        return facts

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the database cleanly and let go of the directory."""
        await self._exits.aclose()

    async def _prepare(self, home: Home) -> Server:
        account = account_for(home.cluster)
        programs = await programs_for(account, self._config.program_cache)
        if home.cluster.exists():
            refuse_other_version(home)
        else:
            with self._timed(Happening.CREATED):
                await create_cluster(home, account, programs, _SUPERUSER, self._config.create_deadline)
        settings = {**SETTINGS, **self._config.settings}
        return Server(home=home, account=account, programs=programs, settings=settings)

    async def _start(self, server: Server, facts: EmbeddedFacts) -> Process:
        await self._clear_leftovers(server)
        with self._timed(Happening.STARTED):
            return await server.start(facts.admin_dsn, self._config.start_deadline)

    async def _clear_leftovers(self, server: Server) -> None:
        began = _now()
        patience = self._config.stop_deadline
        stopped = await stop_leftovers(server.home.cluster_name, server.account, patience)
        remove_pid_files(server.home)
        if stopped:
            self._tell(Happening.LEFTOVERS_STOPPED, f"{stopped} processes of a killed predecessor", _now() - began)

    async def _keep_alive(self, server: Server, facts: EmbeddedFacts, process: Process) -> None:
        """Start the server again whenever it dies, until cancelled."""
        failures = 0
        while True:
            began = _now()
            await self._until_death(server, process)
            lived = _now() - began
            self._tell(Happening.DIED, f"exit status {process.returncode}", lived)
            failures = 0 if lived > _HEALTHY_SECONDS else failures
            process, failures = await self._restart(server, facts, failures)
            self._process = process

    async def _until_death(self, server: Server, process: Process) -> None:
        while not await ends_within(process, _HOUSEKEEPING_SECONDS):
            prune_logs(server.home)

    async def _restart(self, server: Server, facts: EmbeddedFacts, failures: int) -> tuple[Process, int]:
        while True:
            await asyncio.sleep(_BACK_OFF_SECONDS[min(failures, len(_BACK_OFF_SECONDS) - 1)])
            failures += 1
            try:
                return await self._start(server, facts), failures
            except (BridgeError, OSError, psycopg.Error) as error:
                self._tell(Happening.RESTART_FAILED, str(error))

    async def _stop(self) -> None:
        if self._process is not None:
            with self._timed(Happening.STOPPED):
                await stop(self._process, self._config.stop_deadline)

    @contextmanager
    def _timed(self, happening: Happening) -> Iterator[None]:
        began = _now()
        yield
        self._tell(happening, seconds=_now() - began)

    def _tell(self, happening: Happening, detail: str = "", seconds: float = 0.0) -> None:
        self._observe(EmbeddedEvent(happening=happening, detail=detail, seconds=seconds))


async def _end(guard: asyncio.Task[None]) -> None:
    guard.cancel()
    await asyncio.wait({guard})
    if not guard.cancelled():
        guard.result()


def _now() -> float:
    return asyncio.get_running_loop().time()
