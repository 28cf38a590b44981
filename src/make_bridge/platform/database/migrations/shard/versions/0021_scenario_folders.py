"""Folders of scenarios: a tree for each team.

The keys name the team too, so that neither a folder nor a scenario can stand in another team's folder.
"""

from alembic import op

revision = "0021"
down_revision = "0020"

_TABLES = """
CREATE TABLE shard.scenario_folders (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    team_id bigint NOT NULL REFERENCES shard.teams,
    parent_id bigint CHECK (parent_id <> id),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (team_id, id),
    FOREIGN KEY (team_id, parent_id) REFERENCES shard.scenario_folders (team_id, id)
);
CREATE INDEX scenario_folders_organization ON shard.scenario_folders (organization_id, team_id);
CREATE INDEX scenario_folders_parent ON shard.scenario_folders (parent_id) WHERE parent_id IS NOT NULL;

ALTER TABLE shard.scenarios ADD COLUMN folder_id bigint;
ALTER TABLE shard.scenarios ADD CONSTRAINT scenarios_folder
    FOREIGN KEY (team_id, folder_id) REFERENCES shard.scenario_folders (team_id, id);
CREATE INDEX scenarios_in_folder ON shard.scenarios (folder_id, id) WHERE folder_id IS NOT NULL;

ALTER TABLE shard.scenario_folders ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant ON shard.scenario_folders TO bridge_app
    USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint);
GRANT SELECT, INSERT, UPDATE, DELETE ON shard.scenario_folders TO bridge_app;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
