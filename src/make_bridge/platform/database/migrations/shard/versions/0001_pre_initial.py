"""What an organization's teams own: customers, templates, flows, scenarios, hooks, executions, the queue.

Every table carries ``organization_id`` and a row-level policy on it. ``bridge_app`` sees one
organization at a time (the transaction's ``app.organization_id``); ``bridge_engine`` sees all, and
only the tables of accepting, claiming and settling. Neither owns anything.

Executions, payloads, outcomes, logs and the journal are append-only and partitioned by retention
class and day; both can be read from the id, so a look-up touches one partition. Nothing is granted
on a partition itself: reading one directly would pass by its parent's policy. The queue, and all
tables that need uniqueness, stay in one piece.
"""

from alembic import op

revision = "0001"
down_revision = None

_TABLES = """
CREATE TABLE shard.identity (number smallint NOT NULL CHECK (number BETWEEN 0 AND 1023));
CREATE UNIQUE INDEX identity_single ON shard.identity ((true));
CREATE SEQUENCE shard.ids;

CREATE FUNCTION shard.new_id() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT nextval('shard.ids') * 1024 + (SELECT number FROM shard.identity) $$;

CREATE TABLE shard.teams (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX teams_organization ON shard.teams (organization_id, id);

CREATE TABLE shard.customers (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    external_id text NOT NULL COLLATE "C",
    team_id bigint NOT NULL REFERENCES shard.teams,
    name text NOT NULL,
    operations_limit bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (organization_id, external_id)
);
CREATE INDEX customers_team ON shard.customers (team_id);

CREATE TABLE shard.templates (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    language text NOT NULL DEFAULT 'en',
    visibility text NOT NULL DEFAULT 'private',
    blueprint bytea NOT NULL,
    controller bytea NOT NULL,
    scheduling bytea NOT NULL,
    used_packages text[] NOT NULL,
    published_version_id bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX templates_organization ON shard.templates (organization_id, id);

CREATE TABLE shard.template_versions (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    template_id bigint NOT NULL REFERENCES shard.templates,
    number integer NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    language text NOT NULL,
    blueprint bytea NOT NULL,
    controller bytea NOT NULL,
    scheduling bytea NOT NULL,
    used_packages text[] NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (template_id, number)
);

CREATE TABLE shard.flows (
    id text PRIMARY KEY COLLATE "C",
    organization_id bigint NOT NULL,
    team_id bigint NOT NULL REFERENCES shard.teams,
    template_version_id bigint NOT NULL REFERENCES shard.template_versions,
    secret_digest bytea NOT NULL,
    state text NOT NULL,
    document bytea NOT NULL,
    scenario_id bigint,
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX flows_team ON shard.flows (team_id, created_at);
CREATE INDEX flows_organization ON shard.flows (organization_id, created_at);

CREATE TABLE shard.connections (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    team_id bigint NOT NULL REFERENCES shard.teams,
    kind text NOT NULL CHECK (kind IN ('connection', 'key')),
    type text NOT NULL,
    name text NOT NULL,
    secret_sealed text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX connections_team ON shard.connections (team_id, id);
CREATE INDEX connections_organization ON shard.connections (organization_id, id);

CREATE TABLE shard.scenarios (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    team_id bigint NOT NULL REFERENCES shard.teams,
    template_version_id bigint,
    flow_id text COLLATE "C",
    name text NOT NULL,
    state text NOT NULL,
    is_paused boolean NOT NULL DEFAULT false,
    is_invalid boolean NOT NULL DEFAULT false,
    used_packages text[] NOT NULL,
    scheduling bytea NOT NULL,
    interface bytea NOT NULL,
    hook_id bigint,
    blueprint_version integer NOT NULL DEFAULT 1,
    consecutive_errors smallint NOT NULL DEFAULT 0,
    next_run_at timestamptz,
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX scenarios_team ON shard.scenarios (team_id, id);
CREATE INDEX scenarios_organization ON shard.scenarios (organization_id, id);

CREATE TABLE shard.blueprints (
    organization_id bigint NOT NULL,
    scenario_id bigint NOT NULL REFERENCES shard.scenarios ON DELETE CASCADE,
    version integer NOT NULL,
    blueprint bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scenario_id, version)
);
CREATE INDEX blueprints_organization ON shard.blueprints (organization_id);

CREATE TABLE shard.hooks (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    team_id bigint NOT NULL REFERENCES shard.teams,
    name text NOT NULL,
    type_name text NOT NULL DEFAULT 'gateway-webhook',
    token_digest bytea NOT NULL UNIQUE,
    token_sealed text NOT NULL,
    scenario_id bigint,
    enabled boolean NOT NULL DEFAULT true,
    settings bytea NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX hooks_team ON shard.hooks (team_id, id);
CREATE INDEX hooks_organization ON shard.hooks (organization_id, id);
CREATE INDEX hooks_scenario ON shard.hooks (scenario_id);

CREATE TABLE shard.queue (
    id uuid PRIMARY KEY,
    organization_id bigint NOT NULL,
    team_id bigint NOT NULL,
    scenario_id bigint,
    kind text NOT NULL,
    class smallint NOT NULL DEFAULT 1,
    ready_at timestamptz NOT NULL DEFAULT now(),
    lease_owner text,
    lease_until timestamptz,
    fence bigint NOT NULL DEFAULT 0,
    ordering_key text COLLATE "C",
    holds_slot boolean NOT NULL DEFAULT false,
    attempts smallint NOT NULL DEFAULT 0,
    reply_to text,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX queue_ready ON shard.queue (class, ready_at, id) WHERE lease_until IS NULL;
CREATE INDEX queue_leased ON shard.queue (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX queue_order ON shard.queue (scenario_id, ordering_key, id) WHERE ordering_key IS NOT NULL;
CREATE UNIQUE INDEX queue_slot ON shard.queue (scenario_id, ordering_key) WHERE holds_slot;

CREATE TABLE shard.executions (
    retention smallint NOT NULL,
    id uuid NOT NULL,
    organization_id bigint NOT NULL,
    team_id bigint NOT NULL,
    scenario_id bigint NOT NULL,
    blueprint_version integer NOT NULL,
    origin text NOT NULL,
    seed bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (retention, id)
) PARTITION BY RANGE (retention, id);
CREATE INDEX executions_scenario ON shard.executions (scenario_id, id DESC);

CREATE TABLE shard.payloads (
    retention smallint NOT NULL,
    id uuid NOT NULL,
    organization_id bigint NOT NULL,
    head bytea NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (retention, id)
) PARTITION BY RANGE (retention, id);

CREATE TABLE shard.outcomes (
    retention smallint NOT NULL,
    id uuid NOT NULL,
    organization_id bigint NOT NULL,
    scenario_id bigint NOT NULL,
    status smallint NOT NULL CHECK (status BETWEEN 1 AND 3),
    duration_ms integer NOT NULL,
    operations integer NOT NULL,
    transfer bigint NOT NULL,
    detail bytea NOT NULL,
    node text NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (retention, id)
) PARTITION BY RANGE (retention, id);

CREATE TABLE shard.execution_logs (
    retention smallint NOT NULL,
    id uuid NOT NULL,
    organization_id bigint NOT NULL,
    steps bytea NOT NULL,
    PRIMARY KEY (retention, id)
) PARTITION BY RANGE (retention, id);

CREATE TABLE shard.journal (
    retention smallint NOT NULL,
    id uuid NOT NULL,
    organization_id bigint NOT NULL,
    module_id integer NOT NULL,
    operation integer NOT NULL,
    intent_at timestamptz NOT NULL DEFAULT now(),
    result bytea,
    PRIMARY KEY (retention, id, module_id, operation)
) PARTITION BY RANGE (retention, id);

CREATE TABLE shard.incomplete_executions (
    id uuid PRIMARY KEY,
    organization_id bigint NOT NULL,
    team_id bigint NOT NULL,
    scenario_id bigint NOT NULL,
    execution_id uuid NOT NULL,
    reason text NOT NULL,
    document bytea NOT NULL,
    retry boolean NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    resolved boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX incomplete_scenario ON shard.incomplete_executions (scenario_id, created_at);
CREATE INDEX incomplete_organization ON shard.incomplete_executions (organization_id, created_at);

CREATE TABLE shard.usage_daily (
    organization_id bigint NOT NULL,
    scenario_id bigint NOT NULL,
    day date NOT NULL,
    executions bigint NOT NULL DEFAULT 0,
    operations bigint NOT NULL DEFAULT 0,
    data_transfer bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (scenario_id, day)
) WITH (fillfactor = 50);
CREATE INDEX usage_organization ON shard.usage_daily (organization_id, day);

CREATE TABLE shard.outbox (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id bigint NOT NULL,
    type text NOT NULL,
    subject text NOT NULL,
    payload bytea NOT NULL,
    trace text,
    position bigint,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_unstamped ON shard.outbox (created_at) WHERE position IS NULL;
CREATE UNIQUE INDEX outbox_position ON shard.outbox (position) WHERE position IS NOT NULL;

CREATE TABLE shard.audit (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    actor_kind text NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    detail bytea NOT NULL,
    request_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    seal bytea
);
CREATE INDEX audit_organization ON shard.audit (organization_id, id);

CREATE TABLE shard.idempotency (
    organization_id bigint NOT NULL,
    key text NOT NULL COLLATE "C",
    body_digest bytea NOT NULL,
    answer bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, key)
);
CREATE INDEX idempotency_age ON shard.idempotency (created_at);
"""

