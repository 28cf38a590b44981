"""The servers that serve together: what each lets through of a limit depends on how many there are.

A row is written again every few seconds and is worth nothing after fifteen, so the table is not logged: after a crash
of the database it is empty, and full again with the next beat.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

_TABLE = """
CREATE UNLOGGED TABLE directory.servers (
    name text PRIMARY KEY CHECK (length(name) <= 100),
    limits text[] NOT NULL CHECK (cardinality(limits) <= 20),
    seen_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON directory.servers TO bridge_directory;
"""


def upgrade() -> None:
    """Create the table."""
    op.execute(_TABLE)
