"""The trace that something stored goes on with: the span by which it was begun, as one line of W3C's trace context.

Only where a trace is kept there is one, so for most rows it is a null and takes no room. Where it was decided that a
trace is not kept, nothing here brings it back.
"""

from alembic import op

revision = "0030"
down_revision = "0029"

_TABLES = ("executions", "jobs", "outbox")


def upgrade() -> None:
    """Add the column; one without a default or a check reads and rewrites nothing."""
    for table in _TABLES:
        op.execute(f"ALTER TABLE shard.{table} ADD COLUMN trace_context text")
