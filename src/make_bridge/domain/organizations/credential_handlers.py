"""What owners do with portal keys and API tokens: list, make, rotate, revoke.

An organization has two slots for keys. The newest key is current; the other is previous, and from a rotation on it has
an end. The slots, and the rule that one accepted key stays, are held under the organization's row, so acts at once wait
for each other. Nodes remember keys and tokens for five seconds, which is how long a change takes to reach them all; an
end that was announced is compared with the clock at each request.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, cast, get_args

from make_bridge.domain.organizations import credential_store, store
from make_bridge.domain.organizations.credential_messages import (
    ApiTokenCreated,
    ApiTokenFacts,
    ApiTokenMade,
    ApiTokenRevoked,
    CreateApiToken,
    CreatePortalKey,
    ListApiTokens,
    ListPortalKeys,
    PortalKeyCreated,
    PortalKeyFacts,
    PortalKeyMade,
    PortalKeyRevoked,
    PortalKeyRotated,
    RevokeApiToken,
    RevokePortalKey,
    RotatePortalKey,
)
from make_bridge.domain.organizations.keys import portal_key_place, ring_of
from make_bridge.domain.organizations.model import CredentialLimits, checked_label, checked_overlap, checked_scopes
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import ConfigurationError, Conflict, InvalidInput, NotFound, PermissionDenied
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.transactions import ReadTx, WriteTx
from make_bridge.platform.security.key_wrapping import Wrapping
from make_bridge.platform.security.portal_tokens import Algorithm, public_key
from make_bridge.platform.security.secrets import digest_of, new_api_token, new_key_id, new_secret

Row = dict[str, Any]
_SLOTS: Final = (1, 2)
_ALGORITHMS: Final[tuple[str, ...]] = get_args(Algorithm)
_HMAC: Final = "HS256"
_FULL: Final = "Both slots hold keys that are accepted: revoke one first."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Material:
    """What is sealed of a new key, and what of it its owner is told."""

    algorithm: str
    sealed: bytes = field(repr=False)
    told: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialHandlers:
    """The handlers and views; ``roots`` wrap the data keys that seal portal keys."""

    roots: Wrapping
    clock: Clock
    limits: CredentialLimits = field(default_factory=CredentialLimits)

    async def list_keys(self, tx: ReadTx, context: Context, query: ListPortalKeys) -> list[PortalKeyFacts]:
        """Answer ListPortalKeys."""
        del query
        _require_whole(context)
        return _facts_of(await credential_store.keys(tx, context.organization_id))

    async def create_key(self, work: UnitOfWork, command: CreatePortalKey) -> PortalKeyMade:
        """Make a key; raises InvalidInput, PermissionDenied, and Conflict where no slot is free."""
        organization_id = await _held(work)
        permissions = checked_scopes(command.permissions, work.context.permissions)
        material = _material_of(command.algorithm, command.public_key)
        slot = await self._free_slot(work.tx, organization_id)
        key_id = await self._add(work.tx, organization_id, slot, material, permissions)
        subject = f"portal_key/{key_id}"
        work.touch(subject, algorithm=material.algorithm, permissions=sorted(permissions))
        work.emit(PortalKeyCreated(key_id=key_id, algorithm=material.algorithm), subject=subject)
        return await _made(work.tx, organization_id, key_id, material)

    async def rotate_key(self, work: UnitOfWork, command: RotatePortalKey) -> PortalKeyMade:
        """Make a new current key; raises InvalidInput, NotFound, Conflict while a previous key is still accepted."""
        overlap = self.limits.overlap_seconds if command.overlap_seconds is None else command.overlap_seconds
        not_after = self.clock.now() + timedelta(seconds=checked_overlap(overlap))
        organization_id = await _held(work)
        held = await credential_store.keys(work.tx, organization_id)
        if not held:
            raise NotFound("This organization has no key to rotate: create one.")
        before, *others = held
        for other in others:
            if not self._has_ended(other) and not command.replace_previous:
                raise Conflict("The previous key is still accepted: revoke it first, or say that it is to be replaced.")
            await store.remove_key(work.tx, organization_id, other["kid"])
        material = _material_of(command.algorithm or before["algorithm"], command.public_key)
        permissions = frozenset(before["permissions"])
        checked_scopes(permissions, work.context.permissions)
        if before["not_after"] is not None:
            not_after = min(not_after, before["not_after"])
        await credential_store.end_key(work.tx, organization_id, before["kid"], not_after)
        [slot] = set(_SLOTS) - {before["slot"]}
        key_id = await self._add(work.tx, organization_id, slot, material, permissions)
        subject = f"portal_key/{key_id}"
        work.touch(subject, algorithm=material.algorithm, previous=before["kid"], not_after=not_after)
        work.emit(
            PortalKeyRotated(
                key_id=key_id,
                algorithm=material.algorithm,
                previous_key_id=before["kid"],
                not_after=not_after.isoformat(),
            ),
            subject=subject,
        )
        return await _made(work.tx, organization_id, key_id, material)

    async def revoke_key(self, work: UnitOfWork, command: RevokePortalKey) -> None:
        """Remove a key; raises NotFound, Conflict for the last one that is accepted."""
        organization_id = await _held(work)
        held = await credential_store.keys(work.tx, organization_id)
        if command.key_id not in {row["kid"] for row in held}:
            raise NotFound("There is no such key.")
        accepted = {row["kid"] for row in held if not self._has_ended(row)}
        if accepted == {command.key_id}:
            raise Conflict("This is the only key of the organization that is accepted: make another one first.")
        await store.remove_key(work.tx, organization_id, command.key_id)
        subject = f"portal_key/{command.key_id}"
        work.touch(subject)
        work.emit(PortalKeyRevoked(key_id=command.key_id), subject=subject)

    async def list_tokens(self, tx: ReadTx, context: Context, query: ListApiTokens) -> list[ApiTokenFacts]:
        """Answer ListApiTokens."""
        del query
        _require_whole(context)
        return [_token_facts(row) for row in await credential_store.tokens(tx, context.organization_id)]

    async def create_token(self, work: UnitOfWork, command: CreateApiToken) -> ApiTokenMade:
        """Make an API token; raises InvalidInput, PermissionDenied, Conflict for one too many."""
        organization_id = await _held(work)
        permissions = checked_scopes(command.permissions, work.context.permissions)
        label = checked_label(command.label)
        if command.expires_at is not None and command.expires_at <= self.clock.now():
            raise InvalidInput("A token ends in the future.", fields={"expiresAt": "A token ends in the future."})
        if await credential_store.count_tokens(work.tx, organization_id) >= self.limits.api_tokens:
            raise Conflict(f"An organization has at most {self.limits.api_tokens} API tokens: revoke one first.")
        secret = new_api_token()
        token_id = await credential_store.add_token(
            work.tx,
            organization_id,
            digest=digest_of(secret),
            label=label,
            permissions=permissions,
            expires_at=command.expires_at,
        )
        row = await credential_store.token(work.tx, organization_id, token_id)
        subject = f"api_token/{token_id}"
        work.touch(subject, label=label, permissions=sorted(permissions))
        work.emit(ApiTokenCreated(token_id=token_id), subject=subject)
        return ApiTokenMade(facts=_token_facts(cast("Row", row)), token=secret)

    async def revoke_token(self, work: UnitOfWork, command: RevokeApiToken) -> None:
        """Remove an API token; raises NotFound."""
        organization_id = await _held(work)
        if not await credential_store.remove_token(work.tx, organization_id, command.token_id):
            raise NotFound("There is no such API token.")
        subject = f"api_token/{command.token_id}"
        work.touch(subject)
        work.emit(ApiTokenRevoked(token_id=command.token_id), subject=subject)

    def _has_ended(self, row: Row) -> bool:
        end = cast("datetime | None", row["not_after"])
        return end is not None and end <= self.clock.now()

    async def _free_slot(self, tx: WriteTx, organization_id: OrganizationId) -> int:
        """Return a slot, taken from a key that has ended where none is empty."""
        held = await credential_store.keys(tx, organization_id)
        for row in held:
            if self._has_ended(row):
                await store.remove_key(tx, organization_id, row["kid"])
        taken = {row["slot"] for row in held if not self._has_ended(row)}
        free = [slot for slot in _SLOTS if slot not in taken]
        if not free:
            raise Conflict(_FULL)
        return free[0]

    async def _add(
        self,
        tx: WriteTx,
        organization_id: OrganizationId,
        slot: int,
        material: _Material,
        permissions: frozenset[str],
    ) -> str:
        key_id = new_key_id()
        ring = await ring_of(self.roots, organization_id, await store.data_keys(tx, organization_id))
        sealed = ring.seal(portal_key_place(organization_id, key_id), material.sealed).text
        new = credential_store.StoredKey(
            kid=key_id, slot=slot, algorithm=material.algorithm, sealed=sealed, permissions=permissions
        )
        await credential_store.add_key(tx, organization_id, new)
        return key_id

    def commands(self) -> list[CommandRegistration[Any, Any]]:
        """Return the commands for the composition root."""
        rows: list[tuple[type, Any, Any, str]] = [
            (CreatePortalKey, self.create_key, PortalKeyMade, "organization.create_key"),
            (RotatePortalKey, self.rotate_key, PortalKeyMade, "organization.rotate_key"),
            (RevokePortalKey, self.revoke_key, None, "organization.revoke_key"),
            (CreateApiToken, self.create_token, ApiTokenMade, "organization.create_token"),
            (RevokeApiToken, self.revoke_token, None, "organization.revoke_token"),
        ]
        return [
            CommandRegistration(
                command=command,
                handler=handler,
                result=result,
                permission="organizations:write",
                action=action,
                home="directory",
            )
            for command, handler, result, action in rows
        ]

    def queries(self) -> list[QueryRegistration[Any, Any]]:
        """Return the queries for the composition root."""
        read = "organizations:read"
        return [
            QueryRegistration(query=ListPortalKeys, view=self.list_keys, permission=read, home="directory"),
            QueryRegistration(query=ListApiTokens, view=self.list_tokens, permission=read, home="directory"),
        ]


async def _held(work: UnitOfWork) -> OrganizationId:
    """Hold the organization's row until the commit; raises NotFound, PermissionDenied for who is bound to one team."""
    _require_whole(work.context)
    await store.lock(work.tx, work.context.organization_id)
    return work.context.organization_id


