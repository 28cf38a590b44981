"""The rows of grants: the tokens behind connections, and who may ask for new ones.

Whoever asks takes a number first (``fence``) and keeps others away for a while (``leased_until``). Tokens are written
under that number, and only over older ones: so the answer that was asked for last stands, whoever was paused meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from psycopg.rows import DictRow

from make_bridge.domain.oauth.messages import ApplicationId, GrantKind, OAuthConnection
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ComponentId, OrganizationId, TeamId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_INSERT: Final = """
INSERT INTO shard.oauth_grants (connection_id, organization_id, application_id, kind) VALUES (%s, %s, %s, %s)
"""
_GET: Final = """
SELECT g.connection_id, g.application_id, g.kind, g.access_sealed, g.refresh_sealed, g.subject, g.version, g.reason,
       g.more_scopes,
       c.team_id, c.name, c.state, a.hosts,
       coalesce(extract(epoch FROM now() - g.renewed_at), 0)::float8 AS age,
       coalesce(g.renew_at <= now(), false) AS is_due, coalesce(g.expires_at <= now(), false) AS is_over
FROM shard.oauth_grants g
JOIN shard.connections c ON c.id = g.connection_id
JOIN shard.oauth_applications a ON a.id = g.application_id
WHERE g.organization_id = %s AND g.connection_id = %s
"""
_SHOWN: Final = """
SELECT c.id, c.team_id, c.name, c.state, g.application_id, g.kind, g.scope, g.reason, g.expires_at, g.granted_at
FROM shard.oauth_grants g JOIN shard.connections c ON c.id = g.connection_id
WHERE g.organization_id = %(organization)s
"""
_SHOW: Final = _SHOWN + "AND g.connection_id = %(connection)s"
_LIST: Final = _SHOWN + "AND c.team_id = %(team)s ORDER BY c.id LIMIT 1000"
_TAKE: Final = """
UPDATE shard.oauth_grants SET fence = fence + 1, leased_until = now() + make_interval(secs => %s)
WHERE organization_id = %s AND connection_id = %s AND version = %s AND (leased_until IS NULL OR leased_until < now())
RETURNING fence
"""
_NEXT: Final = """
UPDATE shard.oauth_grants SET fence = fence + 1, leased_until = NULL
WHERE organization_id = %s AND connection_id = %s RETURNING fence
"""
_LEAVE: Final = """
UPDATE shard.oauth_grants SET leased_until = NULL WHERE organization_id = %s AND connection_id = %s AND fence = %s
"""
_KEEP: Final = """
UPDATE shard.oauth_grants SET access_sealed = %(access)s, refresh_sealed = coalesce(%(refresh)s, refresh_sealed),
    scope = coalesce(%(scope)s, scope), version = %(fence)s, reason = '',
    granted_at = coalesce(granted_at, now()), renewed_at = now(),
    expires_at = now() + make_interval(secs => %(life)s), renew_at = now() + make_interval(secs => %(until_due)s),
    leased_until = CASE WHEN fence = %(fence)s THEN NULL ELSE leased_until END
WHERE organization_id = %(organization)s AND connection_id = %(connection)s AND version < %(fence)s
"""
_FORGET: Final = """
UPDATE shard.oauth_grants SET access_sealed = NULL, refresh_sealed = NULL, granted_at = NULL, subject = %s,
    more_scopes = %s
WHERE organization_id = %s AND connection_id = %s
"""
_LOSE: Final = """
UPDATE shard.oauth_grants SET access_sealed = NULL, refresh_sealed = NULL, reason = %s, leased_until = NULL,
    version = fence
WHERE organization_id = %s AND connection_id = %s AND fence = %s AND version = %s
"""
_UNKNOWN: Final = "There is no such OAuth connection."


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What stands behind a connection now; its tokens are sealed. ``more_scopes`` are beside its application's."""

    connection_id: ComponentId
    application_id: ApplicationId
    team_id: TeamId
    name: str
    kind: GrantKind
    state: str
    hosts: tuple[str, ...]
    more_scopes: tuple[str, ...]
    version: int
    subject: str
    reason: str
    is_due: bool
    is_over: bool
    age: float
    access_sealed: str | None = field(repr=False)
    refresh_sealed: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedTokens:
    """Tokens to be kept; ``life`` and ``until_due`` in seconds from now, None where nothing runs out."""

    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    scope: str | None
    life: float | None
    until_due: float | None


