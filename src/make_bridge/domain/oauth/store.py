"""The rows of applications. Every statement names the organization besides the row-level policy."""

from dataclasses import dataclass, field
from typing import Final

from psycopg.rows import DictRow

from make_bridge.domain.oauth.messages import ApplicationFacts, ApplicationId, OAuthApplication
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_NEW_ID: Final = "SELECT shard.new_id() AS id"
_LOCK_MAKING: Final = "SELECT pg_advisory_xact_lock(hashtextextended('make_bridge.oauth_applications', %s))"
_COUNT: Final = "SELECT count(*) AS applications FROM shard.oauth_applications WHERE organization_id = %s"
_INSERT: Final = """
INSERT INTO shard.oauth_applications (id, organization_id, client_secret_sealed, name, client_id, authentication,
    authorize_url, token_url, revoke_url, userinfo_url, issuer, sends_issuer, scopes, hosts)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_COLUMNS: Final = """
SELECT id, name, client_id, authentication, authorize_url, token_url, revoke_url, userinfo_url, issuer, sends_issuer,
       scopes, hosts, client_secret_sealed, created_at
FROM shard.oauth_applications
"""
_GET: Final = _COLUMNS + "WHERE organization_id = %s AND id = %s"
_LOCK: Final = _GET + " FOR UPDATE"
_LIST: Final = _COLUMNS + "WHERE organization_id = %s ORDER BY id LIMIT 1000"
_UPDATE: Final = """
UPDATE shard.oauth_applications SET client_secret_sealed = %s, name = %s, client_id = %s, authentication = %s,
    authorize_url = %s, token_url = %s, revoke_url = %s, userinfo_url = %s, issuer = %s, sends_issuer = %s,
    scopes = %s, hosts = %s, updated_at = now()
WHERE organization_id = %s AND id = %s
"""
_USES: Final = """
SELECT count(*) AS uses FROM shard.oauth_grants WHERE organization_id = %s AND application_id = %s
"""
_DELETE: Final = "DELETE FROM shard.oauth_applications WHERE organization_id = %s AND id = %s"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredApplication:
    """An application with its secret, still sealed."""

    application: OAuthApplication
    secret_sealed: str | None = field(repr=False)


async def new_id(tx: WriteTx) -> ApplicationId:
    """Draw the id of a new application; its secret is sealed for it."""
    [row] = await tx.all(_NEW_ID)
    return ApplicationId(row["id"])


async def count(tx: WriteTx, organization_id: OrganizationId) -> int:
    """Return how many there are; nobody makes another until this transaction ends."""
    await tx.execute(_LOCK_MAKING, (organization_id,))
    [row] = await tx.all(_COUNT, (organization_id,))
    return int(row["applications"])


async def insert(
    tx: WriteTx, organization_id: OrganizationId, application_id: ApplicationId, facts: ApplicationFacts,
    sealed: str | None,
) -> None:  # fmt: skip
    """Write a new application."""
    await tx.execute(_INSERT, (application_id, organization_id, sealed, *_values(facts)))


async def get(tx: ReadTx, organization_id: OrganizationId, application_id: ApplicationId) -> StoredApplication:
    """Return an application; raises NotFound."""
    return _required(await tx.one(_GET, (organization_id, application_id)))


async def lock(tx: WriteTx, organization_id: OrganizationId, application_id: ApplicationId) -> StoredApplication:
    """Return an application that nobody changes until the transaction ends; raises NotFound."""
    return _required(await tx.one(_LOCK, (organization_id, application_id)))


async def list_all(tx: ReadTx, organization_id: OrganizationId) -> list[OAuthApplication]:
    """Return all applications, oldest first."""
    return [read_application(row).application for row in await tx.all(_LIST, (organization_id,))]


async def update(
    tx: WriteTx, organization_id: OrganizationId, application_id: ApplicationId, facts: ApplicationFacts,
    sealed: str | None,
) -> None:  # fmt: skip
    """Write an application anew."""
    await tx.execute(_UPDATE, (sealed, *_values(facts), organization_id, application_id))


async def uses(tx: ReadTx, organization_id: OrganizationId, application_id: ApplicationId) -> int:
    """Return how many connections have their tokens by it."""
    [row] = await tx.all(_USES, (organization_id, application_id))
    return int(row["uses"])


async def delete(tx: WriteTx, organization_id: OrganizationId, application_id: ApplicationId) -> None:
    """Remove an application."""
    await tx.execute(_DELETE, (organization_id, application_id))


def _values(facts: ApplicationFacts) -> tuple[object, ...]:
    return (
        facts.name,
        facts.client_id,
        facts.authentication,
        facts.authorize_url,
        facts.token_url,
        facts.revoke_url,
        facts.userinfo_url,
        facts.issuer,
        facts.sends_issuer,
        list(facts.scopes),
        list(facts.hosts),
    )


def facts_of(row: DictRow) -> ApplicationFacts:
    """Read the facts out of a row that has all their columns."""
    return ApplicationFacts(
        name=row["name"],
        client_id=row["client_id"],
        authentication=row["authentication"],
        authorize_url=row["authorize_url"],
        token_url=row["token_url"],
        revoke_url=row["revoke_url"],
        userinfo_url=row["userinfo_url"],
        issuer=row["issuer"],
        sends_issuer=row["sends_issuer"],
        scopes=tuple(row["scopes"]),
        hosts=tuple(row["hosts"]),
    )


def read_application(row: DictRow) -> StoredApplication:
    """Read a row."""
    application = OAuthApplication(
        id=row["id"],
        facts=facts_of(row),
        has_secret=row["client_secret_sealed"] is not None,
        created_at=row["created_at"],
    )
    return StoredApplication(application=application, secret_sealed=row["client_secret_sealed"])


def _required(row: DictRow | None) -> StoredApplication:
    if row is None:
        raise NotFound("There is no such OAuth application.")
    return read_application(row)
