"""The audit trail is chained: each row gets its place and the hash of all before it, within a second of its commit.

Serving roles insert rows without either, and may give both to a row that has none (a column right and a row policy);
nothing they are granted changes a sealed row or deletes any. What is too old goes by ``drop_audit``, behind a
checkpoint that stays. The last release goes on inserting rows without the new columns.
"""

from alembic import op

revision = "0017"
down_revision = "0016"

_COLUMNS = "organization_id, actor_kind, actor, action, object, detail, before, after, request_id, address"
_TABLES = """
ALTER TABLE shard.audit
    ADD COLUMN before bytea,
    ADD COLUMN after bytea,
    ADD COLUMN address text NOT NULL DEFAULT '',
    ADD COLUMN sequence bigint,
    ADD CONSTRAINT audit_sealed CHECK ((sequence IS NULL) = (seal IS NULL));
CREATE INDEX audit_unsealed ON shard.audit (organization_id, id) WHERE seal IS NULL;
CREATE UNIQUE INDEX audit_chain ON shard.audit (organization_id, sequence) WHERE sequence IS NOT NULL;
DROP INDEX shard.audit_organization;
CREATE INDEX audit_organization ON shard.audit (organization_id, created_at, id);

CREATE TABLE shard.audit_heads (
    organization_id bigint PRIMARY KEY,
    sequence bigint NOT NULL DEFAULT 0,
    hash bytea NOT NULL,
    signature bytea NOT NULL,
    anchored bigint NOT NULL DEFAULT 0,
    anchored_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE shard.audit_checkpoints (
    organization_id bigint NOT NULL,
    kind text NOT NULL COLLATE "C" CHECK (kind IN ('anchor', 'dropped')),
    sequence bigint NOT NULL,
    hash bytea NOT NULL,
    signature bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, kind, sequence)
);
"""
_RIGHTS = """
REVOKE INSERT ON shard.audit FROM bridge_app;
GRANT INSERT (<columns>) ON shard.audit TO bridge_app;
GRANT SELECT, INSERT (<columns>), UPDATE (sequence, seal) ON shard.audit TO bridge_engine;
CREATE POLICY engine_reads ON shard.audit FOR SELECT TO bridge_engine USING (true);
CREATE POLICY engine_writes ON shard.audit FOR INSERT TO bridge_engine WITH CHECK (seal IS NULL);
CREATE POLICY engine_seals ON shard.audit FOR UPDATE TO bridge_engine
    USING (seal IS NULL) WITH CHECK (seal IS NOT NULL);
ALTER TABLE shard.audit_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE shard.audit_checkpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON shard.audit_heads TO bridge_app
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint);
CREATE POLICY tenant ON shard.audit_checkpoints TO bridge_app
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint);
CREATE POLICY engine ON shard.audit_heads TO bridge_engine USING (true);
CREATE POLICY engine ON shard.audit_checkpoints TO bridge_engine USING (true);
GRANT SELECT ON shard.audit_heads, shard.audit_checkpoints TO bridge_app;
GRANT SELECT, INSERT, UPDATE ON shard.audit_heads TO bridge_engine;
GRANT SELECT, INSERT ON shard.audit_checkpoints TO bridge_engine;
"""
_DROP = """
CREATE FUNCTION shard.drop_audit(organization bigint, upto bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$
DECLARE
    gone integer;
BEGIN
    IF NOT EXISTS (SELECT FROM shard.audit_checkpoints c
                   WHERE c.organization_id = organization AND c.kind = 'dropped' AND c.sequence = upto) THEN
        RAISE EXCEPTION 'Audit rows are dropped behind a checkpoint only.' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (SELECT FROM shard.audit a WHERE a.organization_id = organization AND a.sequence <= upto
               AND a.created_at > now() - interval '30 days') THEN
        RAISE EXCEPTION 'Audit rows are kept for 30 days at least.' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM shard.audit a WHERE a.organization_id = organization AND a.sequence <= upto;
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM shard.audit_checkpoints c WHERE c.organization_id = organization AND c.sequence < upto;
    RETURN gone;
END
$function$;
REVOKE ALL ON FUNCTION shard.drop_audit(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.drop_audit(bigint, bigint) TO bridge_engine;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
    op.execute(_RIGHTS.replace("<columns>", _COLUMNS))
    op.execute(_DROP)