async def insert(
    tx: WriteTx, organization_id: OrganizationId, connection_id: ComponentId, application_id: ApplicationId,
    kind: GrantKind,
) -> None:  # fmt: skip
    """Write a grant without tokens."""
    await tx.execute(_INSERT, (connection_id, organization_id, application_id, kind))


async def get(tx: ReadTx, organization_id: OrganizationId, connection_id: ComponentId) -> Grant:
    """Return a grant; raises NotFound."""
    row = await tx.one(_GET, (organization_id, connection_id))
    if row is None:
        raise NotFound(_UNKNOWN)
    return _grant(row)


async def find(tx: ReadTx, organization_id: OrganizationId, connection_id: ComponentId) -> Grant | None:
    """Return a grant, or None for a connection of another kind."""
    row = await tx.one(_GET, (organization_id, connection_id))
    return None if row is None else _grant(row)


async def show(tx: ReadTx, organization_id: OrganizationId, connection_id: ComponentId) -> OAuthConnection:
    """Return a connection; raises NotFound."""
    row = await tx.one(_SHOW, {"organization": organization_id, "connection": connection_id})
    if row is None:
        raise NotFound(_UNKNOWN)
    return OAuthConnection(**row)


async def list_of_team(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> list[OAuthConnection]:
    """Return a team's connections, oldest first."""
    rows = await tx.all(_LIST, {"organization": organization_id, "team": team_id})
    return [OAuthConnection(**row) for row in rows]


async def take(
    tx: WriteTx, organization_id: OrganizationId, connection_id: ComponentId, version: int, seconds: float
) -> int | None:
    """Return the number to ask under, or None: somebody else asks, or the tokens are others by now."""
    row = await tx.one(_TAKE, (seconds, organization_id, connection_id, version))
    return None if row is None else int(row["fence"])


async def next_fence(tx: WriteTx, organization_id: OrganizationId, connection_id: ComponentId) -> int:
    """Return a number above all others: what a person has agreed to replaces whatever is under way."""
    row = await tx.one(_NEXT, (organization_id, connection_id))
    if row is None:
        raise NotFound(_UNKNOWN)
    return int(row["fence"])


async def leave(tx: WriteTx, organization_id: OrganizationId, connection_id: ComponentId, fence: int) -> None:
    """Let the next one ask at once."""
    await tx.execute(_LEAVE, (organization_id, connection_id, fence))


async def keep(
    tx: WriteTx, organization_id: OrganizationId, connection_id: ComponentId, fence: int, tokens: SealedTokens
) -> bool:
    """Write tokens; False when newer ones stand there."""
    parameters = {
        "organization": organization_id,
        "connection": connection_id,
        "fence": fence,
        "access": tokens.access,
        "refresh": tokens.refresh,
        "scope": tokens.scope,
        "life": tokens.life,
        "until_due": tokens.until_due,
    }
    return await tx.execute(_KEEP, parameters) == 1


async def begin_anew(
    tx: WriteTx, organization_id: OrganizationId, connection_id: ComponentId, subject: str, more_scopes: Sequence[str]
) -> None:
    """Drop the tokens before those of a new consent, and note whose account it is, and what was asked for."""
    await tx.execute(_FORGET, (subject, list(more_scopes), organization_id, connection_id))


async def lose(tx: WriteTx, organization_id: OrganizationId, grant: Grant, fence: int, reason: str) -> bool:
    """Drop tokens that the provider takes no more; False when others stand there by now."""
    values = (reason, organization_id, grant.connection_id, fence, grant.version)
    return await tx.execute(_LOSE, values) == 1


def _grant(row: DictRow) -> Grant:
    return Grant(
        connection_id=row["connection_id"],
        application_id=row["application_id"],
        team_id=row["team_id"],
        name=row["name"],
        kind=row["kind"],
        state=row["state"],
        hosts=tuple(row["hosts"]),
        more_scopes=tuple(row["more_scopes"]),
        version=row["version"],
        subject=row["subject"],
        reason=row["reason"],
        is_due=row["is_due"],
        is_over=row["is_over"],
        age=row["age"],
        access_sealed=row["access_sealed"],
        refresh_sealed=row["refresh_sealed"],
    )
