"""Organizations, their keys and tokens, and where each of them lives.

The directory is read before a tenant is known, so it has no row-level security: it is reached only
through the role ``bridge_directory``, which owns nothing and can touch these tables alone.
"""

from alembic import op

revision = "0001"
down_revision = None

_TABLES = """
CREATE SEQUENCE directory.ids;

CREATE FUNCTION directory.new_id() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT nextval('directory.ids') * 1024 $$;

CREATE TABLE directory.shards (
    number smallint PRIMARY KEY CHECK (number BETWEEN 0 AND 1023),
    name text NOT NULL UNIQUE,
    weight smallint NOT NULL DEFAULT 100,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE directory.organizations (
    id bigint PRIMARY KEY DEFAULT directory.new_id(),
    name text NOT NULL,
    timezone text NOT NULL DEFAULT 'UTC',
    root_team_id bigint,
    is_demo boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE directory.placements (
    organization_id bigint PRIMARY KEY REFERENCES directory.organizations,
    shard smallint NOT NULL REFERENCES directory.shards,
    epoch bigint NOT NULL DEFAULT 1
);

CREATE TABLE directory.origins (
    organization_id bigint NOT NULL REFERENCES directory.organizations,
    origin text NOT NULL,
    PRIMARY KEY (organization_id, origin)
);

CREATE TABLE directory.data_keys (
    organization_id bigint NOT NULL REFERENCES directory.organizations,
    version smallint NOT NULL,
    wrapped text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, version)
);

CREATE TABLE directory.portal_keys (
    kid text PRIMARY KEY,
    organization_id bigint NOT NULL REFERENCES directory.organizations,
    slot smallint NOT NULL CHECK (slot IN (1, 2)),
    algorithm text NOT NULL DEFAULT 'HS256',
    secret_sealed text NOT NULL,
    permissions text[] NOT NULL,
    not_after timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX portal_keys_slot ON directory.portal_keys (organization_id, slot);

CREATE TABLE directory.api_tokens (
    id bigint PRIMARY KEY DEFAULT directory.new_id(),
    digest bytea NOT NULL UNIQUE,
    organization_id bigint NOT NULL REFERENCES directory.organizations,
    label text NOT NULL,
    permissions text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    expires_at timestamptz
);
CREATE INDEX api_tokens_organization ON directory.api_tokens (organization_id);

CREATE TABLE directory.used_tokens (
    digest bytea PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX used_tokens_expires ON directory.used_tokens (expires_at);

CREATE TABLE directory.audit (
    id bigint PRIMARY KEY DEFAULT directory.new_id(),
    organization_id bigint NOT NULL,
    actor_kind text NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    detail bytea NOT NULL,
    request_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    seal bytea
);
CREATE INDEX audit_organization ON directory.audit (organization_id, id);

CREATE TABLE directory.facts (
    name text PRIMARY KEY,
    value text NOT NULL
);
"""

_GRANTS = """
GRANT USAGE ON SCHEMA directory TO bridge_directory;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA directory TO bridge_directory;
REVOKE INSERT, UPDATE, DELETE ON directory.schema_version FROM bridge_directory;
REVOKE UPDATE, DELETE ON directory.audit FROM bridge_directory;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA directory TO bridge_directory;
"""


def upgrade() -> None:
    """Create the directory."""
    op.execute(_TABLES)
    op.execute(_GRANTS)
