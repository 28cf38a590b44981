"""The rows of people: users, memberships, sessions, attempts to sign in. All of them live in the directory.

A session is looked up by its digest before anybody is known; what a person asks of sessions names the person. Nothing
here writes a session's old state back: its use is noted by an UPDATE of the row that is there, so one that was ended
stays ended, whatever reads race with it.
"""

from datetime import timedelta
from typing import Final

from psycopg.rows import DictRow

from make_bridge.domain.users.messages import Account, Session, SessionFacts, UserFacts
from make_bridge.domain.users.model import SessionLimits, SignInLimits
from make_bridge.domain.users.roles import Role
from make_bridge.kernel.ids import OrganizationId, SessionId, UserId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_INSERT_USER: Final = "INSERT INTO directory.users (email, password) VALUES (%s, %s) RETURNING id"
_BY_EMAIL: Final = "SELECT id, email, password, disabled_at FROM directory.users WHERE email = %s"
_EMAIL_OF: Final = "SELECT email FROM directory.users WHERE id = %s"
_HOLD: Final = "SELECT id, email, password, disabled_at FROM directory.users WHERE email = %s FOR UPDATE"
_BY_ID: Final = "SELECT id, email, password, disabled_at FROM directory.users WHERE id = %s"
_HOLD_ID: Final = "SELECT id, email, password, disabled_at FROM directory.users WHERE id = %s FOR UPDATE"
_DISABLE: Final = "UPDATE directory.users SET disabled_at = now() WHERE id = %s AND disabled_at IS NULL"
_ENABLE: Final = "UPDATE directory.users SET disabled_at = NULL WHERE id = %s"
_CHANGE: Final = "UPDATE directory.users SET password = %s WHERE id = %s"
_ROLE_OF: Final = "SELECT role FROM directory.memberships WHERE user_id = %s AND organization_id = %s"
_SET_ROLE: Final = """
INSERT INTO directory.memberships (user_id, organization_id, role) VALUES (%s, %s, %s)
ON CONFLICT (user_id, organization_id) DO UPDATE SET role = excluded.role
"""
_IS_ORGANIZATION: Final = "SELECT 1 AS found FROM directory.organizations WHERE id = %s AND shredded_at IS NULL"
_MEMBERSHIPS: Final = """
SELECT m.organization_id, m.role FROM directory.memberships m
JOIN directory.organizations o ON o.id = m.organization_id AND o.shredded_at IS NULL
WHERE m.user_id = %s ORDER BY m.organization_id LIMIT 1000
"""
_USERS: Final = """
SELECT u.id, u.email, u.created_at, u.disabled_at, m.organization_id, m.role,
    (SELECT count(*) FROM directory.sessions s WHERE s.user_id = u.id AND s.organization_id = m.organization_id
        AND s.ends_at > now()) AS sessions
FROM directory.users u JOIN directory.memberships m ON m.user_id = u.id
WHERE %(organization_id)s::bigint IS NULL OR m.organization_id = %(organization_id)s
ORDER BY u.email, m.organization_id LIMIT 10000
"""
# What is remembered elsewhere is at most seconds old, and each of these conditions ends a session at that look.
_FIND_SESSION: Final = """
SELECT s.id, s.user_id, u.email, s.organization_id, m.role, s.ends_at,
    s.seen_at > now() - make_interval(secs => %(seen_seconds)s) AS is_noted
FROM directory.sessions s
JOIN directory.users u ON u.id = s.user_id AND u.disabled_at IS NULL
JOIN directory.memberships m ON m.user_id = s.user_id AND m.organization_id = s.organization_id
JOIN directory.organizations o ON o.id = s.organization_id AND o.shredded_at IS NULL
WHERE s.digest = %(digest)s AND s.ends_at > now()
    AND s.seen_at > now() - make_interval(secs => %(idle_seconds)s)
"""
_TOUCH: Final = """
UPDATE directory.sessions SET seen_at = now()
WHERE id = %(id)s AND seen_at <= now() - make_interval(secs => %(seen_seconds)s) AND ends_at > now()
    AND seen_at > now() - make_interval(secs => %(idle_seconds)s)
"""
_BEGIN: Final = """
INSERT INTO directory.sessions (digest, user_id, organization_id, ends_at, address, user_agent)
VALUES (%(digest)s, %(user_id)s, %(organization_id)s, now() + make_interval(secs => %(life_seconds)s),
    %(address)s, %(user_agent)s)
RETURNING id, ends_at
"""
_TRIM: Final = """
DELETE FROM directory.sessions WHERE id IN (
    SELECT id FROM directory.sessions WHERE user_id = %s ORDER BY id DESC OFFSET %s
)
RETURNING digest
"""
_SESSIONS: Final = """
SELECT id, organization_id, created_at, seen_at, ends_at, address, user_agent FROM directory.sessions
WHERE user_id = %(user_id)s AND ends_at > now() AND seen_at > now() - make_interval(secs => %(idle_seconds)s)
ORDER BY seen_at DESC, id DESC LIMIT 1000
"""
_LIVE: Final = """
SELECT count(*) AS live FROM directory.sessions
WHERE ends_at > now() AND seen_at > now() - make_interval(secs => %(idle_seconds)s)
"""
_END: Final = "DELETE FROM directory.sessions WHERE user_id = %s AND id = %s RETURNING digest"
_END_SHOWN: Final = "DELETE FROM directory.sessions WHERE digest = %s RETURNING user_id"
_END_OTHERS: Final = "DELETE FROM directory.sessions WHERE user_id = %s AND id <> %s RETURNING digest"
_END_HERE: Final = "DELETE FROM directory.sessions WHERE user_id = %s AND organization_id = %s RETURNING digest"
_END_ALL: Final = "DELETE FROM directory.sessions WHERE user_id = %s"
# Counted before the password is looked at, so that guesses sent all at once count each.
_COUNT_ATTEMPT: Final = """
INSERT INTO directory.sign_in_attempts AS held (digest, attempts) VALUES (%(digest)s, 1)
ON CONFLICT (digest) DO UPDATE SET
    attempts = CASE
        WHEN held.blocked_until > now() THEN held.attempts
        WHEN held.blocked_until IS NOT NULL OR held.since <= now() - %(window)s THEN 1
        ELSE held.attempts + 1 END,
    since = CASE
        WHEN held.blocked_until > now() THEN held.since
        WHEN held.blocked_until IS NOT NULL OR held.since <= now() - %(window)s THEN now()
        ELSE held.since END,
    blocked_until = CASE
        WHEN held.blocked_until > now() THEN held.blocked_until
        WHEN held.blocked_until IS NOT NULL OR held.since <= now() - %(window)s THEN NULL
        WHEN held.attempts + 1 > %(most)s THEN now() + %(block)s END
RETURNING coalesce(extract(epoch FROM blocked_until - now()), 0)::float8 AS wait
"""
_CLEAR_ATTEMPTS: Final = "DELETE FROM directory.sign_in_attempts WHERE digest = %s"
_GIVE_BACK: Final = "UPDATE directory.sign_in_attempts SET attempts = greatest(attempts - 1, 0) WHERE digest = %s"
_FORGET: Final = """
WITH ended AS (
    DELETE FROM directory.sessions WHERE id IN (
        SELECT id FROM directory.sessions
        WHERE ends_at <= now() OR seen_at <= now() - make_interval(secs => %(idle_seconds)s) LIMIT 10000
    ) RETURNING 1
), counted AS (
    DELETE FROM directory.sign_in_attempts WHERE digest IN (
        SELECT digest FROM directory.sign_in_attempts
        WHERE since <= now() - %(window)s AND (blocked_until IS NULL OR blocked_until <= now()) LIMIT 10000
    ) RETURNING 1
)
SELECT (SELECT count(*) FROM ended) + (SELECT count(*) FROM counted) AS gone
"""


