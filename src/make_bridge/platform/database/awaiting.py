"""Waiting for a PostgreSQL that is not up yet, so that machines may start their parts in any order.

Called by ``boot`` for a server that starts on external databases. Only silence and "not yet" are waited for: an address
that can not work, a wrong password or a missing database is answered by PostgreSQL itself, and the start fails at once.
Nothing is sent but the question whether somebody is there.
"""

import asyncio
from collections.abc import Callable

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import PGconn, Ping

_PAUSE_SECONDS = 0.25
_QUESTION_SECONDS = 2
_NOT_YET = frozenset({Ping.REJECT, Ping.NO_RESPONSE})


async def await_server(dsn: str, patience: float, say: Callable[[str], None]) -> None:
    """Return when the server of ``dsn`` takes connections, or after ``patience`` seconds; says once that it waits."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    is_said = False
    while not await answers(dsn) and loop.time() < deadline:
        if not is_said:
            parts = conninfo_to_dict(dsn)
            say(f"waiting up to {patience:g} s for the PostgreSQL at {parts.get('host')}")
            is_said = True
        await asyncio.sleep(_PAUSE_SECONDS)


async def answers(dsn: str) -> bool:
    """Say whether somebody is there who takes connections, or says why not."""
    question = make_conninfo(dsn, connect_timeout=_QUESTION_SECONDS).encode()
    return await asyncio.to_thread(PGconn.ping, question) not in _NOT_YET
