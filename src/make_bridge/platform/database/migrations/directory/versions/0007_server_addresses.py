"""What a server tells of itself: where it is called, what it serves, how much of it, and which version it is.

A gateway hands requests on to the servers that serve a role; a worker that nobody calls has no address.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

_COLUMNS = """
ALTER TABLE directory.servers
    ADD COLUMN address text CHECK (length(address) <= 300),
    ADD COLUMN roles text[] NOT NULL DEFAULT '{}' CHECK (cardinality(roles) <= 20),
    ADD COLUMN weight integer NOT NULL DEFAULT 1 CHECK (weight BETWEEN 0 AND 1000),
    ADD COLUMN version text NOT NULL DEFAULT '' CHECK (length(version) <= 50);
"""


def upgrade() -> None:
    """Add the columns: a server of the version before leaves them out, and is called by nobody."""
    op.execute(_COLUMNS)
