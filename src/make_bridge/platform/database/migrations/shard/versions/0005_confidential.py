"""Payloads of confidential scenarios are erased when their runs settle.

``bridge_engine`` may empty a payload and change nothing else of it; for ``bridge_app`` payloads stay append-only.
"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Grant it."""
    op.execute("GRANT UPDATE (head, body) ON shard.payloads TO bridge_engine")
