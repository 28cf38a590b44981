"""What people write about a scenario, and lists of scenarios in the order of their names."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the column and the indexes."""
    op.execute(
        "ALTER TABLE shard.scenarios ADD COLUMN description text NOT NULL DEFAULT '' CHECK (length(description) <= 240)"
    )
    op.execute("CREATE INDEX scenarios_by_name ON shard.scenarios (organization_id, name, id)")
    op.execute("CREATE INDEX scenarios_of_team_by_name ON shard.scenarios (organization_id, team_id, name, id)")
