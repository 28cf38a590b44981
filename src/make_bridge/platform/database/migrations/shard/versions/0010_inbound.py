"""Webhook events: the unique row by which a repeated event is known again, for as long as its hook says.

Not partitioned, because uniqueness is the point. ``event_id`` is a digest of what the sender calls the event.
"""

from alembic import op

revision = "0010"
down_revision = "0009"

_TABLES = """
CREATE TABLE shard.webhook_events (
    organization_id bigint NOT NULL,
    hook_id bigint NOT NULL,
    event_id bytea NOT NULL,
    execution_id uuid NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (organization_id, hook_id, event_id)
);
CREATE INDEX webhook_events_age ON shard.webhook_events (expires_at);
ALTER TABLE shard.webhook_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON shard.webhook_events TO bridge_app
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint);
GRANT SELECT ON shard.webhook_events TO bridge_app;
CREATE POLICY engine ON shard.webhook_events TO bridge_engine USING (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON shard.webhook_events TO bridge_engine;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
