"""Parked events can be reached: each has an id of its own, and may be asked to be tried again.

The request is a column of the row, because only the consumer itself can try: it belongs to a process that serves, and
acts as ``bridge_engine``. An organization sees its own parked events and may ask for nothing but that.
"""

from alembic import op

revision = "0015"
down_revision = "0014"

_TABLES = """
ALTER TABLE shard.parked_events
    ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN trace text,
    ADD COLUMN replay_at timestamptz,
    ADD COLUMN replays integer NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX parked_events_id ON shard.parked_events (id);
DROP INDEX shard.parked_events_organization;
CREATE INDEX parked_events_organization ON shard.parked_events (organization_id, parked_at, id);
CREATE INDEX parked_events_asked ON shard.parked_events (consumer, replay_at) WHERE replay_at IS NOT NULL;
CREATE POLICY tenant ON shard.parked_events TO bridge_app
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint);
GRANT SELECT, UPDATE (replay_at) ON shard.parked_events TO bridge_app;
GRANT UPDATE (error, replay_at, replays) ON shard.parked_events TO bridge_engine;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
