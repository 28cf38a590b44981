"""A connection that only listens, beside a pool and of the same database.

It keeps the login's own role, which may read nothing: to listen needs no right. The driver's own way to wait wakes up
ten times a second to see whether it was interrupted; here nothing happens until the server says something.
"""

import asyncio
from collections.abc import AsyncIterator

import psycopg
from psycopg import sql

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database.transactions import LOST, Pool


async def listen(pool: Pool, channel: str) -> AsyncIterator[str]:
    """Yield what is said on a channel, for as long as the connection lives; raises Unavailable when it is lost."""
    loop, spoken = asyncio.get_running_loop(), asyncio.Event()
    try:
        async with await psycopg.AsyncConnection.connect(str(pool.conninfo), autocommit=True) as connection:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            line, wire = connection.fileno(), connection.pgconn
            loop.add_reader(line, spoken.set)
            try:
                while True:
                    await spoken.wait()
                    spoken.clear()
                    wire.consume_input()
                    while (said := wire.notifies()) is not None:
                        yield said.extra.decode()
            finally:
                loop.remove_reader(line)
    except LOST as error:
        message = "The database can not be listened to."
        raise Unavailable(message, code="database_unavailable") from error