async def add_user(tx: WriteTx, email: str, password: str) -> UserId:
    """Write a new person with a hashed password."""
    return UserId((await tx.all(_INSERT_USER, (email, password)))[0]["id"])


async def email_of(tx: ReadTx, user_id: UserId) -> str | None:
    """Return a person's e-mail address."""
    row = await tx.one(_EMAIL_OF, (user_id,))
    return None if row is None else str(row["email"])


async def by_email(tx: ReadTx, email: str) -> Account | None:
    """Return a person by the normalized address."""
    return _account_of(await tx.one(_BY_EMAIL, (email,)))


async def hold(tx: WriteTx, email: str) -> Account | None:
    """Return a person and keep others from changing them until the commit."""
    return _account_of(await tx.one(_HOLD, (email,)))


async def by_id(tx: ReadTx, user_id: UserId) -> Account | None:
    """Return a person."""
    return _account_of(await tx.one(_BY_ID, (user_id,)))


async def hold_person(tx: WriteTx, user_id: UserId) -> Account | None:
    """Return a person who is known by their id, and keep others from changing them until the commit."""
    return _account_of(await tx.one(_HOLD_ID, (user_id,)))


async def disable(tx: WriteTx, user_id: UserId) -> None:
    """Let a person in no more."""
    await tx.execute(_DISABLE, (user_id,))


