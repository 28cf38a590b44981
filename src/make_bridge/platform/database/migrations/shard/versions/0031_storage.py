"""How long runs are kept, how much of them, and what they take: by organization and day.

Executions are partitioned by day for all organizations together, so a partition is dropped when nobody on the shard
keeps that day any more, and rows of who keeps less go in batches. Both are functions of the owner: serving roles may
delete nothing that is append-only, and what these functions spare (whatever waits, runs, is incomplete or was given up)
stands in them and nowhere else.

``storage_days`` is what was measured, once for each run and a while after it was accepted; ``storage_cursors`` says how
far that has come. Nothing is written for it while a run is accepted or settled.
"""

from alembic import op

revision = "0031"
down_revision = "0030"

_TABLES = """
CREATE TABLE shard.storage_limits (
    organization_id bigint PRIMARY KEY,
    days integer CHECK (days BETWEEN 1 AND 3650),
    bytes bigint CHECK (bytes >= 1048576),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE shard.storage_days (
    organization_id bigint NOT NULL,
    day date NOT NULL,
    runs bigint NOT NULL,
    bytes bigint NOT NULL,
    body_bytes bigint NOT NULL,
    looked_at timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (organization_id, day)
);
CREATE INDEX storage_days_day ON shard.storage_days (day);
CREATE TABLE shard.storage_cursors (
    retention smallint PRIMARY KEY,
    upto uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
);
INSERT INTO shard.storage_cursors (retention) VALUES (0), (1), (2);
GRANT SELECT ON shard.storage_cursors TO bridge_engine;
"""

_RIGHTS = {
    "storage_limits": ("SELECT, INSERT, UPDATE, DELETE", "SELECT"),
    "storage_days": ("SELECT", "SELECT"),
}

# The time of an execution's id, and the smallest id of a class at the beginning of a day (both in UTC).
_IDS = """
CREATE FUNCTION shard.day_of_run(id uuid) RETURNS date LANGUAGE sql IMMUTABLE AS
$$ SELECT (to_timestamp(('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)
           AT TIME ZONE 'UTC')::date $$;
CREATE FUNCTION shard.first_run_of(day date, class integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT (lpad(to_hex((extract(epoch FROM day) * 1000)::bigint), 12, '0') || class || repeat('0', 19))::uuid $$;
"""

# Of each value its size as it is stored, without reading what stands apart (TOAST); of each row what PostgreSQL adds
# for it and for its place in the indexes, by experience. Statistics are those of a moment ago: planning is held to
# indexes, and each table to the partitions between two ids.
_MEASURE = """
CREATE FUNCTION shard.measure_runs(class smallint, before uuid, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS
$function$
DECLARE
    after uuid;
    ids uuid[];
    seen integer;
    reached uuid;
BEGIN
    SELECT c.upto INTO after FROM shard.storage_cursors c WHERE c.retention = class FOR UPDATE;
    ids := ARRAY(SELECT e.id FROM shard.executions e
                 WHERE e.retention = class AND e.id > after AND e.id < before ORDER BY e.id LIMIT most);
    seen := cardinality(ids);
    reached := CASE WHEN seen < most THEN greatest(after, before) ELSE ids[seen] END;
    INSERT INTO shard.storage_days AS d (organization_id, day, runs, bytes, body_bytes)
    SELECT s.organization_id, s.day, count(*), sum(s.kept + s.body), sum(s.body)
    FROM (
        SELECT e.organization_id, shard.day_of_run(e.id) AS day,
               180 + coalesce((SELECT 160 + pg_column_size(o.detail) FROM shard.outcomes o
                               WHERE o.retention = class AND o.id = e.id AND o.id > after AND o.id <= reached), 0)
                   AS kept,
               coalesce((SELECT 90 + pg_column_size(p.head) + pg_column_size(p.body) FROM shard.payloads p
                         WHERE p.retention = class AND p.id = e.id AND p.id > after AND p.id <= reached), 0)
               + coalesce((SELECT 90 + pg_column_size(l.steps) FROM shard.execution_logs l
                           WHERE l.retention = class AND l.id = e.id AND l.id > after AND l.id <= reached), 0)
               + coalesce((SELECT sum(130 + coalesce(pg_column_size(j.result), 0)) FROM shard.journal j
                           WHERE j.retention = class AND j.id = e.id AND j.id > after AND j.id <= reached), 0) AS body
        FROM shard.executions e
        WHERE e.retention = class AND e.id > after AND e.id <= reached AND e.id = ANY(ids)
    ) s GROUP BY s.organization_id, s.day ORDER BY s.organization_id, s.day
    ON CONFLICT (organization_id, day) DO UPDATE SET runs = d.runs + excluded.runs, bytes = d.bytes + excluded.bytes,
        body_bytes = d.body_bytes + excluded.body_bytes, looked_at = '-infinity';
    UPDATE shard.storage_cursors c SET upto = reached WHERE c.retention = class;
    RETURN seen;
END
$function$;
"""

