"""OAuth 2.0: applications at providers, the grants behind connections, and attempts to get one.

A connection's ``state`` says whether it can be used. The tokens stand beside it in ``oauth_grants``: ``fence`` is the
last number given out to somebody who asks for new tokens, ``version`` the one under which those that stand there were
got, so an answer that comes late never replaces a newer one. ``leased_until`` keeps a second one from asking
meanwhile. Times are the database's, so no process' clock decides when a token has run out.

An attempt is found by the digest of its ticket, and once a browser has begun it, by the digest of its state; it is
deleted by whoever comes back with that first.
"""

from alembic import op

revision = "0018"
down_revision = "0017"

_TABLES = """
ALTER TABLE shard.connections ADD COLUMN state text NOT NULL DEFAULT 'active'
    CHECK (state IN ('active', 'pending', 'needs_consent'));

CREATE TABLE shard.oauth_applications (
    id bigint PRIMARY KEY DEFAULT shard.new_id(),
    organization_id bigint NOT NULL,
    name text NOT NULL,
    client_id text NOT NULL,
    client_secret_sealed text,
    authentication text NOT NULL CHECK (authentication IN ('basic', 'post', 'none')),
    authorize_url text NOT NULL,
    token_url text NOT NULL,
    revoke_url text NOT NULL,
    userinfo_url text NOT NULL,
    issuer text NOT NULL,
    sends_issuer boolean NOT NULL,
    scopes text[] NOT NULL,
    hosts text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX oauth_applications_organization ON shard.oauth_applications (organization_id, id);

CREATE TABLE shard.oauth_grants (
    connection_id bigint PRIMARY KEY REFERENCES shard.connections ON DELETE CASCADE,
    organization_id bigint NOT NULL,
    application_id bigint NOT NULL REFERENCES shard.oauth_applications,
    kind text NOT NULL CHECK (kind IN ('authorization_code', 'client_credentials')),
    access_sealed text,
    refresh_sealed text,
    scope text NOT NULL DEFAULT '',
    subject text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    expires_at timestamptz,
    renew_at timestamptz,
    granted_at timestamptz,
    renewed_at timestamptz,
    fence bigint NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 0,
    leased_until timestamptz
) WITH (fillfactor = 70);
CREATE INDEX oauth_grants_application ON shard.oauth_grants (application_id);
CREATE INDEX oauth_grants_organization ON shard.oauth_grants (organization_id, connection_id);

CREATE TABLE shard.oauth_attempts (
    ticket bytea PRIMARY KEY,
    organization_id bigint NOT NULL,
    connection_id bigint NOT NULL REFERENCES shard.connections ON DELETE CASCADE,
    application_id bigint NOT NULL REFERENCES shard.oauth_applications ON DELETE CASCADE,
    flow_id text COLLATE "C",
    return_to text NOT NULL,
    state bytea UNIQUE,
    browser bytea,
    verifier_sealed text,
    expires_at timestamptz NOT NULL
);
CREATE INDEX oauth_attempts_organization ON shard.oauth_attempts (organization_id, expires_at);
CREATE INDEX oauth_attempts_connection ON shard.oauth_attempts (connection_id);
CREATE INDEX oauth_attempts_application ON shard.oauth_attempts (application_id);
CREATE INDEX oauth_attempts_age ON shard.oauth_attempts (expires_at);
"""
_GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE ON shard.oauth_applications, shard.oauth_grants, shard.oauth_attempts
    TO bridge_app;
GRANT SELECT (ticket, expires_at), DELETE ON shard.oauth_attempts TO bridge_engine;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
    for table in ("oauth_applications", "oauth_grants", "oauth_attempts"):
        op.execute(f"ALTER TABLE shard.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON shard.{table} TO bridge_app"
            " USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint)"
        )
    op.execute("CREATE POLICY engine ON shard.oauth_attempts TO bridge_engine USING (true)")
    op.execute(_GRANTS)