async def enable(tx: WriteTx, user_id: UserId) -> None:
    """Let a person in again."""
    await tx.execute(_ENABLE, (user_id,))


async def set_password(tx: WriteTx, user_id: UserId, password: str) -> None:
    """Write a person's new hashed password."""
    await tx.execute(_CHANGE, (password, user_id))


async def role_of(tx: ReadTx, user_id: UserId, organization_id: OrganizationId) -> Role | None:
    """Return what a person is in an organization."""
    row = await tx.one(_ROLE_OF, (user_id, organization_id))
    return None if row is None else Role(row["role"])


async def set_role(tx: WriteTx, user_id: UserId, organization_id: OrganizationId, role: Role) -> None:
    """Say what a person is in an organization."""
    await tx.execute(_SET_ROLE, (user_id, organization_id, role.value))


async def is_organization(tx: ReadTx, organization_id: OrganizationId) -> bool:
    """Say whether there is such an organization."""
    return await tx.one(_IS_ORGANIZATION, (organization_id,)) is not None


async def memberships(tx: ReadTx, user_id: UserId) -> dict[OrganizationId, Role]:
    """Return the organizations a person is in, the oldest first."""
    rows = await tx.all(_MEMBERSHIPS, (user_id,))
    return {OrganizationId(row["organization_id"]): Role(row["role"]) for row in rows}


async def users(tx: ReadTx, organization_id: OrganizationId | None) -> list[UserFacts]:
    """Return the people of an organization, or of all."""
    return [
        UserFacts(
            id=UserId(row["id"]),
            email=row["email"],
            organization_id=OrganizationId(row["organization_id"]),
            role=Role(row["role"]),
            created_at=row["created_at"],
            is_disabled=row["disabled_at"] is not None,
            sessions=row["sessions"],
        )
        for row in await tx.all(_USERS, {"organization_id": organization_id})
    ]


async def find_session(tx: ReadTx, digest: bytes, limits: SessionLimits) -> tuple[Session | None, bool]:
    """Return a live session, and whether its use was noted lately."""
    row = await tx.one(_FIND_SESSION, {"digest": digest, **_seconds(limits)})
    if row is None:
        return None, True
    session = Session(
        id=SessionId(row["id"]),
        user_id=UserId(row["user_id"]),
        email=row["email"],
        organization_id=OrganizationId(row["organization_id"]),
        role=Role(row["role"]),
        ends_at=row["ends_at"],
    )
    return session, row["is_noted"]


