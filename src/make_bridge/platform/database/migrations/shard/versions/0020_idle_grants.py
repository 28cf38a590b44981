"""Connections that nobody uses are renewed too: their leader sees which, across organizations, and no token.

Many providers let a refresh token die that was not used for a while. ``has_refresh`` says that there is one without
showing it: `bridge_engine` reads that column, whose grant it is and when its tokens were got, and nothing else.
"""

from alembic import op

revision = "0020"
down_revision = "0019"

_TABLES = """
ALTER TABLE shard.oauth_grants
    ADD COLUMN has_refresh boolean NOT NULL GENERATED ALWAYS AS (refresh_sealed IS NOT NULL) STORED;
CREATE INDEX oauth_grants_kept_alive ON shard.oauth_grants (connection_id) WHERE has_refresh;
CREATE POLICY engine ON shard.oauth_grants FOR SELECT TO bridge_engine USING (true);
GRANT SELECT (connection_id, organization_id, has_refresh, renewed_at, leased_until, version)
    ON shard.oauth_grants TO bridge_engine;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
