"""Roles: the one table that says what a person may do.

The permissions are those that routes, commands and queries declare; a test asks every route as every role and
compares the answer with this table. A role holds what the one below it holds. Only an owner may do everything: nobody
can grant more than they hold, so keys and tokens for everything are an owner's to make.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from make_bridge.domain.organizations.model import EVERYTHING, OWN_IDENTITY, SCOPES

OWN_SESSIONS: Final = "sessions:own"
"""To see and end one's own sessions: everybody's, whatever the role, and no scope of keys or tokens."""
OWN_PASSWORD: Final = "password:own"  # noqa: S105 - a permission's name
"""To change one's own password: everybody's too."""
MEMBERS_READ: Final = "members:read"
MEMBERS_WRITE: Final = "members:write"
"""To see and manage the organization's people; no scope of keys or tokens, because only people have a role to give."""


class Role(StrEnum):
    """What a person is in an organization, the widest first."""

    OWNER = "owner"
    ADMIN = "admin"
    EDITOR = "editor"
    OPERATOR = "operator"
    VIEWER = "viewer"


_FOR_ADMINS: Final = frozenset({"audit:read", "oauth:write", "organizations:write", "teams:write"})
_PEOPLE: Final = frozenset({MEMBERS_READ, MEMBERS_WRITE})
_VIEWER: Final = frozenset(
    {
        OWN_SESSIONS,
        OWN_PASSWORD,
        OWN_IDENTITY,
        *(scope for scope in SCOPES - _FOR_ADMINS if scope.endswith(":read")),
    }
)
# Keeps what there is running: runs, retries, replays, reports.
_OPERATOR: Final = _VIEWER | {"scenarios:run", "jobs:write", "events:replay", "reports:write"}
# Makes and changes what the organization offers and what its customers have.
_EDITOR: Final = _OPERATOR | {
    "connections:write",
    "customers:write",
    "datastores:write",
    "datastructures:write",
    "functions:write",
    "integrations:write",
    "scenarios:write",
    "templates:write",
    "variables:write",
    "webhooks:write",
}
# Hands out keys and tokens, of what an admin may do, makes applications at providers known, reads who did what, and
# manages people up to their own role.
_ADMIN: Final = _EDITOR | _FOR_ADMINS | _PEOPLE

PERMISSIONS: Final[Mapping[Role, frozenset[str]]] = {
    Role.OWNER: EVERYTHING,
    Role.ADMIN: _ADMIN,
    Role.EDITOR: _EDITOR,
    Role.OPERATOR: _OPERATOR,
    Role.VIEWER: _VIEWER,
}


def within(role: Role, bound: Role) -> bool:
    """Say whether a role is no wider than another."""
    order = list(Role)
    return order.index(role) >= order.index(bound)