def _require_whole(context: Context) -> None:
    if context.team_id is not None:
        raise PermissionDenied("Keys and tokens are the whole organization's: leave teamId out.")


def _material_of(algorithm: str, pem: str | None) -> _Material:
    """Make a secret, or take a public key in; raises InvalidInput."""
    if algorithm not in _ALGORITHMS:
        sentence = f"The algorithm is one of {', '.join(_ALGORITHMS)}."
        raise InvalidInput(sentence, fields={"algorithm": sentence})
    if algorithm == _HMAC:
        if pem is not None:
            sentence = "A key for HS256 has no public key: its secret is made here. Name RS256 or EdDSA beside it."
            raise InvalidInput(sentence, fields={"publicKey": sentence})
        secret = new_secret()
        return _Material(algorithm=algorithm, sealed=secret.encode(), told=secret)
    if pem is None:
        sentence = f"A key for {algorithm} needs its public key, as PEM; the private half stays with you."
        raise InvalidInput(sentence, fields={"publicKey": sentence})
    try:
        public_key(cast("Algorithm", algorithm), pem)
    except ConfigurationError as error:
        raise InvalidInput(error.message, fields={"publicKey": error.message}) from None
    return _Material(algorithm=algorithm, sealed=pem.encode(), told=None)


async def _made(tx: ReadTx, organization_id: OrganizationId, key_id: str, material: _Material) -> PortalKeyMade:
    keys = _facts_of(await credential_store.keys(tx, organization_id))
    return PortalKeyMade(key=next(key for key in keys if key.key_id == key_id), secret=material.told)


def _facts_of(rows: Sequence[Row]) -> list[PortalKeyFacts]:
    return [
        PortalKeyFacts(
            key_id=row["kid"],
            algorithm=row["algorithm"],
            is_current=row is rows[0],
            permissions=frozenset(row["permissions"]),
            created_at=row["created_at"],
            not_after=row["not_after"],
        )
        for row in rows
    ]


def _token_facts(row: Row) -> ApiTokenFacts:
    return ApiTokenFacts(
        id=row["id"],
        label=row["label"],
        permissions=frozenset(row["permissions"]),
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        expires_at=row["expires_at"],
    )
