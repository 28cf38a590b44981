"""Outbound webhooks: endpoints of organizations, what they are told, and the log of attempts.

A message is one event for one endpoint; its id follows from both, so taking an event twice makes one message. The job
that sends it is named in ``job_id``: a job that is not named there any more does nothing. ``sending_until`` is set
while somebody sends, and bounded, so that a killed sender gives its place among an endpoint's few back by itself.
Messages do not refer to their endpoint by a key: one that is deleted must not take thousands of rows with it at once.
"""

from alembic import op

revision = "0014"
down_revision = "0013"

_TABLES = """
CREATE TABLE shard.webhook_endpoints (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    events text[] NOT NULL,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'disabled')),
    secret_sealed text NOT NULL,
    previous_sealed text,
    previous_until timestamptz,
    disabled_reason text NOT NULL DEFAULT '',
    disabled_at timestamptz,
    last_success_at timestamptz,
    failing_since timestamptz,
    failures integer NOT NULL DEFAULT 0,
    dropped bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX webhook_endpoints_organization ON shard.webhook_endpoints (organization_id, id);

CREATE TABLE shard.webhook_messages (
    id uuid PRIMARY KEY,
    organization_id bigint NOT NULL,
    endpoint_id bigint NOT NULL,
    event_id text NOT NULL,
    type text NOT NULL COLLATE "C",
    body bytea NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'held', 'delivered', 'failed')),
    job_id uuid,
    attempts integer NOT NULL DEFAULT 0,
    sending_until timestamptz,
    error text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CHECK ((finished_at IS NULL) = (state IN ('waiting', 'held')))
) WITH (fillfactor = 70);
CREATE INDEX webhook_messages_endpoint ON shard.webhook_messages (endpoint_id, created_at, id);
CREATE INDEX webhook_messages_undelivered ON shard.webhook_messages (endpoint_id, state, created_at)
    WHERE state <> 'delivered';
CREATE INDEX webhook_messages_sending ON shard.webhook_messages (endpoint_id) WHERE sending_until IS NOT NULL;
CREATE INDEX webhook_messages_waiting ON shard.webhook_messages (created_at) WHERE state = 'waiting';
CREATE INDEX webhook_messages_age ON shard.webhook_messages (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE shard.webhook_attempts (
    message_id uuid NOT NULL REFERENCES shard.webhook_messages (id) ON DELETE CASCADE,
    number integer NOT NULL,
    organization_id bigint NOT NULL,
    at timestamptz NOT NULL,
    status smallint,
    failure text NOT NULL,
    duration_ms integer NOT NULL,
    answer text NOT NULL,
    next_at timestamptz,
    PRIMARY KEY (message_id, number)
);
"""
_GRANTS = """
GRANT SELECT, INSERT, DELETE, UPDATE (url, description, events, state, secret_sealed, previous_sealed, previous_until,
    disabled_reason, disabled_at, last_success_at, failing_since, failures)
    ON shard.webhook_endpoints TO bridge_app;
GRANT SELECT, INSERT, UPDATE (state, job_id, attempts, sending_until, error, finished_at)
    ON shard.webhook_messages TO bridge_app;
GRANT SELECT, INSERT, DELETE ON shard.webhook_attempts TO bridge_app;
GRANT SELECT (id, organization_id, events, state, dropped), UPDATE (dropped)
    ON shard.webhook_endpoints TO bridge_engine;
GRANT SELECT, INSERT, UPDATE (state, job_id, error, finished_at), DELETE ON shard.webhook_messages TO bridge_engine;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
    for table in ("webhook_endpoints", "webhook_messages", "webhook_attempts"):
        op.execute(f"ALTER TABLE shard.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON shard.{table} TO bridge_app"
            " USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint)"
        )
        op.execute(f"CREATE POLICY engine ON shard.{table} TO bridge_engine USING (true)")
    op.execute(_GRANTS)
