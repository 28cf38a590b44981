"""The back-off of a whole scenario waits for what the other side asked, and is spread by chance.

How long each step is, is said by the caller, for each scenario: ``seconds`` holds ``steps`` waits for the first, then
those for the second, and so on. What the last release calls goes on working, with waits of exactly its minutes, until
no process of it is left.
"""

from alembic import op

revision = "0016"
down_revision = "0015"

_FUNCTION = """
CREATE FUNCTION shard.note_troubles(
    organizations bigint[], scenarios bigint[], executions uuid[], errors integer[], limits integer[],
    waits boolean[], pauses boolean[], causes text[], error_types text[], seconds double precision[], steps integer
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
        SELECT t.*
        FROM unnest(organizations, scenarios, executions, errors, limits, waits, pauses, causes, error_types)
            WITH ORDINALITY
            AS t(organization, scenario, execution, errors, most, waits, pauses, cause, error_type, number)
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
        ELSIF waited > steps THEN
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
                                   THEN now() + make_interval(secs => seconds[(item.number - 1) * steps + waited])
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
REVOKE ALL ON FUNCTION shard.note_troubles(
    bigint[], bigint[], uuid[], integer[], integer[], boolean[], boolean[], text[], text[], double precision[], integer
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.note_troubles(
    bigint[], bigint[], uuid[], integer[], integer[], boolean[], boolean[], text[], text[], double precision[], integer
) TO bridge_engine;
"""
_OF_THE_LAST_RELEASE = """
CREATE OR REPLACE FUNCTION shard.note_troubles(
    organizations bigint[], scenarios bigint[], executions uuid[], errors integer[], limits integer[],
    waits boolean[], pauses boolean[], causes text[], error_types text[], backoff_minutes integer[]
) RETURNS TABLE (organization_id bigint, scenario_id bigint, done text, cause text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$
SELECT * FROM shard.note_troubles(
    organizations, scenarios, executions, errors, limits, waits, pauses, causes, error_types,
    (SELECT array_agg(m.minutes * 60::double precision ORDER BY s.number, m.step)
     FROM generate_series(1, cardinality(scenarios)) AS s(number),
          unnest(backoff_minutes) WITH ORDINALITY AS m(minutes, step)),
    cardinality(backoff_minutes))
$function$;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_FUNCTION)
    op.execute(_OF_THE_LAST_RELEASE)
