"""What the page of metrics asks of all organizations at once: how many scenarios are active, and whether a run is lost.

Both are functions of the owner, so that the engine's role learns numbers and ids and nothing else of the rows. Active
scenarios stand in an index of their own, which is counted without reading a row. A run is lost when it was accepted and
neither waits, nor is held, nor has ended, nor was given up; one statement does each of those steps, so there is no
moment in which a sound run looks like it. Organizations that move are left out: their rows are on two shards meanwhile.
"""

from alembic import op

revision = "0029"
down_revision = "0028"

_INDEX = """
CREATE INDEX scenarios_active ON shard.scenarios (organization_id)
    WHERE state = 'active' AND NOT is_paused AND NOT is_invalid
"""
_COUNT = """
CREATE FUNCTION shard.count_active_scenarios() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
SELECT count(*) FROM shard.scenarios
WHERE state = 'active' AND NOT is_paused AND NOT is_invalid
  AND organization_id NOT IN (SELECT organization_id FROM shard.movements WHERE state IN ('left', 'arriving'))
$$;
REVOKE ALL ON FUNCTION shard.count_active_scenarios() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.count_active_scenarios() TO bridge_engine;
"""
# An id begins with the milliseconds of its birth and the class of retention: a time is a range of the primary key.
_LOST = """
CREATE FUNCTION shard.lost_executions(since timestamptz, until timestamptz, most integer) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$
SELECT looked_at.id FROM unnest('{0,1,2}'::smallint[]) AS class(retention)
CROSS JOIN LATERAL (
    SELECT e.id, e.organization_id FROM shard.executions e
    WHERE e.retention = class.retention
      AND e.id >= (lpad(to_hex((extract(epoch FROM since) * 1000)::bigint), 12, '0') || class.retention
                   || repeat('0', 19))::uuid
      AND e.id < (lpad(to_hex((extract(epoch FROM until) * 1000)::bigint), 12, '0') || class.retention
                  || repeat('0', 19))::uuid
    LIMIT most
) looked_at
WHERE NOT EXISTS (SELECT FROM shard.outcomes o WHERE o.retention = class.retention AND o.id = looked_at.id)
  AND NOT EXISTS (SELECT FROM shard.queue q WHERE q.id = looked_at.id)
  AND NOT EXISTS (SELECT FROM shard.dead_letters d WHERE d.id = looked_at.id)
  AND NOT EXISTS (SELECT FROM shard.movements m WHERE m.organization_id = looked_at.organization_id)
$$;
REVOKE ALL ON FUNCTION shard.lost_executions(timestamptz, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.lost_executions(timestamptz, timestamptz, integer) TO bridge_engine;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_INDEX)
    op.execute(_COUNT)
    op.execute(_LOST)
