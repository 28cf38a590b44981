"""Applying the migration trees, in a process of its own.

``python -m make_bridge.platform.database.migrate`` reads one JSON request from standard input (the
owner's connection string must not stand in arguments or the environment) and prints one line per
step. A separate process keeps Alembic and SQLAlchemy out of the server's memory, and start-up asks
``pending`` first, which needs neither. A lock inside the database lets many nodes start at once.
"""

import sys

import msgspec
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from make_bridge.kernel.errors import ConfigurationError
from make_bridge.platform.database.migration_steps import upgrade
from make_bridge.platform.database.roles import ServingRole, ensure_group_roles, ensure_serving_role
from make_bridge.platform.database.versions import MigrationRequest

_LOCK = "SELECT pg_advisory_lock(hashtextextended('make_bridge.migrate', 0))"


def migrate(request: MigrationRequest) -> list[str]:
    """Bring one database to the newest version of the wanted trees; return a line per thing done."""
    done: list[str] = []
    with psycopg.connect(request.owner_dsn, autocommit=True) as connection:
        connection.execute(_LOCK)
        ensure_group_roles(connection)
        if request.serving_role is not None:
            role = ServingRole(name=request.serving_role, password=request.serving_password)
            ensure_serving_role(connection, role)
            database = connection.info.dbname
            connection.execute(
                sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                    sql.Identifier(database), sql.Identifier(role.name)
                )
            )
            done.append(f"role {role.name} ready")
        for tree in request.trees:
            steps = upgrade(request.owner_dsn, tree, request.patience)
            done.append(f"{tree} at its newest version" + (f" ({', '.join(steps)} applied)" if steps else ""))
        if "shard" in request.trees:
            connection.execute(
                "INSERT INTO shard.identity (number) VALUES (%s) ON CONFLICT DO NOTHING", (request.shard_number,)
            )
        if "directory" in request.trees:
            for number in request.known_shards:
                connection.execute(
                    "INSERT INTO directory.shards (number, name) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                    (number, f"shard-{number}"),
                )
    return done


def main() -> int:
    """Read a request, apply it, print what was done."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=MigrationRequest)
    try:
        for line in migrate(request):
            sys.stdout.write(f"{line}\n")
    except psycopg.Error as error:
        where = conninfo_to_dict(request.owner_dsn)
        sys.stderr.write(f"Cannot migrate database {where.get('dbname')} at {where.get('host')}: {error}\n")
        return 1
    except ConfigurationError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
