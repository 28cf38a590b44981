"""Transactions: the only way a store reaches PostgreSQL.

``ReadTx`` and ``WriteTx`` are different types, so a read path cannot write by mistake. Connections
are in autocommit mode and the frame is sent by hand: ``BEGIN`` and the tenant's setting travel in
one round trip, and the tenant is an integer formatted by us, never text from outside.

A connection that breaks is met twice. Before the transaction has begun nothing is done yet, so another connection is
tried, once. Later only what may be done twice is done again (``again``), as every reading may (``ask``): whether a
writing was committed is not known.
"""

import asyncio
import select
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Literal, LiteralString, Protocol, TypeVar

import psycopg
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from make_bridge.kernel.errors import OrganizationMoved, Unavailable
from make_bridge.platform.database.fingerprints import described
from make_bridge.platform.observability.tracing.spans import current, step

Params = Sequence[object] | Mapping[str, object]
Connection = psycopg.AsyncConnection[DictRow]
Row = DictRow
Refusal = Literal["lost", "full", "busy", "other"]


@dataclass(slots=True)
class Line:
    """The way to one server's address, of which all pools that share it find out together."""

    is_cut: bool = False
    """Whether the last tries to connect came to nothing: nobody answers there."""


class Pool(AsyncConnectionPool[Connection]):
    """A pool that says why something could not be done: to nobody, until somebody listens."""

    refused: Callable[[Refusal], None] = staticmethod(lambda _reason: None)
    watch: "Watch | None" = None
    line: Line


class Watch(Protocol):
    """Who is told of statements that take too long (``slow_statements``)."""

    seconds: float
    monotonic: Callable[[], float]

    def took(self, pool: Pool, statement: str, params: Params, seconds: float, *, failed: bool) -> None:
        """Take note of one; the parameters are shown to nobody."""
        ...


BAD_DATA = (psycopg.DataError, psycopg.IntegrityError)
# A transaction that was ended for its idleness is filed by PostgreSQL under wrong states, not under operations.
_IDLE = psycopg.errors.IdleInTransactionSessionTimeout
LOST = (psycopg.OperationalError, psycopg.InterfaceError, _IDLE)
# What a server says before it ends a session; what ends without a word has no SQLSTATE.
_FAREWELLS = (
    psycopg.errors.AdminShutdown,
    psycopg.errors.CrashShutdown,
    psycopg.errors.CannotConnectNow,
    _IDLE,
    psycopg.InterfaceError,
)
_TOO_LONG = (PoolTimeout, psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled)
# Connections die in swarms: the next one in the pool may be dying now. A moment later a dead one is known as such, and
# where the machine has much else to do, half a second later.
_SWARM_SECONDS = (0.1, 0.5)
# What the guard of a shard says of an organization that has left (migration 0027).
_MOVED = "MB001"
T = TypeVar("T")


class ConnectionLost(Unavailable):
    """The connection to the database broke: another may well work."""


