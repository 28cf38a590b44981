"""Events get a position: what the relay, its consumers and the counters of events keep.

A row's ``sequence`` says in which order a transaction announced its facts; its ``position`` is given after the commit,
by one leader, and is what everybody reads by. ``event_positions`` is one row: the last position given, and the last
one that is no longer kept.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

_TABLES = """
ALTER TABLE shard.outbox ADD COLUMN sequence bigint GENERATED ALWAYS AS IDENTITY;
DROP INDEX shard.outbox_unstamped;
CREATE INDEX outbox_unstamped ON shard.outbox (sequence) WHERE position IS NULL;
CREATE INDEX outbox_organization ON shard.outbox (organization_id, position);

CREATE TABLE shard.event_positions (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    last bigint NOT NULL,
    trimmed bigint NOT NULL DEFAULT 0
);
INSERT INTO shard.event_positions (last) SELECT coalesce(max(position), 0) FROM shard.outbox;
GRANT SELECT, UPDATE ON shard.event_positions TO bridge_engine;

CREATE TABLE shard.event_consumers (
    name text PRIMARY KEY COLLATE "C",
    position bigint NOT NULL,
    tries smallint NOT NULL DEFAULT 0,
    retry_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE ON shard.event_consumers TO bridge_engine;

CREATE TABLE shard.parked_events (
    consumer text NOT NULL COLLATE "C",
    event_id uuid NOT NULL,
    organization_id bigint NOT NULL,
    position bigint NOT NULL,
    type text NOT NULL,
    subject text NOT NULL,
    payload bytea NOT NULL,
    error text NOT NULL,
    created_at timestamptz NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id)
);
CREATE INDEX parked_events_age ON shard.parked_events (parked_at);
CREATE INDEX parked_events_organization ON shard.parked_events (organization_id);
ALTER TABLE shard.parked_events ENABLE ROW LEVEL SECURITY;
CREATE POLICY engine ON shard.parked_events TO bridge_engine USING (true);
GRANT SELECT, INSERT, DELETE ON shard.parked_events TO bridge_engine;

CREATE TABLE shard.event_counts (
    organization_id bigint NOT NULL,
    day date NOT NULL,
    type text NOT NULL COLLATE "C",
    events bigint NOT NULL,
    PRIMARY KEY (organization_id, day, type)
);
ALTER TABLE shard.event_counts ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON shard.event_counts TO bridge_app
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint);
GRANT SELECT ON shard.event_counts TO bridge_app;
CREATE POLICY engine ON shard.event_counts TO bridge_engine USING (true);
GRANT SELECT, INSERT, UPDATE ON shard.event_counts TO bridge_engine;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
