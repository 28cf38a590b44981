"""General jobs: what a queue row of a job is about, and batches of them.

A job's queue row has the job's own id and the job's type as its kind; it exists only while there is work, as for
executions. The row here stays: it says what to do, how far it came and how it ended. ``fence`` is that of the last
settlement, so that a job begun again never meets an old holder's. Work of an organization, not of a team, has no team
here and in a letter, and the lane 2^53 + organization in the queue, which no team's id can be.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

_TABLES = """
CREATE TABLE shard.job_batches (
    id uuid PRIMARY KEY,
    organization_id bigint NOT NULL,
    team_id bigint,
    total integer NOT NULL DEFAULT 0,
    pending integer NOT NULL DEFAULT 0 CHECK (pending >= 0),
    tells boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX job_batches_organization ON shard.job_batches (organization_id, id);
CREATE INDEX job_batches_age ON shard.job_batches (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE shard.jobs (
    id uuid PRIMARY KEY,
    organization_id bigint NOT NULL,
    team_id bigint,
    type text NOT NULL COLLATE "C",
    class smallint NOT NULL,
    state text NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'completed', 'failed', 'cancelled')),
    payload bytea NOT NULL,
    unique_key text COLLATE "C",
    batch_id uuid,
    is_counted boolean NOT NULL DEFAULT false,
    tries smallint NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT '',
    progress smallint NOT NULL DEFAULT 0,
    note text NOT NULL DEFAULT '',
    result bytea NOT NULL DEFAULT '',
    cancel_requested boolean NOT NULL DEFAULT false,
    fence bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz,
    CHECK ((finished_at IS NULL) = (state = 'waiting'))
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX jobs_unique ON shard.jobs (organization_id, type, unique_key)
    WHERE unique_key IS NOT NULL AND finished_at IS NULL;
CREATE INDEX jobs_organization ON shard.jobs (organization_id, id);
CREATE INDEX jobs_batch ON shard.jobs (batch_id, id) WHERE batch_id IS NOT NULL;
CREATE INDEX jobs_age ON shard.jobs (finished_at) WHERE finished_at IS NOT NULL;

ALTER TABLE shard.dead_letters ALTER COLUMN team_id DROP NOT NULL;
"""
_GRANTS = """
GRANT SELECT, INSERT, UPDATE (state, tries, error, progress, note, result, is_counted, cancel_requested, fence,
                              started_at, finished_at) ON shard.jobs TO bridge_app;
GRANT SELECT, INSERT, UPDATE (total, pending, finished_at) ON shard.job_batches TO bridge_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON shard.jobs, shard.job_batches TO bridge_engine;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
    for table in ("jobs", "job_batches"):
        op.execute(f"ALTER TABLE shard.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON shard.{table} TO bridge_app"
            " USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint)"
        )
        op.execute(f"CREATE POLICY engine ON shard.{table} TO bridge_engine USING (true)")
    op.execute(_GRANTS)
