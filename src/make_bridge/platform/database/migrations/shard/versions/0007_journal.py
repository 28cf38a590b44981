"""The journal of effects in use: keys of steps, sealed and cut results; answers to calls that were possibly done.

A step that is tried again keeps the key of its first attempt, so the key is stored and not derived from the place. A
result above the size limit is cut: its row says only that the step was done. Numbers of modules may be large.
Until now no row of the journal was ever written, so changing its type rewrites nothing.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

_CHANGES = """
ALTER TABLE shard.journal
    ALTER COLUMN module_id TYPE bigint,
    ADD COLUMN key text NOT NULL DEFAULT '',
    ADD COLUMN is_sealed boolean NOT NULL DEFAULT false,
    ADD COLUMN is_cut boolean NOT NULL DEFAULT false;
REVOKE INSERT ON shard.journal FROM bridge_app;
ALTER TABLE shard.incomplete_executions
    ADD COLUMN answer text CHECK (answer IN ('done', 'not_done'));
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_CHANGES)
