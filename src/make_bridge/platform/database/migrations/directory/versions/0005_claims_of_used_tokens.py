"""Whose use of a token it was that is remembered.

A connection may break before the answer to the insert is there: the row found afterwards is then known to be one's own
by the random bytes that came with it. Rows of before, and of servers of the version before, have none.
"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE directory.used_tokens ADD COLUMN claim bytea")
