"""What a team may use in a month, beside what its customers may: the smaller of both counts.

The sums that the engine's role looks at take both in, and data transferred too, which only a team's own limit bounds.
"""

from alembic import op

revision = "0026"
down_revision = "0025"

_COLUMNS = """
ALTER TABLE shard.teams
    ADD COLUMN operations_limit bigint CHECK (operations_limit >= 0),
    ADD COLUMN transfer_limit bigint CHECK (transfer_limit >= 0);
CREATE INDEX teams_limited ON shard.teams (organization_id, id)
    WHERE operations_limit IS NOT NULL OR transfer_limit IS NOT NULL;
"""

_FUNCTIONS = """
CREATE OR REPLACE FUNCTION shard.limited_usage()
RETURNS TABLE (organization_id bigint, team_id bigint, first_day date, until timestamptz, most_operations bigint,
               most_executions bigint, most_transfer bigint, operations bigint, executions bigint, transfer bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$
WITH month AS (
    SELECT m.first, (m.first + interval '1 month') AT TIME ZONE 'UTC' AS until
    FROM (SELECT date_trunc('month', now() AT TIME ZONE 'UTC')::date AS first) m
), limited AS (
    SELECT c.organization_id, c.team_id, c.operations_limit, NULL::bigint AS transfer_limit FROM shard.customers c
    WHERE c.operations_limit IS NOT NULL
    UNION ALL
    SELECT t.organization_id, t.id, t.operations_limit, t.transfer_limit FROM shard.teams t
    WHERE t.operations_limit IS NOT NULL OR t.transfer_limit IS NOT NULL
), teams AS (
    SELECT l.organization_id, l.team_id, min(l.operations_limit) AS most, min(l.transfer_limit) AS most_transfer
    FROM limited l GROUP BY l.organization_id, l.team_id
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
SELECT t.organization_id, t.team_id, m.first, m.until, t.most, NULL, t.most_transfer,
       u.operations, u.executions, u.transfer
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

CREATE OR REPLACE FUNCTION shard.is_usage_limited() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$function$
SELECT EXISTS (SELECT FROM shard.usage_limits) OR EXISTS (SELECT FROM shard.usage_states)
    OR EXISTS (SELECT FROM shard.customers WHERE operations_limit IS NOT NULL)
    OR EXISTS (SELECT FROM shard.teams WHERE operations_limit IS NOT NULL OR transfer_limit IS NOT NULL)
    OR EXISTS (SELECT FROM shard.queue WHERE class = 3)
$function$;
"""


def upgrade() -> None:
    """Add the columns, and have the sums look at them."""
    op.execute(_COLUMNS)
    op.execute(_FUNCTIONS)
