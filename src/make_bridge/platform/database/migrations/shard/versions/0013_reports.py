"""Reports and their parts: what was ordered, how much is written, and the content in pieces.

A report's id is that of the job that makes it. ``attempt`` is the number of the attempt that writes it: no other adds
a part. Parts go with their report.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

_TABLES = """
CREATE TABLE shard.reports (
    id uuid PRIMARY KEY,
    organization_id bigint NOT NULL,
    team_id bigint,
    wanted bytea NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    parts integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX reports_organization ON shard.reports (organization_id, id);
CREATE INDEX reports_age ON shard.reports (created_at);
CREATE INDEX reports_unfinished ON shard.reports (id) WHERE finished_at IS NULL;

CREATE TABLE shard.report_parts (
    report_id uuid NOT NULL REFERENCES shard.reports ON DELETE CASCADE,
    number integer NOT NULL,
    organization_id bigint NOT NULL,
    content bytea NOT NULL CHECK (octet_length(content) <= 262144),
    PRIMARY KEY (report_id, number)
);
"""
_GRANTS = """
GRANT SELECT, INSERT, DELETE, UPDATE (attempt, rows, bytes, parts, finished_at) ON shard.reports TO bridge_app;
GRANT SELECT, INSERT, DELETE ON shard.report_parts TO bridge_app;
GRANT SELECT, DELETE, UPDATE (attempt, rows, bytes, parts) ON shard.reports TO bridge_engine;
GRANT SELECT, DELETE ON shard.report_parts TO bridge_engine;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
    for table in ("reports", "report_parts"):
        op.execute(f"ALTER TABLE shard.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON shard.{table} TO bridge_app"
            " USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint)"
        )
        op.execute(f"CREATE POLICY engine ON shard.{table} TO bridge_engine USING (true)")
    op.execute(_GRANTS)
