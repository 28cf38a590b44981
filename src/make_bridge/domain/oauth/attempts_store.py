"""The rows of attempts to get a consent: each is begun by one browser, once, and ends with whoever comes back first."""

from dataclasses import dataclass, field
from typing import Final

from make_bridge.domain.oauth.messages import ApplicationId
from make_bridge.kernel.ids import ComponentId, OrganizationId
from make_bridge.platform.database.transactions import WriteTx

_LOCK_MAKING: Final = "SELECT pg_advisory_xact_lock(hashtextextended('make_bridge.oauth_attempts', %s))"
_CLEAN: Final = "DELETE FROM shard.oauth_attempts WHERE organization_id = %s AND expires_at < now()"
_COUNT: Final = "SELECT count(*) AS attempts FROM shard.oauth_attempts WHERE organization_id = %s"
_INSERT: Final = """
INSERT INTO shard.oauth_attempts (ticket, organization_id, connection_id, application_id, flow_id, return_to,
    more_scopes, expires_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, now() + make_interval(secs => %s))
"""
_READ: Final = """
SELECT connection_id, application_id, flow_id, return_to, more_scopes FROM shard.oauth_attempts
WHERE organization_id = %s AND ticket = %s AND state IS NULL AND expires_at > now() FOR UPDATE
"""
_BEGIN: Final = """
UPDATE shard.oauth_attempts SET state = %s, browser = %s, verifier_sealed = %s,
    expires_at = now() + make_interval(secs => %s)
WHERE organization_id = %s AND ticket = %s
"""
_END: Final = """
DELETE FROM shard.oauth_attempts WHERE organization_id = %s AND state = %s
RETURNING connection_id, application_id, flow_id, return_to, more_scopes, browser, verifier_sealed,
    expires_at <= now() AS is_over
"""
_FORGET: Final = """
DELETE FROM shard.oauth_attempts WHERE ticket IN (
    SELECT ticket FROM shard.oauth_attempts WHERE expires_at < now() - interval '1 hour' LIMIT 10000)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAttempt:
    """An attempt that no browser has begun; ``more_scopes`` are asked for beside the application's."""

    ticket: bytes = field(repr=False)
    connection_id: ComponentId
    application_id: ApplicationId
    flow_id: str | None
    return_to: str
    more_scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt whose browser is on its way."""

    connection_id: ComponentId
    application_id: ApplicationId
    flow_id: str | None
    return_to: str
    more_scopes: list[str] = field(default_factory=list)
    browser: bytes = field(default=b"", repr=False)
    verifier_sealed: str = field(default="", repr=False)
    is_over: bool = False


async def room(tx: WriteTx, organization_id: OrganizationId) -> int:
    """Return how many attempts there are; nobody makes another until this transaction ends."""
    await tx.execute(_LOCK_MAKING, (organization_id,))
    await tx.execute(_CLEAN, (organization_id,))
    [row] = await tx.all(_COUNT, (organization_id,))
    return int(row["attempts"])


async def insert(tx: WriteTx, organization_id: OrganizationId, new: NewAttempt, seconds: float) -> None:
    """Write an attempt that ends after so many seconds."""
    attempt = (new.ticket, organization_id, new.connection_id, new.application_id, new.flow_id, new.return_to)
    await tx.execute(_INSERT, (*attempt, list(new.more_scopes), seconds))


async def lock(tx: WriteTx, organization_id: OrganizationId, ticket: bytes) -> Attempt | None:
    """Return an attempt that no browser has begun, or None."""
    row = await tx.one(_READ, (organization_id, ticket))
    return None if row is None else Attempt(**row)


async def begin(
    tx: WriteTx, organization_id: OrganizationId, ticket: bytes, begun: tuple[bytes, bytes, str], seconds: float
) -> None:
    """Note state, browser and verifier of an attempt; it has its time from now."""
    await tx.execute(_BEGIN, (*begun, seconds, organization_id, ticket))


async def end(tx: WriteTx, organization_id: OrganizationId, state: bytes) -> Attempt | None:
    """Take an attempt away and return it: whoever comes second finds none."""
    row = await tx.one(_END, (organization_id, state))
    return None if row is None else Attempt(**{**row, "browser": bytes(row["browser"])})


async def forget(tx: WriteTx) -> int:
    """Drop attempts that nobody came back to."""
    return await tx.execute(_FORGET)
