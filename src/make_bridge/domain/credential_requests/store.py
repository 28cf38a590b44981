"""The rows of requests for credentials and of the credentials they ask for.

Every statement names the organization besides the row-level policy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from psycopg.rows import DictRow

from make_bridge.domain.credential_requests.messages import (
    CredentialRequest,
    CredentialRequestId,
    RequestedCredential,
    RequestedId,
    Wanted,
)
from make_bridge.domain.credential_requests.model import state_of, status_of
from make_bridge.domain.oauth.model import granted_scopes
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import ComponentId, OrganizationId, TeamId
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_LOCK_MAKING: Final = "SELECT pg_advisory_xact_lock(hashtextextended('make_bridge.credential_requests', %s))"
_COUNT: Final = """
SELECT count(*) AS requests FROM shard.credential_requests WHERE organization_id = %s AND team_id = %s
"""
_INSERT: Final = """
INSERT INTO shard.credential_requests (organization_id, team_id, link, secret_digest, name, description, user_id,
    make_provider_id, external_provider_id, expires_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, now() + make_interval(days => %s)) RETURNING id::text
"""
_NEW_NUMBER: Final = "SELECT shard.new_id() AS number"
_INSERT_WANTED: Final = """
INSERT INTO shard.requested_credentials (number, organization_id, request_id, component, type, wanted, prefill_sealed,
    extends, component_id)
VALUES (%s, %s, %s::uuid, %s, %s, %s, %s, %s, %s)
"""
_BY_LINK: Final = """
SELECT id::text, team_id, secret_digest FROM shard.credential_requests WHERE organization_id = %s AND link = %s
"""
_REQUESTS: Final = """
SELECT id::text, team_id, name, description, user_id, make_provider_id, external_provider_id, created_at, updated_at,
       expires_at, expires_at < now() AS is_over
FROM shard.credential_requests WHERE organization_id = %(organization)s
"""
_GET: Final = f"{_REQUESTS} AND id = %(request)s::uuid"
_LOCK: Final = f"{_GET} FOR UPDATE"
_LIST: Final = f"{_REQUESTS} AND team_id = %(team)s ORDER BY created_at, id LIMIT 10000"
_CREDENTIALS: Final = """
SELECT q.id::text, q.number, q.request_id::text, q.component, q.type, q.wanted, q.prefill_sealed, q.extends,
       q.component_id, q.declined_at IS NOT NULL AS is_declined, q.decline_reason, q.created_at, q.updated_at,
       c.state AS component_state, g.scope AS granted, a.scopes AS asked, g.granted_at
FROM shard.requested_credentials q
LEFT JOIN shard.connections c ON c.id = q.component_id
LEFT JOIN shard.oauth_grants g ON g.connection_id = q.component_id
LEFT JOIN shard.oauth_applications a ON a.id = g.application_id
WHERE q.organization_id = %s AND q.request_id = ANY(%s::uuid[]) ORDER BY q.number LIMIT 1000000
"""
_REQUEST_OF: Final = """
SELECT request_id::text FROM shard.requested_credentials WHERE organization_id = %s AND id = %s::uuid
"""
_SET: Final = """
UPDATE shard.requested_credentials SET component_id = %s, declined_at = CASE WHEN %s THEN now() END,
    decline_reason = %s, updated_at = now()
WHERE organization_id = %s AND id = %s::uuid
"""
_TOUCH: Final = "UPDATE shard.credential_requests SET updated_at = now() WHERE organization_id = %s AND id = %s::uuid"
_DELETE: Final = "DELETE FROM shard.credential_requests WHERE organization_id = %s AND id = %s::uuid"
_UNKNOWN: Final = "There is no such credential request."


class _Wanted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept of a credential that is asked for, apart from what was filled in beforehand."""

    description: str = ""
    scope: tuple[str, ...] = ()
    name_override: str = ""
    app_name: str = ""
    app_modules: tuple[str, ...] = ()
    app_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """A request to be written."""

    team_id: TeamId
    link: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    name: str
    description: str
    user_id: int | None
    make_provider_id: str
    external_provider_id: str
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequested:
    """A credential to be written that a request asks for."""

    number: int
    wanted: Wanted
    prefill_sealed: str | None = field(repr=False)
    extends: ComponentId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A credential with what only handing over needs: the number it was sealed for, and its connection's state."""

    credential: RequestedCredential
    number: int
    prefill_sealed: str | None = field(repr=False)
    component_state: str | None
    component_id: ComponentId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A request with all of it."""

    request: CredentialRequest
    rows: tuple[Row, ...]
    is_over: bool

    def row(self, credential_id: RequestedId) -> Row:
        """Return one of its credentials; raises NotFound."""
        found = next((row for row in self.rows if row.credential.id == credential_id), None)
        if found is None:
            raise NotFound("There is no such credential in this request.")
        return found


async def count(tx: WriteTx, organization_id: OrganizationId, team_id: TeamId) -> int:
    """Return how many requests a team has; nobody makes another until this transaction ends."""
    await tx.execute(_LOCK_MAKING, (team_id,))
    [row] = await tx.all(_COUNT, (organization_id, team_id))
    return int(row["requests"])


async def new_number(tx: WriteTx) -> int:
    """Draw the number of a new credential; what is filled in beforehand is sealed for it."""
    [row] = await tx.all(_NEW_NUMBER)
    return int(row["number"])


async def insert(
    tx: WriteTx, organization_id: OrganizationId, new: NewRequest, asked: Sequence[NewRequested]
) -> CredentialRequestId:
    """Write a request with its credentials."""
    values = (
        organization_id, new.team_id, new.link, new.secret, new.name, new.description, new.user_id,
        new.make_provider_id, new.external_provider_id, new.days,
    )  # fmt: skip
    [row] = await tx.all(_INSERT, values)
    for one in asked:
        wanted = one.wanted
        kept = _Wanted(
            description=wanted.description,
            scope=wanted.scope,
            name_override=wanted.name_override,
            app_name=wanted.app_name,
            app_modules=wanted.app_modules,
            app_version=wanted.app_version,
        )
        row_values = (one.number, organization_id, row["id"], wanted.component, wanted.type, msgspec.json.encode(kept))
        extends = (one.prefill_sealed, one.extends is not None, one.extends)
        await tx.execute(_INSERT_WANTED, (*row_values, *extends))
    return CredentialRequestId(row["id"])


async def by_link(tx: ReadTx, organization_id: OrganizationId, link: bytes) -> DictRow | None:
    """Return id, team and the secret's digest of the request behind an address, or None."""
    return await tx.one(_BY_LINK, (organization_id, link))


