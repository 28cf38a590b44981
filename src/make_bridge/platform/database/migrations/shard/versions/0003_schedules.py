"""What the scheduler keeps: who may fire ticks, and the state scenarios carry from run to run.

``bridge_engine`` sees of a scenario what it needs to start its runs, and only while a schedule is on
(``schedule_anchor``). A scenario that is switched off by whatever rule is out of the index that the scheduler reads,
so its next run needs no second place to be cleared.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_TABLES = """
ALTER TABLE shard.scenarios
    ADD COLUMN schedule_anchor timestamptz,
    ADD COLUMN is_sequential boolean NOT NULL DEFAULT false,
    ADD COLUMN last_tick_run uuid,
    ADD COLUMN ticks_missed integer NOT NULL DEFAULT 0,
    ADD COLUMN ticks_skipped integer NOT NULL DEFAULT 0;
CREATE INDEX scenarios_due ON shard.scenarios (next_run_at)
    WHERE next_run_at IS NOT NULL AND state = 'active' AND NOT is_paused AND NOT is_invalid;
CREATE POLICY engine_schedule ON shard.scenarios TO bridge_engine USING (schedule_anchor IS NOT NULL);
GRANT SELECT (id, organization_id, team_id, state, is_paused, is_invalid, scheduling, blueprint_version, next_run_at,
              schedule_anchor, is_sequential, last_tick_run, ticks_missed, ticks_skipped),
      UPDATE (next_run_at, last_tick_run, ticks_missed, ticks_skipped)
    ON shard.scenarios TO bridge_engine;

CREATE TABLE shard.leaders (
    name text PRIMARY KEY COLLATE "C",
    owner text NOT NULL,
    fence bigint NOT NULL,
    until timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON shard.leaders TO bridge_engine;

CREATE TABLE shard.scenario_memory (
    organization_id bigint NOT NULL,
    scenario_id bigint NOT NULL,
    module_id bigint NOT NULL,
    counter bigint NOT NULL DEFAULT 0,
    value bytea,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (scenario_id, module_id)
);
CREATE INDEX scenario_memory_organization ON shard.scenario_memory (organization_id);
ALTER TABLE shard.scenario_memory ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON shard.scenario_memory TO bridge_app
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint);
GRANT SELECT, INSERT, UPDATE, DELETE ON shard.scenario_memory TO bridge_app;
CREATE POLICY engine ON shard.scenario_memory TO bridge_engine USING (true);
GRANT SELECT, INSERT, UPDATE ON shard.scenario_memory TO bridge_engine;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
