"""A connection that only listens, beside a pool and of the same database.

It keeps the login's own role, which may read nothing: to listen needs no right.
"""

from collections.abc import AsyncIterator

import psycopg
from psycopg import sql

from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.database.transactions import LOST, Pool


async def listen(pool: Pool, channel: str) -> AsyncIterator[str]:
    """Yield what is said on a channel, for as long as the connection lives; raises Unavailable when it is lost."""
    try:
        async with await psycopg.AsyncConnection.connect(str(pool.conninfo), autocommit=True) as connection:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            async for said in connection.notifies():
                yield said.payload
    except LOST as error:
        message = "The database can not be listened to."
        raise Unavailable(message, code="database_unavailable") from error
