"""Custom variables of an organization and of its teams, and what became of them.

``holder`` is the team, or 0 for the organization itself: one key and one index serve both.
"""

from alembic import op

revision = "0022"
down_revision = "0021"

_TABLES = """
CREATE TABLE shard.custom_variables (
    organization_id bigint NOT NULL,
    team_id bigint REFERENCES shard.teams,
    holder bigint NOT NULL GENERATED ALWAYS AS (coalesce(team_id, 0)) STORED,
    name text NOT NULL COLLATE "C" CHECK (length(name) BETWEEN 1 AND 128),
    type_id smallint NOT NULL CHECK (type_id BETWEEN 1 AND 4),
    value bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, holder, name)
);
CREATE INDEX custom_variables_team ON shard.custom_variables (team_id) WHERE team_id IS NOT NULL;

CREATE TABLE shard.custom_variable_changes (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    team_id bigint REFERENCES shard.teams,
    holder bigint NOT NULL GENERATED ALWAYS AS (coalesce(team_id, 0)) STORED,
    name text NOT NULL COLLATE "C",
    action text NOT NULL CHECK (action IN ('create', 'update', 'delete')),
    before bytea,
    after bytea,
    actor_kind text NOT NULL,
    actor text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX custom_variable_changes_holder ON shard.custom_variable_changes (organization_id, holder, id);
CREATE INDEX custom_variable_changes_name ON shard.custom_variable_changes (organization_id, holder, name, id);
CREATE INDEX custom_variable_changes_team ON shard.custom_variable_changes (team_id) WHERE team_id IS NOT NULL;
"""
_TENANT_TABLES = ("custom_variables", "custom_variable_changes")


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
    for table in _TENANT_TABLES:
        op.execute(f"ALTER TABLE shard.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON shard.{table} TO bridge_app"
            " USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint)"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON shard.{table} TO bridge_app")
