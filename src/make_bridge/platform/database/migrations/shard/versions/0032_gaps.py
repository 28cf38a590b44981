"""Webhooks that fall silent and schedules that are late: what is known of each source, and when nobody could call.

``hook_rhythms`` has a row for each webhook that was ever called, written when a look found new calls and never by a
call itself. ``hook_expectations`` is what people have said instead: seconds, or nothing for webhooks that are never
missed. ``late_schedules`` holds what was told to be late, until it is made up for. ``gap_looks`` is one row, the last
look; ``gap_outages`` are the times between two looks that were too far apart: nobody of us was there then, and what
was not heard meanwhile is not missed.

The engine's role sees no webhooks and few scenarios, so it gets what it needs through functions that do only this.
"""

from alembic import op

revision = "0032"
down_revision = "0031"

_TABLES = """
CREATE TABLE shard.hook_rhythms (
    hook_id bigint PRIMARY KEY REFERENCES shard.hooks ON DELETE CASCADE,
    organization_id bigint NOT NULL,
    since timestamptz NOT NULL,
    first_heard_at timestamptz NOT NULL,
    heard_at timestamptz NOT NULL,
    times bigint NOT NULL DEFAULT 1,
    pause_seconds double precision NOT NULL DEFAULT 0,
    is_off boolean NOT NULL DEFAULT false,
    silent_at timestamptz
) WITH (fillfactor = 70);
CREATE INDEX hook_rhythms_organization ON shard.hook_rhythms (organization_id, hook_id);

CREATE TABLE shard.hook_expectations (
    hook_id bigint PRIMARY KEY REFERENCES shard.hooks ON DELETE CASCADE,
    organization_id bigint NOT NULL,
    seconds integer CHECK (seconds BETWEEN 60 AND 31536000),
    set_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX hook_expectations_organization ON shard.hook_expectations (organization_id);

CREATE TABLE shard.late_schedules (
    scenario_id bigint PRIMARY KEY REFERENCES shard.scenarios ON DELETE CASCADE,
    organization_id bigint NOT NULL,
    due_at timestamptz NOT NULL,
    late_at timestamptz NOT NULL
);
CREATE INDEX late_schedules_organization ON shard.late_schedules (organization_id);

CREATE TABLE shard.gap_looks (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    looked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO shard.gap_looks DEFAULT VALUES;
CREATE TABLE shard.gap_outages (
    began_at timestamptz PRIMARY KEY,
    ended_at timestamptz NOT NULL
);
GRANT SELECT, UPDATE ON shard.gap_looks TO bridge_engine;
GRANT SELECT, INSERT, DELETE ON shard.gap_outages TO bridge_engine;
GRANT SELECT ON shard.gap_looks, shard.gap_outages TO bridge_app;
"""

_RIGHTS = {
    "hook_rhythms": ("SELECT", "SELECT, INSERT, UPDATE"),
    "hook_expectations": ("SELECT, INSERT, UPDATE, DELETE", None),
    "late_schedules": ("SELECT", "SELECT, INSERT, DELETE"),
}

_FUNCTIONS = """
CREATE FUNCTION shard.heard_hooks(after bigint, most integer)
RETURNS TABLE (hook_id bigint, organization_id bigint, team_id bigint, scenario_id bigint, name text, is_on boolean,
               expected_seconds integer, is_expected boolean, expected_at timestamptz, since timestamptz,
               first_heard_at timestamptz, heard_at timestamptz, times bigint, pause_seconds double precision,
               was_off boolean, silent_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$
SELECT h.id, h.organization_id, h.team_id, s.id, h.name,
       h.enabled AND s.state = 'active' AND NOT s.is_paused AND NOT s.is_invalid,
       x.seconds, x.hook_id IS NOT NULL, x.set_at, r.since, r.first_heard_at, r.heard_at, r.times, r.pause_seconds,
       coalesce(r.is_off, false), r.silent_at
FROM shard.hooks h
JOIN shard.scenarios s ON s.id = h.scenario_id
LEFT JOIN shard.hook_expectations x ON x.hook_id = h.id
LEFT JOIN shard.hook_rhythms r ON r.hook_id = h.id
WHERE h.id > after ORDER BY h.id LIMIT most
$function$;

-- Due and not begun, or begun and still waiting for a worker that nothing keeps from taking it.
CREATE FUNCTION shard.schedules_behind(grace interval, most integer)
RETURNS TABLE (scenario_id bigint, organization_id bigint, team_id bigint, due_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$
SELECT s.id, s.organization_id, s.team_id, least(s.next_run_at, w.ready_at)
FROM shard.scenarios s
LEFT JOIN LATERAL (
    SELECT q.ready_at FROM shard.queue q
    WHERE q.id = s.last_tick_run AND q.lease_until IS NULL AND q.class < 3 AND q.ordering_key IS NULL
      AND q.kind = 'scenario.execute'
) w ON true
WHERE s.next_run_at IS NOT NULL AND s.state = 'active' AND NOT s.is_paused AND NOT s.is_invalid
  AND least(s.next_run_at, w.ready_at) < now() - grace
  AND NOT EXISTS (SELECT FROM shard.late_schedules l WHERE l.scenario_id = s.id)
ORDER BY s.next_run_at, s.id LIMIT most
$function$;

CREATE FUNCTION shard.schedules_told_late(grace interval, most integer)
RETURNS TABLE (scenario_id bigint, organization_id bigint, team_id bigint, name text, is_on boolean,
               is_behind boolean, due_at timestamptz, late_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$
SELECT l.scenario_id, l.organization_id, s.team_id, s.name,
       s.next_run_at IS NOT NULL AND s.state = 'active' AND NOT s.is_paused AND NOT s.is_invalid,
       coalesce(least(s.next_run_at, w.ready_at) < now() - grace, false), l.due_at, l.late_at
FROM shard.late_schedules l JOIN shard.scenarios s ON s.id = l.scenario_id
LEFT JOIN LATERAL (
    SELECT q.ready_at FROM shard.queue q
    WHERE q.id = s.last_tick_run AND q.lease_until IS NULL AND q.class < 3 AND q.ordering_key IS NULL
      AND q.kind = 'scenario.execute'
) w ON true
ORDER BY l.scenario_id LIMIT most
$function$;
"""


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
        if of_engine is not None:
            op.execute(f"CREATE POLICY engine ON shard.{table} TO bridge_engine USING (true)")
            op.execute(f"GRANT {of_engine} ON shard.{table} TO bridge_engine")
    op.execute(_FUNCTIONS)
    for function in ("heard_hooks", "schedules_behind", "schedules_told_late"):
        op.execute(f"REVOKE ALL ON FUNCTION shard.{function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION shard.{function} TO bridge_engine")