class ReadTx:
    """A read-only transaction."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, connection: Connection, pool: Pool) -> None:
        """Wrap a connection of a pool whose transaction has begun."""
        self._connection = connection
        self._pool = pool

    async def one(self, statement: LiteralString, params: Params = ()) -> DictRow | None:
        """Return the first row or None."""
        return await (await self._run(statement, params)).fetchone()

    async def all(self, statement: LiteralString, params: Params = ()) -> list[DictRow]:
        """Return all rows; statements that may return many carry a LIMIT."""
        return await (await self._run(statement, params)).fetchall()

    async def explain(self, statement: str, params: Params) -> DictRow | None:
        """Return the plan of a statement of ours; it is not carried out."""
        explained = b"EXPLAIN (FORMAT JSON) " + statement.encode()
        return await (await self._connection.execute(explained, params, prepare=False)).fetchone()

    async def _run(self, statement: LiteralString, params: Params) -> psycopg.AsyncCursor[DictRow]:
        if current() is None:
            return await self._watched(statement, params)
        fingerprint, operation = described(statement)
        with step(f"{operation} {fingerprint}", "client") as span:
            span.set("db.system.name", "postgresql")
            span.set("db.operation.name", operation)
            span.set("db.query.summary", fingerprint)
            return await self._watched(statement, params)

    async def _watched(self, statement: LiteralString, params: Params) -> psycopg.AsyncCursor[DictRow]:
        watch = self._pool.watch
        if watch is None:
            return await self._connection.execute(statement, params)
        began = watch.monotonic()
        try:
            cursor = await self._connection.execute(statement, params)
        except psycopg.Error:
            if (seconds := watch.monotonic() - began) >= watch.seconds:
                watch.took(self._pool, statement, params, seconds, failed=True)
            raise
        if (seconds := watch.monotonic() - began) >= watch.seconds:
            watch.took(self._pool, statement, params, seconds, failed=False)
        return cursor


class WriteTx(ReadTx):
    """A transaction that may write."""

    __slots__ = ()

    async def execute(self, statement: LiteralString, params: Params = ()) -> int:
        """Run a statement; return how many rows it touched."""
        return (await self._run(statement, params)).rowcount


@asynccontextmanager
async def begin(pool: Pool, frame: str) -> AsyncIterator[WriteTx]:
    """Open a transaction with ``frame`` (BEGIN and its settings), commit at the end, roll back on any error."""
    try:
        async with _lend(pool, frame.encode()) as connection:
            try:
                yield WriteTx(connection, pool)
            except BaseException:
                if not connection.closed:
                    await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT")
    except LOST as error:
        pool.refused(_reason(error))
        raise _unavailable(error) from error
    except psycopg.DatabaseError as error:
        if (moved := _moved(error)) is not None:
            raise moved from error
        raise


async def again(act: Callable[[], Awaitable[T]]) -> T:
    """Do what may be done twice; when the connection breaks under it, do it on another, three times in all."""
    for pause in _SWARM_SECONDS:
        try:
            return await act()
        except ConnectionLost:
            await asyncio.sleep(pause)
    return await act()


async def ask(
    reading: Callable[[], AbstractAsyncContextManager[ReadTx]], question: Callable[[ReadTx], Awaitable[T]]
) -> T:
    """Read; when the connection breaks under it, read again on another."""

    async def read() -> T:
        async with reading() as tx:
            return await question(tx)

    return await again(read)


@asynccontextmanager
async def single(pool: Pool) -> AsyncIterator[WriteTx]:
    """Lend a connection in autocommit: for exactly one statement, which commits by itself."""
    try:
        async with _lend(pool) as connection:
            yield WriteTx(connection, pool)
    except LOST as error:
        pool.refused(_reason(error))
        raise _unavailable(error) from error
    except psycopg.DatabaseError as error:
        if (moved := _moved(error)) is not None:
            raise moved from error
        raise


@asynccontextmanager
async def _lend(pool: Pool, frame: bytes = b"") -> AsyncIterator[Connection]:
    """Lend a connection whose server has not hung up, with ``frame`` begun on it.

    After the database died, a pool holds connections that only look alive. An idle connection has nothing
    to read, so one that has was closed by the other side: it is dropped here, at the cost of one poll,
    instead of failing a request each. (The pool's own check backs off between dead connections.)
    """
    connection = await (_begun(pool, frame) if frame else _living(pool))
    try:
        yield connection
    finally:
        await pool.putconn(connection)


async def _begun(pool: Pool, frame: bytes, *, is_last: bool = False) -> Connection:
    """Borrow a connection and begin; nothing is done yet, so one that breaks here is replaced by another, once."""
    connection = await _living(pool)
    try:
        await connection.execute(frame)
    except BaseException as error:
        await pool.putconn(connection)
        if is_last or not _is_lost(error):
            raise
    else:
        return connection
    return await _begun(pool, frame, is_last=True)


async def _living(pool: Pool) -> Connection:
    connection = await pool.getconn()
    while _hung_up(connection):
        await _discard(pool, connection)
        connection = await pool.getconn()
    return connection


async def _discard(pool: Pool, connection: Connection) -> None:
    await connection.close()
    await pool.putconn(connection)


def _hung_up(connection: Connection) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _is_lost(error: BaseException) -> bool:
    """Say whether an error means that this connection is gone, not that the server refuses or takes too long."""
    if isinstance(error, _FAREWELLS):
        return True
    if isinstance(error, PoolTimeout) or not isinstance(error, psycopg.OperationalError):
        return False
    return error.sqlstate is None


def _reason(error: Exception) -> Refusal:
    if _is_lost(error):
        return "lost"
    if isinstance(error, psycopg.errors.DiskFull):
        return "full"
    return "busy" if isinstance(error, _TOO_LONG) else "other"


def _moved(error: psycopg.DatabaseError) -> OrganizationMoved | None:
    """Return what the guard of an organization that left has said, None for every other refusal."""
    return OrganizationMoved(int(error.diag.message_detail or 0)) if error.sqlstate == _MOVED else None


def _unavailable(error: Exception) -> Unavailable:
    message = "The database did not answer in time. What was not confirmed may or may not have been stored: try again."
    kind = ConnectionLost if _is_lost(error) else Unavailable
    return kind(message, code="database_unavailable")
