"""The rows of an organization's people, as its owners and admins manage them (directory).

Acts on the people of one organization wait for each other at its row, so that two of them at once cannot take the last
owner away; the operator's acts (``service``) wait at the memberships.
"""

from typing import Final

from psycopg.rows import DictRow

from make_bridge.domain.users.messages import Member
from make_bridge.domain.users.roles import Role
from make_bridge.kernel.ids import OrganizationId, UserId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_HOLD: Final = "SELECT 1 AS held FROM directory.organizations WHERE id = %s AND shredded_at IS NULL FOR NO KEY UPDATE"
_MEMBERS: Final = """
SELECT u.id, u.email, u.disabled_at, m.role, m.created_at,
    (SELECT max(s.seen_at) FROM directory.sessions s
        WHERE s.user_id = u.id AND s.organization_id = m.organization_id AND s.ends_at > now()) AS seen_at
FROM directory.memberships m JOIN directory.users u ON u.id = m.user_id
WHERE m.organization_id = %(organization_id)s AND (%(user_id)s::bigint IS NULL OR m.user_id = %(user_id)s)
ORDER BY u.email COLLATE "C" LIMIT 10000
"""
_OWNERS: Final = """
SELECT m.user_id, u.disabled_at FROM directory.memberships m JOIN directory.users u ON u.id = m.user_id
WHERE m.organization_id = %s AND m.role = 'owner' FOR UPDATE OF m
"""
# Two organizations may add one address at once: the second one is told that somebody has it.
_ADD_USER: Final = """
INSERT INTO directory.users (email, password) VALUES (%s, %s) ON CONFLICT (email) DO NOTHING RETURNING id
"""
_COUNT: Final = "SELECT count(*) AS members FROM directory.memberships WHERE organization_id = %s"
_IS_ANYWHERE: Final = "SELECT 1 AS found FROM directory.memberships WHERE user_id = %s LIMIT 1"
_REMOVE: Final = "DELETE FROM directory.memberships WHERE user_id = %s AND organization_id = %s"


async def hold_organization(tx: WriteTx, organization_id: OrganizationId) -> bool:
    """Keep others from managing its people until the commit; say whether there is such an organization."""
    return await tx.one(_HOLD, (organization_id,)) is not None


async def members(tx: ReadTx, organization_id: OrganizationId) -> list[Member]:
    """Return the organization's people."""
    rows = await tx.all(_MEMBERS, {"organization_id": organization_id, "user_id": None})
    return [_member_of(row) for row in rows]


async def member(tx: ReadTx, organization_id: OrganizationId, user_id: UserId) -> Member | None:
    """Return one person of the organization."""
    row = await tx.one(_MEMBERS, {"organization_id": organization_id, "user_id": user_id})
    return None if row is None else _member_of(row)


async def owners(tx: WriteTx, organization_id: OrganizationId) -> frozenset[UserId]:
    """Return the owners who can sign in, and keep their memberships as they are until the commit."""
    rows = await tx.all(_OWNERS, (organization_id,))
    return frozenset(UserId(row["user_id"]) for row in rows if row["disabled_at"] is None)


async def add_user(tx: WriteTx, email: str, password: str) -> UserId | None:
    """Write a new person with a hashed password; None where somebody has this address by now."""
    rows = await tx.all(_ADD_USER, (email, password))
    return UserId(rows[0]["id"]) if rows else None


async def count(tx: ReadTx, organization_id: OrganizationId) -> int:
    """Return how many people the organization has."""
    return int((await tx.all(_COUNT, (organization_id,)))[0]["members"])


async def is_anywhere(tx: ReadTx, user_id: UserId) -> bool:
    """Say whether a person is in any organization."""
    return await tx.one(_IS_ANYWHERE, (user_id,)) is not None


async def remove(tx: WriteTx, organization_id: OrganizationId, user_id: UserId) -> None:
    """Take a person out of the organization."""
    await tx.execute(_REMOVE, (user_id, organization_id))


def _member_of(row: DictRow) -> Member:
    return Member(
        user_id=UserId(row["id"]),
        email=row["email"],
        role=Role(row["role"]),
        since=row["created_at"],
        is_disabled=row["disabled_at"] is not None,
        seen_at=row["seen_at"],
    )
