"""The directory's audit trail is chained like a shard's (there: ``0017_audit_chain``)."""

from alembic import op

revision = "0003"
down_revision = "0002"

_COLUMNS = "organization_id, actor_kind, actor, action, object, detail, before, after, request_id, address"
_TABLES = """
ALTER TABLE directory.audit
    ADD COLUMN before bytea,
    ADD COLUMN after bytea,
    ADD COLUMN address text NOT NULL DEFAULT '',
    ADD COLUMN sequence bigint,
    ADD CONSTRAINT audit_sealed CHECK ((sequence IS NULL) = (seal IS NULL));
CREATE INDEX audit_unsealed ON directory.audit (organization_id, id) WHERE seal IS NULL;
CREATE UNIQUE INDEX audit_chain ON directory.audit (organization_id, sequence) WHERE sequence IS NOT NULL;
DROP INDEX directory.audit_organization;
CREATE INDEX audit_organization ON directory.audit (organization_id, created_at, id);

CREATE TABLE directory.audit_heads (
    organization_id bigint PRIMARY KEY,
    sequence bigint NOT NULL DEFAULT 0,
    hash bytea NOT NULL,
    signature bytea NOT NULL,
    anchored bigint NOT NULL DEFAULT 0,
    anchored_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE directory.audit_checkpoints (
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
REVOKE INSERT ON directory.audit FROM bridge_directory;
GRANT INSERT (<columns>), UPDATE (sequence, seal) ON directory.audit TO bridge_directory;
ALTER TABLE directory.audit ENABLE ROW LEVEL SECURITY;
CREATE POLICY reads ON directory.audit FOR SELECT TO bridge_directory USING (true);
CREATE POLICY writes ON directory.audit FOR INSERT TO bridge_directory WITH CHECK (seal IS NULL);
CREATE POLICY seals ON directory.audit FOR UPDATE TO bridge_directory
    USING (seal IS NULL) WITH CHECK (seal IS NOT NULL);
GRANT SELECT, INSERT, UPDATE ON directory.audit_heads TO bridge_directory;
GRANT SELECT, INSERT ON directory.audit_checkpoints TO bridge_directory;
"""
_DROP = """
CREATE FUNCTION directory.drop_audit(organization bigint, upto bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$
DECLARE
    gone integer;
BEGIN
    IF NOT EXISTS (SELECT FROM directory.audit_checkpoints c
                   WHERE c.organization_id = organization AND c.kind = 'dropped' AND c.sequence = upto) THEN
        RAISE EXCEPTION 'Audit rows are dropped behind a checkpoint only.' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (SELECT FROM directory.audit a WHERE a.organization_id = organization AND a.sequence <= upto
               AND a.created_at > now() - interval '30 days') THEN
        RAISE EXCEPTION 'Audit rows are kept for 30 days at least.' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM directory.audit a WHERE a.organization_id = organization AND a.sequence <= upto;
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM directory.audit_checkpoints c WHERE c.organization_id = organization AND c.sequence < upto;
    RETURN gone;
END
$function$;
REVOKE ALL ON FUNCTION directory.drop_audit(bigint, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory.drop_audit(bigint, bigint) TO bridge_directory;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
    op.execute(_RIGHTS.replace("<columns>", _COLUMNS))
    op.execute(_DROP)