async def touch_session(tx: WriteTx, session_id: SessionId, limits: SessionLimits) -> None:
    """Note that a session is in use, where it still is there."""
    await tx.execute(_TOUCH, {"id": session_id, **_seconds(limits)})


async def begin_session(tx: WriteTx, values: dict[str, object], limits: SessionLimits) -> tuple[DictRow, list[bytes]]:
    """Write a new session; return its row, and the digests of the oldest ones that went for it."""
    [row] = await tx.all(_BEGIN, {**values, "life_seconds": limits.life_seconds})
    gone = await tx.all(_TRIM, (values["user_id"], limits.most))
    return row, [bytes(old["digest"]) for old in gone]


async def sessions_of(tx: ReadTx, user_id: UserId, limits: SessionLimits) -> list[SessionFacts]:
    """Return a person's live sessions."""
    rows = await tx.all(_SESSIONS, {"user_id": user_id, **_seconds(limits)})
    return [SessionFacts(**row) for row in rows]


async def count_live(tx: ReadTx, limits: SessionLimits) -> int:
    """Return how many sessions let somebody in."""
    return int((await tx.all(_LIVE, _seconds(limits)))[0]["live"])


async def end_session(tx: WriteTx, user_id: UserId, session_id: SessionId) -> bytes | None:
    """End a session of a person; return its digest."""
    row = await tx.one(_END, (user_id, session_id))
    return None if row is None else bytes(row["digest"])


async def end_shown(tx: WriteTx, digest: bytes) -> bool:
    """End the session of a secret, whoever's it is."""
    return await tx.one(_END_SHOWN, (digest,)) is not None


async def end_others(tx: WriteTx, user_id: UserId, keep: SessionId) -> list[bytes]:
    """End a person's other sessions; return their digests."""
    return [bytes(row["digest"]) for row in await tx.all(_END_OTHERS, (user_id, keep))]


async def end_here(tx: WriteTx, user_id: UserId, organization_id: OrganizationId) -> list[bytes]:
    """End a person's sessions in one organization; return their digests."""
    return [bytes(row["digest"]) for row in await tx.all(_END_HERE, (user_id, organization_id))]


async def end_all(tx: WriteTx, user_id: UserId) -> int:
    """End all sessions of a person; return how many there were."""
    return await tx.execute(_END_ALL, (user_id,))


async def count_attempt(tx: WriteTx, digest: bytes, most: int, limits: SignInLimits) -> float:
    """Count an attempt; return for how many seconds it is blocked, 0 for one that may go on."""
    values = {
        "digest": digest,
        "most": most,
        "window": timedelta(seconds=limits.seconds),
        "block": timedelta(seconds=limits.block_seconds),
    }
    return float((await tx.all(_COUNT_ATTEMPT, values))[0]["wait"])


async def clear_attempts(tx: WriteTx, pair: bytes, address: bytes) -> None:
    """Forget the attempts of a pair that was right in the end, and give its address one back."""
    await tx.execute(_CLEAR_ATTEMPTS, (pair,))
    await tx.execute(_GIVE_BACK, (address,))


async def forget_attempts(tx: WriteTx, digest: bytes) -> None:
    """Forget the attempts at something that was right in the end."""
    await tx.execute(_CLEAR_ATTEMPTS, (digest,))


async def forget_ended(tx: WriteTx, sessions: SessionLimits, limits: SignInLimits) -> int:
    """Remove sessions that have ended and attempts that count no more; ten thousand of each at once."""
    values = {"window": timedelta(seconds=limits.seconds), **_seconds(sessions)}
    return int((await tx.all(_FORGET, values))[0]["gone"])


def _seconds(limits: SessionLimits) -> dict[str, float]:
    return {"idle_seconds": limits.idle_seconds, "seen_seconds": limits.seen_seconds}


def _account_of(row: DictRow | None) -> Account | None:
    if row is None:
        return None
    return Account(
        id=UserId(row["id"]),
        email=row["email"],
        password=row["password"],
        is_disabled=row["disabled_at"] is not None,
    )
