"""People: who they are, what they may do in which organization, and the browsers they are signed in with.

Of a session only the digest of its secret is kept, so that whoever reads this table has no way in. Attempts to sign in
are counted here, by what was tried from where: all processes have to count together.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_TABLES = """
CREATE TABLE directory.users (
    id bigint PRIMARY KEY DEFAULT directory.new_id(),
    email text NOT NULL UNIQUE CHECK (length(email) BETWEEN 3 AND 254),
    password text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz
);

CREATE TABLE directory.memberships (
    user_id bigint NOT NULL REFERENCES directory.users,
    organization_id bigint NOT NULL REFERENCES directory.organizations,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'editor', 'operator', 'viewer')),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, organization_id)
);
CREATE INDEX memberships_organization ON directory.memberships (organization_id, user_id);

CREATE TABLE directory.sessions (
    id bigint PRIMARY KEY DEFAULT directory.new_id(),
    digest bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    user_id bigint NOT NULL,
    organization_id bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    ends_at timestamptz NOT NULL,
    address text NOT NULL CHECK (length(address) <= 64),
    user_agent text NOT NULL CHECK (length(user_agent) <= 200),
    FOREIGN KEY (user_id, organization_id) REFERENCES directory.memberships ON DELETE CASCADE
);
CREATE INDEX sessions_user ON directory.sessions (user_id, id);

CREATE TABLE directory.sign_in_attempts (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    attempts integer NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    blocked_until timestamptz
);
CREATE INDEX sign_in_attempts_since ON directory.sign_in_attempts (since);
"""

_GRANTS = """
GRANT SELECT, INSERT, UPDATE, DELETE
ON directory.users, directory.memberships, directory.sessions, directory.sign_in_attempts TO bridge_directory;
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute(_TABLES)
    op.execute(_GRANTS)
