"""What all servers together may take of PostgreSQL's connections: the size of each one's pools, and who came first.

A server of the version before writes down neither: it counts as none.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

_COLUMNS = """
ALTER TABLE directory.shard_views
    ADD COLUMN connections integer NOT NULL DEFAULT 0 CHECK (connections BETWEEN 0 AND 1000),
    ADD COLUMN since timestamptz NOT NULL DEFAULT now();
"""


def upgrade() -> None:
    """Add the columns."""
    op.execute(_COLUMNS)
