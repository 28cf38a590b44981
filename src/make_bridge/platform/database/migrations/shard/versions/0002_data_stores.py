"""Data stores, their records, and the data structures that describe them.

A store's row carries how full it is; whoever changes records locks it first, so that counts and limits hold. A record's
version comes from a sequence and never comes twice, also not for a key that was deleted and made again. A commit's
number stands beside the execution that made it, so that a second attempt finds what the first one did.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_TABLES = """
CREATE SEQUENCE shard.record_versions;

CREATE TABLE shard.data_structures (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    team_id bigint NOT NULL REFERENCES shard.teams,
    name text NOT NULL,
    spec bytea NOT NULL,
    strict boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX data_structures_team ON shard.data_structures (team_id, id);
CREATE INDEX data_structures_organization ON shard.data_structures (organization_id, id);

CREATE TABLE shard.data_stores (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    team_id bigint NOT NULL REFERENCES shard.teams,
    name text NOT NULL,
    structure_id bigint REFERENCES shard.data_structures,
    max_bytes bigint NOT NULL,
    records bigint NOT NULL DEFAULT 0 CHECK (records >= 0),
    bytes bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE INDEX data_stores_team ON shard.data_stores (team_id, id);
CREATE INDEX data_stores_organization ON shard.data_stores (organization_id, id);
CREATE INDEX data_stores_structure ON shard.data_stores (structure_id) WHERE structure_id IS NOT NULL;

CREATE TABLE shard.data_store_records (
    organization_id bigint NOT NULL,
    store_id bigint NOT NULL REFERENCES shard.data_stores ON DELETE CASCADE,
    key text NOT NULL COLLATE "C",
    version bigint NOT NULL DEFAULT nextval('shard.record_versions'),
    data bytea NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (store_id, key)
);
CREATE INDEX data_store_records_organization ON shard.data_store_records (organization_id);

CREATE TABLE shard.data_store_commits (
    organization_id bigint NOT NULL,
    execution_id uuid NOT NULL,
    number integer NOT NULL,
    results bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (execution_id, number)
);
CREATE INDEX data_store_commits_organization ON shard.data_store_commits (organization_id);
CREATE INDEX data_store_commits_age ON shard.data_store_commits (created_at);
"""

_TENANT_TABLES = ("data_structures", "data_stores", "data_store_records", "data_store_commits")

# Far longer than any execution waits for its next attempt.
_UPKEEP = """
CREATE FUNCTION shard.forget_store_commits() RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
WITH gone AS (
    DELETE FROM shard.data_store_commits WHERE (execution_id, number) IN (
        SELECT execution_id, number FROM shard.data_store_commits
        WHERE created_at < now() - interval '30 days' ORDER BY created_at LIMIT 10000)
    RETURNING 1
)
SELECT count(*)::integer FROM gone
$$;
REVOKE ALL ON FUNCTION shard.forget_store_commits() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.forget_store_commits() TO bridge_engine;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
    for table in _TENANT_TABLES:
        op.execute(f"ALTER TABLE shard.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON shard.{table} TO bridge_app"
            " USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint)"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON shard.{table} TO bridge_app")
    op.execute("GRANT USAGE ON SEQUENCE shard.record_versions TO bridge_app")
    op.execute(_UPKEEP)
