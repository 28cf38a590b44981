"""Transactions: the only way a store reaches PostgreSQL.

``ReadTx`` and ``WriteTx`` are different types, so a read path cannot write by mistake. Connections
are in autocommit mode and the frame is sent by hand: ``BEGIN`` and the tenant's setting travel in
one round trip, and the tenant is an integer formatted by us, never text from outside.
"""

import select
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import LiteralString

import psycopg
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from make_bridge.kernel.errors import Unavailable

Params = Sequence[object] | Mapping[str, object]
Connection = psycopg.AsyncConnection[DictRow]
Row = DictRow
Pool = AsyncConnectionPool[Connection]
BAD_DATA = (psycopg.DataError, psycopg.IntegrityError)
LOST = (psycopg.OperationalError, psycopg.InterfaceError)


class ReadTx:
    """A read-only transaction."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        """Wrap a connection whose transaction has begun."""
        self._connection = connection

    async def one(self, statement: LiteralString, params: Params = ()) -> DictRow | None:
        """Return the first row or None."""
        return await (await self._connection.execute(statement, params)).fetchone()

    async def all(self, statement: LiteralString, params: Params = ()) -> list[DictRow]:
        """Return all rows; statements that may return many carry a LIMIT."""
        return await (await self._connection.execute(statement, params)).fetchall()


class WriteTx(ReadTx):
    """A transaction that may write."""

    __slots__ = ()

    async def execute(self, statement: LiteralString, params: Params = ()) -> int:
        """Run a statement; return how many rows it touched."""
        return (await self._connection.execute(statement, params)).rowcount


@asynccontextmanager
async def begin(pool: Pool, frame: str) -> AsyncIterator[WriteTx]:
    """Open a transaction with ``frame`` (BEGIN and its settings), commit at the end, roll back on any error."""
    try:
        async with _lend(pool) as connection:
            await connection.execute(frame.encode())
            try:
                yield WriteTx(connection)
            except BaseException:
                if not connection.closed:
                    await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT")
    except LOST as error:
        raise _unavailable() from error


@asynccontextmanager
async def single(pool: Pool) -> AsyncIterator[WriteTx]:
    """Lend a connection in autocommit: for exactly one statement, which commits by itself."""
    try:
        async with _lend(pool) as connection:
            yield WriteTx(connection)
    except LOST as error:
        raise _unavailable() from error


@asynccontextmanager
async def _lend(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection whose server has not hung up.

    After the database died, a pool holds connections that only look alive. An idle connection has nothing
    to read, so one that has was closed by the other side: it is dropped here, at the cost of one poll,
    instead of failing a request each. (The pool's own check backs off between dead connections.)
    """
    connection = await pool.getconn()
    while _hung_up(connection):
        await connection.close()
        await pool.putconn(connection)
        connection = await pool.getconn()
    try:
        yield connection
    finally:
        await pool.putconn(connection)


def _hung_up(connection: Connection) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _unavailable() -> Unavailable:
    message = "The database did not answer in time. What was not confirmed may or may not have been stored: try again."
    return Unavailable(message, code="database_unavailable")
