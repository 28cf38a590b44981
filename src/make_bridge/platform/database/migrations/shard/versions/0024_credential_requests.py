"""Requests for credentials: what a team asks an end user to hand over, and what became of each credential.

A request is found by the digest of the address that was given out, and opened with the secret behind it, of which a
digest stands here too. What a credential's state is follows from the row and from the connection it has become
(``component_id``): a consent at a provider makes that one active without knowing of any request. One that ``extends``
has its connection from the beginning. Values that were filled in beforehand are sealed.

An attempt to get a consent may ask for more scopes than its application does; those stay with the grant, so that
whoever agrees again agrees to as much.
"""

from alembic import op

revision = "0024"
down_revision = "0023"

_TABLES = """
CREATE TABLE shard.credential_requests (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id bigint NOT NULL,
    team_id bigint NOT NULL REFERENCES shard.teams ON DELETE CASCADE,
    link bytea NOT NULL UNIQUE,
    secret_digest bytea NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    user_id bigint,
    make_provider_id text NOT NULL,
    external_provider_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX credential_requests_team ON shard.credential_requests (team_id, created_at);
CREATE INDEX credential_requests_organization ON shard.credential_requests (organization_id, created_at);

CREATE TABLE shard.requested_credentials (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    number bigint NOT NULL UNIQUE,
    organization_id bigint NOT NULL,
    request_id uuid NOT NULL REFERENCES shard.credential_requests ON DELETE CASCADE,
    component text NOT NULL CHECK (component IN ('account', 'keychain')),
    type text NOT NULL,
    wanted bytea NOT NULL,
    prefill_sealed text,
    extends boolean NOT NULL,
    component_id bigint REFERENCES shard.connections ON DELETE SET NULL,
    declined_at timestamptz,
    decline_reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX requested_credentials_request ON shard.requested_credentials (request_id, number);
CREATE INDEX requested_credentials_organization ON shard.requested_credentials (organization_id, number);
CREATE INDEX requested_credentials_component ON shard.requested_credentials (component_id);

ALTER TABLE shard.oauth_attempts ADD COLUMN more_scopes text[] NOT NULL DEFAULT '{}';
ALTER TABLE shard.oauth_grants ADD COLUMN more_scopes text[] NOT NULL DEFAULT '{}';

GRANT SELECT, INSERT, DELETE, UPDATE (updated_at) ON shard.credential_requests TO bridge_app;
GRANT SELECT, INSERT, DELETE, UPDATE (prefill_sealed, component_id, declined_at, decline_reason, updated_at)
    ON shard.requested_credentials TO bridge_app;
"""


def upgrade() -> None:
    """Add them."""
    op.execute(_TABLES)
    for table in ("credential_requests", "requested_credentials"):
        op.execute(f"ALTER TABLE shard.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON shard.{table} TO bridge_app"
            " USING (organization_id = nullif(current_setting('app.organization_id', true), '')::bigint)"
        )
