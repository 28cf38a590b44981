"""The database roles: who may touch which rows, and the check that nobody serves as an owner.

Three group roles own nothing: ``bridge_directory`` (directory tables), ``bridge_app`` (one
organization at a time, by row-level security) and ``bridge_engine`` (accepting, claiming and
settling over all organizations). One login role per database may become any of the three and is
nothing by itself. Its password is derived from the root key, so every node finds it without
sharing another secret; a database prepared by hand may bring its own login role instead.
"""

import hashlib
import hmac
from dataclasses import dataclass

import psycopg
from psycopg import sql

from make_bridge.kernel.errors import ConfigurationError

GROUP_ROLES = ("bridge_directory", "bridge_app", "bridge_engine")

_ENSURE_GROUP_ROLE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN
        CREATE ROLE {name} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOINHERIT;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""
_SESSION_FLAGS = """
SELECT r.rolsuper OR r.rolbypassrls OR
       EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname IN ('directory', 'shard') AND c.relowner = r.oid) AS mighty
FROM pg_roles r WHERE r.rolname = session_user
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingRole:
    """The login role of one database."""

    name: str
    password: str

    def __repr__(self) -> str:
        """Show the name only: the password is a secret."""
        return f"ServingRole({self.name})"


def serving_role(database: str, root_key: bytes) -> ServingRole:
    """Derive the login role of a database: a name that does not collide on a shared server, and its password."""
    suffix = hashlib.sha256(database.encode()).hexdigest()[:8]
    password = hmac.new(root_key, b"make-bridge database role " + database.encode(), hashlib.sha256).hexdigest()
    return ServingRole(name=f"bridge_server_{suffix}", password=password)


def ensure_group_roles(connection: psycopg.Connection) -> None:
    """Create the three group roles when they are missing; safe to race over databases of one server."""
    for name in GROUP_ROLES:
        connection.execute(sql.SQL(_ENSURE_GROUP_ROLE).format(name=sql.SQL(name)))


def ensure_serving_role(connection: psycopg.Connection, role: ServingRole) -> None:
    """Create or repair the login role; the password reaches the server only as a SCRAM verifier."""
    verifier = connection.pgconn.encrypt_password(role.password.encode(), role.name.encode(), b"scram-sha-256")
    name = sql.Identifier(role.name)
    exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role.name,)).fetchone()
    verb = sql.SQL("ALTER" if exists else "CREATE")
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOINHERIT PASSWORD {}").format(
            verb, name, sql.Literal(verifier.decode())
        )
    )
    for group in GROUP_ROLES:
        connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), name))


async def refuse_mighty_role(conninfo: str) -> None:
    """Raise when the login role of ``conninfo`` could pass by row-level security; called before serving."""
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
        row = await (await connection.execute(_SESSION_FLAGS)).fetchone()
    if row is not None and row[0]:
        message = (
            "This process would serve as a superuser, an owner or a role that bypasses row-level security. "
            "Give MAKE_BRIDGE_DATABASE_URL a plain login role that is a member of "
            f"{', '.join(GROUP_ROLES)}, or run 'make-bridge migrate' with a role that may create one."
        )
        raise ConfigurationError(message)
