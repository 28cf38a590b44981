"""How many connections a process may open at most to one server of PostgreSQL, which may hold several of the databases.

``opening`` refuses a process that alone would ask for more than there are; ``sharding/together`` counts all processes.
"""

from typing import Final

from psycopg.conninfo import conninfo_to_dict

# What a process does by itself (claim, beat, sweep, relay, schedules) may all wait for a slow database at once, and
# must not keep an outcome from being written: it has connections of its own beyond those of requests and runs.
CONNECTIONS_OF_LOOPS: Final = 6
# Beside the pools of a shard, its process listens for hints.
_CONNECTIONS_OF_LISTENERS: Final = 1
# What a server must have left beside its processes: for its superuser, for migrations and commands, for a backup.
KEPT_FREE: Final = 10
READ_ALLOWED: Final = "SELECT current_setting('max_connections')::int AS allowed"

Server = tuple[str, str]
"""Host and port."""


def most_connections(size: int, *, directories: int, shards: int) -> int:
    """Return how many a process with pools of ``size`` opens at most where so many of the databases are."""
    beside = CONNECTIONS_OF_LOOPS + _CONNECTIONS_OF_LISTENERS
    return size * directories + (2 * size + beside) * shards


def server_of(dsn: str) -> Server:
    """Return where a connection string leads; nothing of it is secret."""
    parts = conninfo_to_dict(dsn)
    return str(parts.get("host") or "localhost"), str(parts.get("port") or "5432")
