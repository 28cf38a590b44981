"""What both trees share: one connection, one schema, one version table per tree.

Both trees may live in one database, so each keeps its version table inside its own schema. The
caller (``migrate.py``) hands over an open connection that already holds the migration lock.
"""

from alembic import context
from sqlalchemy import text


def run(*, schema: str) -> None:
    """Apply the tree's revisions inside one transaction on the connection given by the caller."""
    connection = context.config.attributes["connection"]
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
    context.configure(connection=connection, version_table="schema_version", version_table_schema=schema)
    with context.begin_transaction():
        context.run_migrations()
