"""Applying the migration trees, in a process of its own.

``python -m make_bridge.platform.database.migrate`` reads one JSON request from standard input (the
owner's connection string must not stand in arguments or the environment) and prints one line per
step. A separate process keeps Alembic and SQLAlchemy out of the server's memory, and start-up asks
``pending`` first, which needs neither. A lock inside the database lets many nodes start at once.
"""

import sys
from pathlib import Path

import msgspec
import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine, event
from sqlalchemy.pool import StaticPool

from make_bridge.platform.database.roles import ServingRole, ensure_group_roles, ensure_serving_role
from make_bridge.platform.database.versions import MigrationRequest, Tree

_LOCK = "SELECT pg_advisory_lock(hashtextextended('make_bridge.migrate', 0))"
_HERE = Path(__file__).parent / "migrations"


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
            _upgrade(request.owner_dsn, tree)
            done.append(f"{tree} at its newest version")
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


def _upgrade(owner_dsn: str, tree: Tree) -> None:
    config = Config()
    config.set_main_option("script_location", str(_HERE / tree))
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(owner_dsn), poolclass=StaticPool)

    @event.listens_for(engine, "connect")
    def keep_quiet(connection: psycopg.Connection, _record: object) -> None:
        connection.execute("SET client_min_messages = warning")
        connection.commit()

    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


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
    return 0


if __name__ == "__main__":
    sys.exit(main())
