"""The shard map: states and addresses of shards, a version that rises with each change, and which server sees which.

A shard that was added while servers run has its serving address here, sealed by the root key; those of the settings
have none. A number that was removed stays, so that it is never given again. A placement's pin is where an organization
is to live whatever the ring proposes.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

_SHARDS = """
ALTER TABLE directory.shards
    ADD COLUMN state text NOT NULL DEFAULT 'active' CHECK (state IN ('joining', 'active', 'draining', 'removed')),
    ADD COLUMN address text CHECK (length(address) <= 8000),
    ADD CONSTRAINT shards_weight CHECK (weight BETWEEN 0 AND 1000);
ALTER TABLE directory.placements ADD COLUMN pin smallint REFERENCES directory.shards;
CREATE INDEX placements_shard ON directory.placements (shard, organization_id);
"""
_VERSION = """
CREATE TABLE directory.shard_map (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    version bigint NOT NULL
);
INSERT INTO directory.shard_map (version) VALUES (1);
GRANT SELECT, UPDATE ON directory.shard_map TO bridge_directory;

CREATE FUNCTION directory.note_shard_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE directory.shard_map SET version = version + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER shards_change AFTER INSERT OR UPDATE OR DELETE ON directory.shards
    FOR EACH ROW EXECUTE FUNCTION directory.note_shard_change();
"""
# Written again every second and worth nothing after ten, so it is not logged.
_VIEWS = """
CREATE UNLOGGED TABLE directory.shard_views (
    server text PRIMARY KEY CHECK (length(server) <= 100),
    version bigint NOT NULL,
    opened smallint[] NOT NULL CHECK (cardinality(opened) <= 1024),
    seen_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON directory.shard_views TO bridge_directory;
"""


def upgrade() -> None:
    """Add columns and tables; a server of the version before goes on with what its settings name."""
    op.execute(_SHARDS)
    op.execute(_VERSION)
    op.execute(_VIEWS)
