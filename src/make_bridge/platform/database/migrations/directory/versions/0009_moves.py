"""Moves of organizations from shard to shard: one row for each, at most one of an organization under way.

``fence`` counts who has run the move: a runner that was taken over finds another number and changes nothing. While a
row is unfinished no process remembers where its organization lives (``platform/database/shards.py``).
"""

from alembic import op

revision = "0009"
down_revision = "0008"

_TABLES = """
CREATE TABLE directory.moves (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization_id bigint NOT NULL REFERENCES directory.organizations,
    source smallint NOT NULL REFERENCES directory.shards,
    target smallint NOT NULL REFERENCES directory.shards,
    state text NOT NULL DEFAULT 'copying'
        CHECK (state IN ('copying', 'verifying', 'closing', 'flipped', 'deleting', 'finished', 'abandoned')),
    epoch bigint NOT NULL,
    copied text[] NOT NULL DEFAULT '{}',
    told bigint,
    owner text NOT NULL DEFAULT '',
    fence bigint NOT NULL DEFAULT 0,
    leased_until timestamptz NOT NULL DEFAULT now(),
    pause_ms integer,
    started_at timestamptz NOT NULL DEFAULT now(),
    flipped_at timestamptz,
    finished_at timestamptz,
    CHECK (source <> target)
);
CREATE UNIQUE INDEX moves_open ON directory.moves (organization_id) WHERE finished_at IS NULL;
CREATE INDEX moves_organization ON directory.moves (organization_id, id);
GRANT SELECT, INSERT, UPDATE ON directory.moves TO bridge_directory;
"""


def upgrade() -> None:
    """Add the table."""
    op.execute(_TABLES)
