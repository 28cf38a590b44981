"""Organizations whose keys were destroyed: they exist for the audit trail, and nothing of theirs can be opened."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Say when."""
    op.execute("ALTER TABLE directory.organizations ADD COLUMN shredded_at timestamptz")
