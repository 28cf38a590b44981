"""Custom functions: JavaScript of teams, and what it was before each change.

Both go with their team. The author stands beside the code as a name: users live in the directory, and may be gone.
"""

from alembic import op

revision = "0023"
down_revision = "0022"

_TABLES = """
CREATE TABLE shard.functions (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    team_id bigint NOT NULL REFERENCES shard.teams ON DELETE CASCADE,
    name text NOT NULL COLLATE "C",
    args text NOT NULL,
    description text NOT NULL,
    code text NOT NULL,
    author bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (team_id, name)
);
CREATE INDEX functions_organization ON shard.functions (organization_id, id);

CREATE TABLE shard.function_changes (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    function_id bigint NOT NULL REFERENCES shard.functions ON DELETE CASCADE,
    previous_code text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by text NOT NULL
);
CREATE INDEX function_changes_function ON shard.function_changes (function_id, id);
CREATE INDEX function_changes_organization ON shard.function_changes (organization_id);
"""
_GRANTS = """
GRANT SELECT, INSERT, DELETE, UPDATE (args, description, code, updated_at) ON shard.functions TO bridge_app;
GRANT SELECT, INSERT, DELETE ON shard.function_changes TO bridge_app;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
    for table in ("functions", "function_changes"):
        op.execute(f"ALTER TABLE shard.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON shard.{table} TO bridge_app"
            " USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint)"
        )
    op.execute(_GRANTS)
