"""Connection pools, one per database role.

A pool's connections take their role once, when they are made, and keep it: ``bridge_directory``,
``bridge_app`` or ``bridge_engine``. Statement, lock and idle time-outs are set on the server side,
so that a lost client cannot hold locks.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database import arrays
from make_bridge.platform.database.budget import Server, server_of
from make_bridge.platform.database.replicas import Replicas
from make_bridge.platform.database.transactions import (
    Connection,
    Line,
    Pool,
    ReadTx,
    Refusal,
    T,
    Watch,
    WriteTx,
    ask,
    begin,
    single,
)

# The pool gives up an attempt after this time and the next request starts a new one: without it the pauses
# between attempts grow to minutes after an outage.
_RECONNECT_SECONDS = 1.0
RoleName = Literal["bridge_directory", "bridge_app", "bridge_engine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """Sizes (connections) and time-outs (seconds) of one pool."""

    min_size: int = 1
    max_size: int = 8
    wait: float = 2.0
    statement_timeout: float = 15.0
    directory_statement_timeout: float = 5.0
    engine_statement_timeout: float = 15.0
    report_statement_timeout: float = 30.0
    lock_timeout: float = 5.0
    idle_in_transaction: float = 15.0

    def of(self, role: RoleName) -> "PoolLimits":
        """Return the limits of one role: what every request waits for is given up earlier than what works behind it."""
        timeouts = {
            "bridge_app": self.statement_timeout,
            "bridge_directory": self.directory_statement_timeout,
            "bridge_engine": self.engine_statement_timeout,
        }
        return replace(self, statement_timeout=timeouts[role])


@asynccontextmanager
async def open_pool(
    conninfo: str, role: RoleName, limits: PoolLimits, *, is_needed: bool = True
) -> AsyncIterator[Pool]:
    """Open a pool whose every connection acts as ``role``; one that is not needed opens without its server too."""
    options = (
        f"-c statement_timeout={int(limits.statement_timeout * 1000)}"
        f" -c lock_timeout={int(limits.lock_timeout * 1000)}"
        f" -c idle_in_transaction_session_timeout={int(limits.idle_in_transaction * 1000)}"
        " -c synchronous_commit=on -c timezone=UTC"
    )

    async def configure(connection: Connection) -> None:
        arrays.register(connection)
        await connection.execute(f"SET ROLE {role}".encode())
        pool.line.is_cut = False

    def cut(_pool: object) -> None:
        pool.line.is_cut = True

    pool = Pool(
        make_conninfo(conninfo, options=options, application_name=f"make-bridge {role}", connect_timeout=5),
        kwargs={"autocommit": True, "row_factory": dict_row},
        reconnect_failed=cut,
        configure=configure,
        min_size=limits.min_size,
        max_size=limits.max_size,
        timeout=limits.wait,
        reconnect_timeout=_RECONNECT_SECONDS,
        open=False,
    )
    pool.line = Line()
    await pool.open(wait=is_needed, timeout=limits.wait * 4)
    try:
        yield pool
    finally:
        await pool.close(timeout=limits.wait)


class Directory:
    """The directory database: read before a tenant is known."""

    def __init__(self, pool: Pool) -> None:
        """Take the pool of ``bridge_directory``."""
        self._pool = pool

    @property
    def server(self) -> Server:
        """Return at which server of PostgreSQL it is."""
        return server_of(str(self._pool.conninfo))

    def read(self) -> AbstractAsyncContextManager[ReadTx]:
        """Open a read-only transaction."""
        return begin(self._pool, "BEGIN READ ONLY")

    async def ask(self, question: Callable[[ReadTx], Awaitable[T]]) -> T:
        """Read; a connection that breaks meanwhile costs another try."""
        return await ask(self.read, question)

    def write(self) -> AbstractAsyncContextManager[WriteTx]:
        """Open a writing transaction."""
        return begin(self._pool, "BEGIN")

    def listen_for_refusals(self, refused: Callable[[Refusal], None]) -> None:
        """Tell why something could not be done here."""
        self._pool.refused = refused

    def statistics(self) -> Mapping[str, Callable[[], Mapping[str, int]]]:
        """Return what the pool counts of itself, by role; asking costs nothing."""
        return {"directory": self._pool.get_stats}

    def watch(self, watch: Watch) -> None:
        """Tell of statements that take too long."""
        self._pool.watch = watch

    def statement(self) -> AbstractAsyncContextManager[WriteTx]:
        """Open it for a single statement, which is its own transaction: one round trip."""
        return single(self._pool)


class Shard:
    """One shard: a database with everything some organizations own."""

    def __init__(
        self, number: int, app: Pool, engine: Pool, *, report_seconds: float = 30.0, replicas: Replicas | None = None
    ) -> None:
        """Take the shard's number, the pools of its two roles, and how long a statement of a report may take."""
        self.number = number
        self.replicas = replicas or Replicas()
        self._app = app
        self.engine = engine
        # Both know at once what one of them finds out.
        app.line = engine.line
        self._report_timeout = int(report_seconds * 1000)

    @property
    def server(self) -> Server:
        """Return at which server of PostgreSQL it is."""
        return server_of(str(self.engine.conninfo))

    @property
    def is_cut(self) -> bool:
        """Whether nobody answers at this shard's address, so that waiting for a connection leads to nothing."""
        return self.engine.line.is_cut

    def read(self, organization_id: OrganizationId) -> AbstractAsyncContextManager[ReadTx]:
        """Open a read-only transaction that sees one organization."""
        return begin(self._app, f"BEGIN READ ONLY; SET LOCAL app.organization_id = '{int(organization_id)}'")

    def read_report(self, organization_id: OrganizationId) -> AbstractAsyncContextManager[ReadTx]:
        """Open a read-only transaction that sees one organization, and whose statements may take longer."""
        tenant = f"SET LOCAL app.organization_id = '{int(organization_id)}'"
        return begin(self._app, f"BEGIN READ ONLY; {tenant}; SET LOCAL statement_timeout = {self._report_timeout}")

    async def ask(self, organization_id: OrganizationId, question: Callable[[ReadTx], Awaitable[T]]) -> T:
        """Read what one organization has; a connection that breaks meanwhile costs another try."""
        return await ask(lambda: self.read(organization_id), question)

    async def ask_lagging(self, organization_id: OrganizationId, question: Callable[[ReadTx], Awaitable[T]]) -> T:
        """Read what may be seen a little later than it is true: of a replica, where one is fresh."""
        return await self.replicas.ask(organization_id, question, lambda: self.ask(organization_id, question))

    def write(self, organization_id: OrganizationId) -> AbstractAsyncContextManager[WriteTx]:
        """Open a writing transaction that sees one organization."""
        return begin(self._app, f"BEGIN; SET LOCAL app.organization_id = '{int(organization_id)}'")

    def listen_for_refusals(self, refused: Callable[[Refusal], None]) -> None:
        """Tell why something could not be done here."""
        self._app.refused = self.engine.refused = refused

    def statistics(self) -> Mapping[str, Callable[[], Mapping[str, int]]]:
        """Return what the pools count of themselves, by role; asking costs nothing."""
        return {"app": self._app.get_stats, "engine": self.engine.get_stats}

    def watch(self, watch: Watch) -> None:
        """Tell of statements that take too long, on replicas too."""
        self._app.watch = self.engine.watch = watch
        for replica in self.replicas.all:
            replica.watch(watch)

    def engine_statement(self) -> AbstractAsyncContextManager[WriteTx]:
        """Open the engine's role for a single statement, which is its own transaction: one round trip."""
        return single(self.engine)

    def engine_write(self) -> AbstractAsyncContextManager[WriteTx]:
        """Open a transaction of the engine's role: queue, executions and their kin over all organizations."""
        return begin(self.engine, "BEGIN")