_TENANT_TABLES = (
    "teams", "customers", "templates", "template_versions", "flows", "connections", "scenarios", "blueprints",
    "hooks", "queue", "executions", "payloads", "outcomes", "execution_logs", "journal", "incomplete_executions",
    "usage_daily", "outbox", "audit", "idempotency",
)  # fmt: skip
_ENGINE_TABLES = (
    "queue", "executions", "payloads", "outcomes", "execution_logs", "journal", "incomplete_executions",
    "usage_daily", "outbox",
)  # fmt: skip
_APPEND_ONLY = ("executions", "payloads", "outcomes", "execution_logs", "journal", "audit")

_PARTITIONS = """
CREATE FUNCTION shard.ensure_partitions(ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$
DECLARE
    parent text;
    class integer;
    first_day date := (now() AT TIME ZONE 'UTC')::date - 1;
    offset_days integer;
    start_day date;
    made integer := 0;
    child text;
    lower_bound uuid;
    upper_bound uuid;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('make_bridge.partitions'));
    FOREACH parent IN ARRAY ARRAY['executions', 'payloads', 'outcomes', 'execution_logs', 'journal'] LOOP
        FOR class IN 0..2 LOOP
            FOR offset_days IN 0..(least(ahead, 30) + 1) LOOP
                start_day := first_day + offset_days;
                child := format('%s_%s_%s', parent, class, to_char(start_day, 'YYYYMMDD'));
                IF to_regclass(format('shard.%I', child)) IS NULL THEN
                    lower_bound := (lpad(to_hex((extract(epoch FROM start_day) * 1000)::bigint), 12, '0')
                                    || class || repeat('0', 19))::uuid;
                    upper_bound := (lpad(to_hex((extract(epoch FROM start_day + 1) * 1000)::bigint), 12, '0')
                                    || class || repeat('0', 19))::uuid;
                    EXECUTE format(
                        'CREATE TABLE shard.%I PARTITION OF shard.%I FOR VALUES FROM (%s, %L) TO (%s, %L)',
                        child, parent, class, lower_bound, class, upper_bound);
                    made := made + 1;
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
    RETURN made;
END
$function$;
REVOKE ALL ON FUNCTION shard.ensure_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.ensure_partitions(integer) TO bridge_engine;
SELECT shard.ensure_partitions(7);

CREATE FUNCTION shard.forget_answers() RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
WITH gone AS (
    DELETE FROM shard.idempotency WHERE (organization_id, key) IN (
        SELECT organization_id, key FROM shard.idempotency
        WHERE created_at < now() - interval '24 hours' ORDER BY created_at LIMIT 10000)
    RETURNING 1
)
SELECT count(*)::integer FROM gone
$$;
REVOKE ALL ON FUNCTION shard.forget_answers() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.forget_answers() TO bridge_engine;
"""


def upgrade() -> None:
    """Create the shard."""
    op.execute(_TABLES)
    for table in _TENANT_TABLES:
        op.execute(f"ALTER TABLE shard.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON shard.{table} TO bridge_app"
            " USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint)"
        )
        rights = "SELECT, INSERT" if table in _APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
        op.execute(f"GRANT {rights} ON shard.{table} TO bridge_app")
    for table in _ENGINE_TABLES:
        op.execute(f"CREATE POLICY engine ON shard.{table} TO bridge_engine USING (true)")
        rights = "SELECT, INSERT" if table in _APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"
        op.execute(f"GRANT {rights} ON shard.{table} TO bridge_engine")
    op.execute("GRANT UPDATE ON shard.journal TO bridge_engine")
    op.execute("GRANT USAGE ON SCHEMA shard TO bridge_app, bridge_engine")
    op.execute("GRANT SELECT ON shard.identity, shard.schema_version TO bridge_app, bridge_engine")
    op.execute("GRANT USAGE ON SEQUENCE shard.ids TO bridge_app, bridge_engine")
    op.execute(_PARTITIONS)