# What is spared: what waits or is under way, what a person or a timer may still try again, what was given up.
# Runs are looked for in the day's partition itself and by their scenarios alone: with conditions on ids the planner may
# prefer the other index, and read all runs of the day for each scenario that had none.
_FORGET = """
CREATE FUNCTION shard.forget_runs(organization bigint, of_day date, most integer, bodies_only boolean)
RETURNS TABLE (runs integer, bytes bigint, is_through boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS
$function$
DECLARE
    own bigint[];
    incomplete uuid[];
    first uuid;
    until uuid;
    child text;
    ids uuid[];
    part bigint;
    body bigint;
    freed bigint := 0;
    freed_body bigint := 0;
    gone integer := 0;
    removed integer;
    through boolean := true;
BEGIN
    own := ARRAY(SELECT s.id FROM shard.scenarios s WHERE s.organization_id = organization
                 UNION SELECT p.scenario_id FROM shard.past_scenarios p WHERE p.organization_id = organization);
    incomplete := ARRAY(
        SELECT i.execution_id FROM shard.incomplete_executions i
        WHERE i.organization_id = organization AND NOT i.resolved
        UNION ALL
        SELECT a.execution_id
        FROM shard.incomplete_executions i JOIN shard.incomplete_attempts a ON a.incomplete_id = i.id
        WHERE i.organization_id = organization AND NOT i.resolved);
    FOR class IN 0..2 LOOP
        first := shard.first_run_of(of_day, class);
        SELECT least(shard.first_run_of(of_day + 1, class), c.upto) INTO until
        FROM shard.storage_cursors c WHERE c.retention = class;
        child := format('%s_%s', class, to_char(of_day, 'YYYYMMDD'));
        CONTINUE WHEN to_regclass(format('shard.executions_%s', child)) IS NULL;
        EXECUTE format($sql$
            SELECT ARRAY(
                SELECT e.id FROM shard.%I e
                WHERE e.scenario_id = ANY($1) AND e.organization_id = $2 AND e.id <> ALL($3) AND uuid_cmp(e.id, $4) <= 0
                  AND NOT EXISTS (SELECT FROM shard.queue q WHERE q.id = e.id)
                  AND NOT EXISTS (SELECT FROM shard.dead_letters d WHERE d.id = e.id AND d.replayed_at IS NULL)
                  AND (NOT $5 OR EXISTS (SELECT FROM shard.%I p WHERE p.retention = e.retention AND p.id = e.id))
                LIMIT $6)
        $sql$, 'executions_' || child, 'payloads_' || child)
        INTO ids USING own, organization, incomplete, until, bodies_only, most;
        CONTINUE WHEN cardinality(ids) = 0;
        through := through AND cardinality(ids) < most;
        body := 0;
        WITH d AS (DELETE FROM shard.payloads p
            WHERE p.retention = class AND p.id >= first AND p.id <= until AND p.id = ANY(ids)
            RETURNING 90 + pg_column_size(p.head) + pg_column_size(p.body) AS size)
        SELECT coalesce(sum(d.size), 0), count(*) INTO part, removed FROM d;
        body := body + part;
        WITH d AS (DELETE FROM shard.execution_logs l
            WHERE l.retention = class AND l.id >= first AND l.id <= until AND l.id = ANY(ids)
            RETURNING 90 + pg_column_size(l.steps) AS size)
        SELECT coalesce(sum(d.size), 0) INTO part FROM d;
        body := body + part;
        WITH d AS (DELETE FROM shard.journal j
            WHERE j.retention = class AND j.id >= first AND j.id <= until AND j.id = ANY(ids)
            RETURNING 130 + coalesce(pg_column_size(j.result), 0) AS size)
        SELECT coalesce(sum(d.size), 0) INTO part FROM d;
        body := body + part;
        freed := freed + body;
        freed_body := freed_body + body;
        IF NOT bodies_only THEN
            WITH d AS (DELETE FROM shard.outcomes o
                WHERE o.retention = class AND o.id >= first AND o.id <= until AND o.id = ANY(ids)
                RETURNING 160 + pg_column_size(o.detail) AS size)
            SELECT coalesce(sum(d.size), 0) INTO part FROM d;
            freed := freed + part;
            DELETE FROM shard.executions e
            WHERE e.retention = class AND e.id >= first AND e.id <= until AND e.id = ANY(ids);
            GET DIAGNOSTICS removed = ROW_COUNT;
            freed := freed + removed * 180;
        END IF;
        gone := gone + removed;
    END LOOP;
    UPDATE shard.storage_days d
    SET runs = d.runs - CASE WHEN bodies_only THEN 0 ELSE least(gone, d.runs) END,
        bytes = greatest(d.bytes - freed, 0), body_bytes = greatest(d.body_bytes - freed_body, 0),
        looked_at = CASE WHEN NOT through AND gone > 0 OR bodies_only AND d.body_bytes <= freed_body THEN d.looked_at
                         ELSE now() END
    WHERE d.organization_id = organization AND d.day = of_day;
    IF through AND NOT bodies_only THEN
        DELETE FROM shard.storage_days d WHERE d.organization_id = organization AND d.day = of_day AND d.runs = 0;
    END IF;
    RETURN QUERY SELECT gone, freed, through OR gone = 0;
END
$function$;
"""

