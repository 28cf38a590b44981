"""Incomplete executions in full: retries, resolution, snapshots; consecutive errors.

Consecutive errors are counted in a small table that has rows only for scenarios in trouble: a success takes its
scenario's row out in the statement that settles it, and finds nothing to write almost always. What a failure
does to its scenario (counting, waiting, pausing, switching off, with the audit record) is one function that
belongs to the owner; ``bridge_engine`` itself may change none of it.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_TABLES = """
ALTER TABLE shard.incomplete_executions
    ADD COLUMN error_type text NOT NULL DEFAULT 'UnexpectedError',
    ADD COLUMN module_id integer NOT NULL DEFAULT 0,
    ADD COLUMN blueprint_version integer NOT NULL DEFAULT 1,
    ADD COLUMN blueprint bytea,
    ADD COLUMN size integer NOT NULL DEFAULT 0,
    ADD COLUMN is_sealed boolean NOT NULL DEFAULT false,
    ADD COLUMN sequential boolean NOT NULL DEFAULT false,
    ADD COLUMN retry_mode text NOT NULL DEFAULT 'none' CHECK (retry_mode IN ('none', 'backoff', 'fixed')),
    ADD COLUMN most_attempts smallint NOT NULL DEFAULT 0,
    ADD COLUMN interval_minutes integer NOT NULL DEFAULT 0,
    ADD COLUMN next_attempt_at timestamptz,
    ADD COLUMN retry_execution_id uuid,
    ADD COLUMN resolved_at timestamptz;
CREATE INDEX incomplete_unresolved ON shard.incomplete_executions (scenario_id, organization_id, size)
    WHERE NOT resolved;
CREATE INDEX incomplete_room ON shard.incomplete_executions (organization_id, size) WHERE NOT resolved;
CREATE INDEX incomplete_resolved ON shard.incomplete_executions (resolved_at) WHERE resolved;

CREATE TABLE shard.incomplete_attempts (
    incomplete_id uuid NOT NULL REFERENCES shard.incomplete_executions ON DELETE CASCADE,
    execution_id uuid NOT NULL,
    organization_id bigint NOT NULL,
    PRIMARY KEY (incomplete_id, execution_id)
);
ALTER TABLE shard.incomplete_attempts ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON shard.incomplete_attempts TO bridge_app
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint);
GRANT SELECT ON shard.incomplete_attempts TO bridge_app;
CREATE POLICY engine ON shard.incomplete_attempts TO bridge_engine USING (true);
GRANT SELECT, INSERT ON shard.incomplete_attempts TO bridge_engine;

ALTER TABLE shard.scenarios DROP COLUMN consecutive_errors;
CREATE TABLE shard.scenario_troubles (
    scenario_id bigint PRIMARY KEY REFERENCES shard.scenarios ON DELETE CASCADE,
    organization_id bigint NOT NULL,
    consecutive_errors integer NOT NULL,
    backoffs integer NOT NULL
);
ALTER TABLE shard.scenario_troubles ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON shard.scenario_troubles TO bridge_app
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint);
GRANT SELECT, DELETE ON shard.scenario_troubles TO bridge_app;
CREATE POLICY engine ON shard.scenario_troubles TO bridge_engine USING (true);
GRANT SELECT, DELETE, UPDATE (backoffs) ON shard.scenario_troubles TO bridge_engine;
"""

_FUNCTIONS = """
CREATE FUNCTION shard.note_troubles(
    organizations bigint[], scenarios bigint[], executions uuid[], errors integer[], limits integer[],
    waits boolean[], pauses boolean[], causes text[], error_types text[], backoff_minutes integer[]
) RETURNS TABLE (organization_id bigint, scenario_id bigint, done text, cause text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$
#variable_conflict use_column
DECLARE
    item record;
    known record;
    counted integer;
    waited integer;
BEGIN
    FOR item IN
        SELECT t.* FROM unnest(organizations, scenarios, executions, errors, limits, waits, pauses, causes, error_types)
            AS t(organization, scenario, execution, errors, most, waits, pauses, cause, error_type)
        ORDER BY t.scenario
    LOOP
        SELECT s.is_paused INTO known FROM shard.scenarios s
        WHERE s.id = item.scenario AND s.organization_id = item.organization AND s.state = 'active'
        FOR NO KEY UPDATE;
        CONTINUE WHEN NOT FOUND;
        INSERT INTO shard.scenario_troubles AS t (scenario_id, organization_id, consecutive_errors, backoffs)
        VALUES (item.scenario, item.organization, item.errors, item.waits::integer)
        ON CONFLICT ON CONSTRAINT scenario_troubles_pkey DO UPDATE SET
            consecutive_errors = t.consecutive_errors + excluded.consecutive_errors,
            backoffs = t.backoffs + excluded.backoffs
        RETURNING t.consecutive_errors, t.backoffs INTO counted, waited;
        done := NULL;
        cause := item.cause;
        IF item.most = 0 OR (item.errors > 0 AND counted >= item.most) THEN
            done := 'deactivated';
        ELSIF waited > cardinality(backoff_minutes) THEN
            done := 'deactivated';
            cause := 'backoff_exhausted';
        ELSIF item.pauses AND NOT known.is_paused THEN
            done := 'paused';
            cause := 'incomplete_executions_full';
        END IF;
        UPDATE shard.scenarios s SET
            state = CASE WHEN done = 'deactivated' THEN 'inactive' ELSE s.state END,
            is_paused = s.is_paused OR item.pauses,
            next_run_at = CASE WHEN done = 'deactivated' THEN NULL
                               WHEN item.waits AND s.schedule_anchor IS NOT NULL
                                   THEN now() + make_interval(mins => backoff_minutes[waited])
                               ELSE s.next_run_at END,
            updated_at = CASE WHEN done IS NULL THEN s.updated_at ELSE now() END,
            revision = s.revision + CASE WHEN done IS NULL THEN 0 ELSE 1 END
        WHERE s.id = item.scenario AND (done IS NOT NULL OR item.waits OR item.pauses);
        IF done IS NOT NULL THEN
            INSERT INTO shard.audit (organization_id, actor_kind, actor, action, object, detail, request_id)
            VALUES (item.organization, 'system', 'executions',
                    CASE done WHEN 'paused' THEN 'scenario.pause' ELSE 'scenario.deactivate' END,
                    'scenario/' || item.scenario,
                    convert_to(json_build_object('cause', cause, 'error', item.error_type,
                                                 'consecutiveErrors', counted)::text, 'UTF8'),
                    'execution ' || replace(item.execution::text, '-', ''));
            organization_id := item.organization;
            scenario_id := item.scenario;
            RETURN NEXT;
        END IF;
    END LOOP;
END
$function$;
REVOKE ALL ON FUNCTION shard.note_troubles FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.note_troubles TO bridge_engine;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
    op.execute(_FUNCTIONS)
