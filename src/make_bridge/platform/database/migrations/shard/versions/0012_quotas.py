"""Limits of usage: what may be used in a month, what is known of each limit, and runs that wait for the next month.

Usage itself stays where it is counted, in ``usage_daily``: the settling statement writes nothing more than before. What
is new is read beside it: ``usage_limits`` holds an organization's limits (a customer's stands in its own row), and
``usage_states`` what the last look found, one row per limit. ``usage_looks`` is one row whose lock lets one process at
a time look. ``past_scenarios`` keeps whose a deleted scenario was, so that deleting one gives nothing back.

The engine's role sees no customers and few scenarios, so it gets the sums through a function that does only this.
Deferred runs stand in the queue as a class of their own, which ``shard.claim`` does not serve; the index over it is
empty almost always.
"""

from alembic import op

revision = "0012"
down_revision = "0011"

_TABLES = """
CREATE TABLE shard.usage_limits (
    organization_id bigint PRIMARY KEY,
    operations bigint CHECK (operations >= 0),
    executions bigint CHECK (executions >= 0),
    data_transfer bigint CHECK (data_transfer >= 0),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX customers_limited ON shard.customers (organization_id, team_id) WHERE operations_limit IS NOT NULL;

CREATE TABLE shard.usage_states (
    organization_id bigint NOT NULL,
    team_id bigint NOT NULL,
    first_day date NOT NULL,
    until timestamptz NOT NULL,
    state smallint NOT NULL CHECK (state BETWEEN 0 AND 2),
    measure text NOT NULL,
    used bigint NOT NULL,
    most bigint NOT NULL,
    told smallint NOT NULL,
    PRIMARY KEY (organization_id, team_id)
);
CREATE INDEX usage_states_reached ON shard.usage_states (organization_id, team_id) WHERE state = 2;

CREATE TABLE shard.usage_looks (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    looked_at timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO shard.usage_looks DEFAULT VALUES;
GRANT SELECT, UPDATE ON shard.usage_looks TO bridge_engine;

CREATE TABLE shard.past_scenarios (
    organization_id bigint NOT NULL,
    team_id bigint NOT NULL,
    scenario_id bigint PRIMARY KEY,
    deleted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX past_scenarios_team ON shard.past_scenarios (organization_id, team_id);

CREATE INDEX queue_deferred ON shard.queue (organization_id, team_id, id) WHERE class = 3;
"""

_RIGHTS = {
    "usage_limits": ("SELECT, INSERT, UPDATE, DELETE", None),
    "usage_states": ("SELECT", "SELECT, INSERT, UPDATE, DELETE"),
    "past_scenarios": ("SELECT, INSERT", None),
}

# The month is the calendar's in UTC, as the days of usage_daily are. Customers of one team share the smallest limit.
_FUNCTIONS = """
CREATE FUNCTION shard.limited_usage()
RETURNS TABLE (organization_id bigint, team_id bigint, first_day date, until timestamptz, most_operations bigint,
               most_executions bigint, most_transfer bigint, operations bigint, executions bigint, transfer bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$
WITH month AS (
    SELECT m.first, (m.first + interval '1 month') AT TIME ZONE 'UTC' AS until
    FROM (SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date AS first) m
), teams AS (
    SELECT c.organization_id, c.team_id, min(c.operations_limit) AS most FROM shard.customers c
    WHERE c.operations_limit IS NOT NULL GROUP BY c.organization_id, c.team_id
)
SELECT l.organization_id, 0::bigint, m.first, m.until, l.operations, l.executions, l.data_transfer,
       u.operations, u.executions, u.transfer
FROM shard.usage_limits l CROSS JOIN month m CROSS JOIN LATERAL (
    SELECT coalesce(sum(d.operations), 0)::bigint AS operations, coalesce(sum(d.executions), 0)::bigint AS executions,
           coalesce(sum(d.data_transfer), 0)::bigint AS transfer
    FROM shard.usage_daily d
    WHERE d.organization_id = l.organization_id AND d.day >= m.first AND d.day < (m.first + interval '1 month')
) u
UNION ALL
SELECT t.organization_id, t.team_id, m.first, m.until, t.most, NULL, NULL, u.operations, u.executions, u.transfer
FROM teams t CROSS JOIN month m CROSS JOIN LATERAL (
    SELECT coalesce(sum(d.operations), 0)::bigint AS operations, coalesce(sum(d.executions), 0)::bigint AS executions,
           coalesce(sum(d.data_transfer), 0)::bigint AS transfer
    FROM (
        SELECT s.id FROM shard.scenarios s WHERE s.organization_id = t.organization_id AND s.team_id = t.team_id
        UNION ALL
        SELECT p.scenario_id FROM shard.past_scenarios p
        WHERE p.organization_id = t.organization_id AND p.team_id = t.team_id
    ) own JOIN shard.usage_daily d ON d.scenario_id = own.id
    WHERE d.day >= m.first AND d.day < (m.first + interval '1 month')
) u
$function$;
REVOKE ALL ON FUNCTION shard.limited_usage FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.limited_usage TO bridge_engine;

CREATE FUNCTION shard.is_usage_limited() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$
SELECT EXISTS (SELECT FROM shard.usage_limits) OR EXISTS (SELECT FROM shard.usage_states)
    OR EXISTS (SELECT FROM shard.customers WHERE operations_limit IS NOT NULL)
    OR EXISTS (SELECT FROM shard.queue WHERE class = 3)
$function$;
REVOKE ALL ON FUNCTION shard.is_usage_limited FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.is_usage_limited TO bridge_engine;

CREATE FUNCTION shard.teams_of(organization bigint) RETURNS SETOF bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$ SELECT t.id FROM shard.teams t WHERE t.organization_id = organization $function$;
REVOKE ALL ON FUNCTION shard.teams_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.teams_of TO bridge_engine;
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