# While an organization moves, its rows are compared on both sides: none of them goes meanwhile. Whoever reads the
# tables is not kept waiting: without the lock within half a second, the next round tries again.
_DROP = """
CREATE FUNCTION shard.drop_runs(default_days integer, most integer)
RETURNS TABLE (partitions integer, bytes bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' AS
$function$
DECLARE
    before date;
    spared uuid[];
    past record;
    part text;
    size bigint;
    emptied integer := 0;
    dropped integer := 0;
    freed bigint := 0;
BEGIN
    IF default_days < 1 OR EXISTS (SELECT FROM shard.movements m WHERE m.state <> 'left') THEN
        RETURN QUERY SELECT 0, 0::bigint;
        RETURN;
    END IF;
    SELECT (now() AT TIME ZONE 'UTC')::date - greatest(default_days, max(l.days)) INTO before
    FROM shard.storage_limits l;
    PERFORM pg_advisory_xact_lock(hashtext('make_bridge.partitions'));
    spared := ARRAY(
        SELECT q.id FROM shard.queue q WHERE q.id < shard.first_run_of(before, 0)
        UNION ALL
        SELECT i.execution_id FROM shard.incomplete_executions i
        WHERE NOT i.resolved AND i.execution_id < shard.first_run_of(before, 0)
        UNION ALL
        SELECT a.execution_id
        FROM shard.incomplete_executions i JOIN shard.incomplete_attempts a ON a.incomplete_id = i.id
        WHERE NOT i.resolved AND a.execution_id < shard.first_run_of(before, 0)
        UNION ALL
        SELECT d.id FROM shard.dead_letters d WHERE d.replayed_at IS NULL AND d.id < shard.first_run_of(before, 0));
    FOR past IN
        SELECT n.class, n.day FROM (
            -- Whatever order the planner chooses: only names of partitions are read as dates.
            SELECT CASE WHEN c.relname ~ '^executions_[0-2]_[0-9]{8}$' THEN split_part(c.relname, '_', 2)::integer END
                       AS class,
                   CASE WHEN c.relname ~ '^executions_[0-2]_[0-9]{8}$'
                       THEN to_date(split_part(c.relname, '_', 3), 'YYYYMMDD') END AS day
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'shard.executions'::regclass) n
        WHERE n.day < before ORDER BY n.day, n.class
    LOOP
        EXIT WHEN emptied >= most;
        CONTINUE WHEN EXISTS (
            SELECT FROM unnest(spared) AS k(id)
            WHERE k.id >= shard.first_run_of(past.day, past.class)
              AND k.id < shard.first_run_of(past.day + 1, past.class)
              AND substr(k.id::text, 15, 1) = past.class::text);
        emptied := emptied + 1;
        FOREACH part IN ARRAY ARRAY['executions', 'payloads', 'outcomes', 'execution_logs', 'journal'] LOOP
            part := format('shard.%I', format('%s_%s_%s', part, past.class, to_char(past.day, 'YYYYMMDD')));
            size := pg_total_relation_size(to_regclass(part));
            CONTINUE WHEN size IS NULL;
            EXECUTE 'DROP TABLE ' || part;
            dropped := dropped + 1;
            freed := freed + size;
        END LOOP;
        DELETE FROM shard.storage_days d WHERE d.day = past.day AND NOT EXISTS (
            SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'shard.executions'::regclass
              AND split_part(c.relname, '_', 3) = to_char(past.day, 'YYYYMMDD'));
    END LOOP;
    RETURN QUERY SELECT dropped, freed;
END
$function$;
"""
_FUNCTIONS = ("measure_runs", "forget_runs", "drop_runs", "day_of_run", "first_run_of")


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
    for table, (of_tenants, of_engine) in _RIGHTS.items():
        op.execute(f"ALTER TABLE shard.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON shard.{table} TO bridge_app"
            " USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint)"
        )
        op.execute(f"GRANT {of_tenants} ON shard.{table} TO bridge_app")
        op.execute(f"CREATE POLICY engine ON shard.{table} TO bridge_engine USING (true)")
        op.execute(f"GRANT {of_engine} ON shard.{table} TO bridge_engine")
    for functions in (_IDS, _MEASURE, _FORGET, _DROP):
        op.execute(functions)
    for function in _FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION shard.{function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION shard.{function} TO bridge_engine")
