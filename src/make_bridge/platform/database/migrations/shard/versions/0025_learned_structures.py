"""What a webhook has learned that its calls hold: names and types, beside its settings and not among them.

The settings are read with each look-up of an address; what was learned is read by people only.
"""

from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE shard.hooks ADD COLUMN learned bytea CHECK (octet_length(learned) <= 400000)")
