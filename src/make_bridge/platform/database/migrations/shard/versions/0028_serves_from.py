"""Which servers this version of the database takes: those that know at least ``serves_from``.

A server that meets a newer version than its own reads it and goes on, or says why it can not (``versions.pending``).
"""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Add the column; the servers before know of no floor and take no newer version."""
    op.execute(f"ALTER TABLE shard.schema_version ADD COLUMN serves_from text NOT NULL DEFAULT '{revision}'")