async def get(tx: ReadTx, organization_id: OrganizationId, request_id: CredentialRequestId) -> Stored:
    """Return a request; raises NotFound."""
    return await _whole(tx, organization_id, await tx.one(_GET, _named(organization_id, request_id)))


async def lock(tx: WriteTx, organization_id: OrganizationId, request_id: CredentialRequestId) -> Stored:
    """Return a request that nobody else changes until the transaction ends; raises NotFound."""
    return await _whole(tx, organization_id, await tx.one(_LOCK, _named(organization_id, request_id)))


async def request_of(tx: ReadTx, organization_id: OrganizationId, credential_id: RequestedId) -> CredentialRequestId:
    """Return whose a credential is; raises NotFound."""
    row = await tx.one(_REQUEST_OF, (organization_id, credential_id))
    if row is None:
        raise NotFound("There is no such credential.")
    return CredentialRequestId(row["request_id"])


async def list_of_team(tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> list[CredentialRequest]:
    """Return a team's requests, the oldest first."""
    rows = await tx.all(_LIST, {"organization": organization_id, "team": team_id})
    found = await _credentials(tx, organization_id, [row["id"] for row in rows])
    return [_stored(row, found.get(row["id"], [])).request for row in rows]


async def settle(
    tx: WriteTx,
    organization_id: OrganizationId,
    credential: RequestedCredential,
    component_id: ComponentId | None,
    refused: str | None = None,
) -> None:
    """Write what has become of a credential; ``refused`` is the reason of a refusal, None for no refusal."""
    values = (component_id, refused is not None, refused or "", organization_id, credential.id)
    await tx.execute(_SET, values)
    await tx.execute(_TOUCH, (organization_id, credential.request_id))


async def delete(tx: WriteTx, organization_id: OrganizationId, request_id: CredentialRequestId) -> None:
    """Remove a request with its credentials."""
    await tx.execute(_DELETE, (organization_id, request_id))


def _named(organization_id: OrganizationId, request_id: CredentialRequestId) -> dict[str, object]:
    return {"organization": organization_id, "request": request_id}


async def _whole(tx: ReadTx, organization_id: OrganizationId, row: DictRow | None) -> Stored:
    if row is None:
        raise NotFound(_UNKNOWN)
    found = await _credentials(tx, organization_id, [row["id"]])
    return _stored(row, found.get(row["id"], []))


async def _credentials(tx: ReadTx, organization_id: OrganizationId, requests: list[str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in await tx.all(_CREDENTIALS, (organization_id, requests)):
        found.setdefault(row["request_id"], []).append(_row(row))
    return found


def _stored(row: DictRow, rows: Sequence[Row]) -> Stored:
    credentials = tuple(one.credential for one in rows)
    request = CredentialRequest(
        id=CredentialRequestId(row["id"]),
        team_id=row["team_id"],
        name=row["name"],
        description=row["description"],
        user_id=row["user_id"],
        make_provider_id=row["make_provider_id"],
        external_provider_id=row["external_provider_id"],
        status=status_of([one.state for one in credentials], is_over=row["is_over"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        expires_at=row["expires_at"],
        credentials=credentials,
    )
    return Stored(request=request, rows=tuple(rows), is_over=row["is_over"])


def _row(row: DictRow) -> Row:
    wanted = msgspec.json.decode(bytes(row["wanted"]), type=_Wanted)
    granted = granted_scopes(row["granted"] or "", row["asked"] or ()) if row["granted_at"] is not None else ()
    missing = set(wanted.scope) - set(granted) if row["extends"] else set()
    state = state_of(is_declined=row["is_declined"], component_state=row["component_state"], missing=missing)
    credential = RequestedCredential(
        id=RequestedId(row["id"]),
        request_id=CredentialRequestId(row["request_id"]),
        component=row["component"],
        type=row["type"],
        description=wanted.description,
        scope=wanted.scope,
        name_override=wanted.name_override,
        app_name=wanted.app_name,
        app_modules=wanted.app_modules,
        app_version=wanted.app_version,
        extends=row["extends"],
        state=state,
        decline_reason=row["decline_reason"],
        component_id=row["component_id"] if state == "authorized" or row["extends"] else None,
        granted=granted,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
    return Row(
        credential=credential,
        number=row["number"],
        prefill_sealed=row["prefill_sealed"],
        component_state=row["component_state"],
        component_id=row["component_id"],
    )
