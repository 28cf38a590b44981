"""What the edge asks of the directory on every request: keys, tokens, organizations, used tokens.

Each answer is remembered for at most five seconds, so a retired key or a changed origin takes effect
on every node within that time; that something does not exist is remembered too.
``DataKeys`` opens and uses the key that an organization's secrets are sealed with.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from make_bridge.domain.organizations import credential_store, store
from make_bridge.domain.organizations.messages import Organization, PortalKey
from make_bridge.domain.organizations.model import ApiToken
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.entropy import random_hex
from make_bridge.kernel.errors import Gone, NotFound, Unavailable
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.cache.near import CacheNumbers, NearLookUp
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.database.transactions import ConnectionLost, WriteTx, again
from make_bridge.platform.queue.group_commit import GroupCommit
from make_bridge.platform.security.key_wrapping import Wrapping, open_data_key, wrap_data_key
from make_bridge.platform.security.sealing import KeyRing, Place, SealBroken, Sealed
from make_bridge.platform.security.secrets import digest_of, is_api_token

_SECONDS: Final = 5.0
RING_SECONDS: Final = 5.0
_MOST: Final = 10_000
_LENGTH_BYTES: Final = 4
_CLAIM_BYTES: Final = 16
_LARGEST_BATCH: Final = 200

ROOT_IN_FORCE: Final = "root_key_check"
"""The fact that says which root key wraps what is made now."""

Purpose = tuple[str, int, str]
"""What a secret is sealed for: the kind of object, its id, the field."""


async def ring_of(roots: Wrapping, organization_id: OrganizationId, wrapped: Mapping[int, str]) -> KeyRing:
    """Return an organization's keys, the newest for sealing.

    Raises SealBroken under another root key, Gone where the keys were destroyed.
    """
    if not wrapped:
        raise Gone("The keys of this organization were destroyed: nothing that was sealed for it can be opened.")
    versions = sorted(wrapped, reverse=True)
    keys = [await open_data_key(roots, organization_id, version, Sealed(wrapped[version])) for version in versions]
    return KeyRing(keys[0], tuple(keys[1:]))


async def add_data_key(tx: WriteTx, roots: Wrapping, organization_id: OrganizationId, version: int) -> None:
    """Make a data key of this version unless there is one, wrapped by the root that the database says is in force.

    What says so is held until the commit, so a rotation of the root that begins meanwhile waits and finds this key.
    """
    check = await store.hold_fact(tx, ROOT_IN_FORCE)
    wrapped = await wrap_data_key(roots, organization_id, version, check)
    await store.add_data_key(tx, organization_id, version, wrapped.text)


def portal_key_place(organization_id: OrganizationId, kid: str) -> Place:
    """Return where the secret of a portal key belongs."""
    return Place(organization_id=organization_id, kind="portal_key", object_id=kid, field="secret")


def place_of(organization_id: OrganizationId, purpose: Purpose) -> Place:
    """Return where what is sealed for a purpose belongs."""
    kind, object_id, field = purpose
    return Place(organization_id=organization_id, kind=kind, object_id=object_id, field=field)


class DataKeys:
    """The keys that organizations' secrets are sealed with; stores see sealed text and nothing more."""

    def __init__(self, directory: Directory, roots: Wrapping, clock: Clock) -> None:
        """``roots`` holds the root key, and the next one while a rotation is under way."""
        self._directory = directory
        self._roots = roots
        self._finder = NearLookUp(clock, self._look_up, seconds=RING_SECONDS, most=_MOST)

    async def seal(self, organization_id: OrganizationId, purpose: Purpose, secret: bytes) -> str:
        """Return the sealed text; it opens for this organization and purpose only."""
        ring = await self._ring(organization_id)
        return ring.seal(place_of(organization_id, purpose), secret).text

    async def open(self, organization_id: OrganizationId, purpose: Purpose, sealed: str) -> bytes:
        """Return the secret; raises SealBroken for text that was changed or moved."""
        return await self.open_at(place_of(organization_id, purpose), sealed)

    async def open_at(self, place: Place, sealed: str) -> bytes:
        """Return the secret of a place that is no row of a shard."""
        organization_id = place.organization_id
        try:
            return (await self._ring(organization_id)).open(place, Sealed(sealed))
        except SealBroken:
            # Another node may have made a newer key since this ring was read.
            self._finder.forget(organization_id)
            return (await self._ring(organization_id)).open(place, Sealed(sealed))

    async def newest_ring(self, organization_id: OrganizationId) -> KeyRing:
        """Return the organization's keys as the directory has them now."""
        self._finder.forget(organization_id)
        return await self._ring(organization_id)

    def forget(self, organization_id: OrganizationId) -> None:
        """Drop what is remembered of keys that were destroyed."""
        self._finder.forget(organization_id)

    def numbers(self) -> CacheNumbers:
        """Return what became of the reads of keys."""
        return self._finder.numbers()

    async def _ring(self, organization_id: OrganizationId) -> KeyRing:
        found = await self._finder.find(organization_id)
        if found is None:
            raise NotFound("There is no such organization.")
        return found

    async def _look_up(self, organization_id: OrganizationId) -> KeyRing | None:
        wrapped = await self._directory.ask(lambda tx: store.data_keys(tx, organization_id))
        if not wrapped and await self._directory.ask(lambda tx: store.get(tx, organization_id)) is None:
            return None
        return await ring_of(self._roots, organization_id, wrapped)


class PortalKeys:
    """The signing keys of portal tokens."""

    def __init__(self, directory: Directory, sealing: DataKeys, clock: Clock) -> None:
        """``sealing`` opens the secrets."""
        self._directory = directory
        self._sealing = sealing
        self._finder = NearLookUp(clock, self._look_up, seconds=_SECONDS, most=_MOST)

    async def find(self, kid: str) -> PortalKey | None:
        """Return a key with its opened secret; None for an id that no key has."""
        return await self._finder.find(kid)

    def forget(self, kid: str) -> None:
        """Drop a key that was changed here."""
        self._finder.forget(kid)

    def numbers(self) -> CacheNumbers:
        """Return what became of the reads."""
        return self._finder.numbers()

    async def _look_up(self, kid: str) -> PortalKey | None:
        row = await self._directory.ask(lambda tx: store.find_key(tx, kid))
        if row is None:
            return None
        organization_id = OrganizationId(row["organization_id"])
        return PortalKey(
            kid=kid,
            organization_id=organization_id,
            algorithm=row["algorithm"],
            secret=await self._sealing.open_at(portal_key_place(organization_id, kid), row["secret_sealed"]),
            permissions=frozenset(row["permissions"]),
            not_after=row["not_after"],
        )


class ApiTokens:
    """The tokens of the management API."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        """Look tokens up by their digests."""
        self._directory = directory
        self._clock = clock
        self._finder = NearLookUp(clock, self._look_up, seconds=_SECONDS, most=_MOST)

    async def find(self, token: str) -> ApiToken | None:
        """Return whose token this is; None for one that is unknown, expired or of another form."""
        found = await self._finder.find(digest_of(token)) if is_api_token(token) else None
        has_ended = found is not None and found.expires_at is not None and found.expires_at <= self._clock.now()
        return None if has_ended else found

    def numbers(self) -> CacheNumbers:
        """Return what became of the reads."""
        return self._finder.numbers()

    async def _look_up(self, digest: bytes) -> ApiToken | None:
        """Find a token in the directory and note its use: with a look each five seconds, not with each request."""
        found, is_noted = await self._directory.ask(lambda tx: store.find_token(tx, digest))
        if found is not None and not is_noted:
            # What only tells an owner something must not keep anybody out.
            with suppress(Unavailable):
                async with self._directory.write() as tx:
                    await credential_store.touch_token(tx, found.id)
        return found


class OrganizationReader:
    """The facts of organizations."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        """Read from the directory."""
        self._directory = directory
        self._finder = NearLookUp(clock, self._look_up, seconds=_SECONDS, most=_MOST)

    async def get(self, organization_id: OrganizationId) -> Organization:
        """Return an organization; raises NotFound."""
        found = await self._finder.find(organization_id)
        if found is None:
            raise NotFound("There is no such organization.")
        return found

    def forget(self, organization_id: OrganizationId) -> None:
        """Drop an organization that was changed here."""
        self._finder.forget(organization_id)

    def numbers(self) -> CacheNumbers:
        """Return what became of the reads."""
        return self._finder.numbers()

    async def _look_up(self, organization_id: OrganizationId) -> Organization | None:
        return await self._directory.ask(lambda tx: store.get(tx, organization_id))


class ListedOrigins:
    """The origins that any organization lists: what a browser may be told before anybody knows whose page it shows."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        """Read from the directory."""
        self._directory = directory
        self._finder = NearLookUp(clock, self._look_up, seconds=_SECONDS, most=_MOST)

    async def is_listed(self, origin: str) -> bool:
        """Say whether any organization lists this origin, to the letter."""
        return await self._finder.find(origin) is not None

    def numbers(self) -> CacheNumbers:
        """Return what became of the reads."""
        return self._finder.numbers()

    async def _look_up(self, origin: str) -> str | None:
        return origin if await self._directory.ask(lambda tx: store.is_listed(tx, origin)) else None


class TokenLedger:
    """Which single-use tokens were used. Remembered in the directory, so all nodes agree, and nothing else forgets.

    Those that come at the same time are written together.
    """

    def __init__(self, directory: Directory) -> None:
        """Write to the directory; without it nobody is let in: the ledger fails closed."""
        self._directory = directory
        self._writer: GroupCommit[tuple[bytes, datetime, bytes], bool] = GroupCommit(self._use, largest=_LARGEST_BATCH)

    async def consume(self, kid: str, jti: str, organization_id: OrganizationId, expires_at: datetime) -> bool:
        """Use a token; True for the first use only. ``expires_at`` is until when it must be remembered.

        The key and the organization are a part of what is remembered: nobody can burn another's tokens. When the
        connection breaks, a row that is there afterwards may be ours or another's: its ``claim`` says whose.
        """
        parts = [part.encode(errors="surrogatepass") for part in (str(organization_id), kid, jti)]
        digest = hashlib.sha256(b"".join(len(part).to_bytes(_LENGTH_BYTES, "big") + part for part in parts)).digest()
        claim = bytes.fromhex(random_hex(_CLAIM_BYTES))
        use = (digest, expires_at, claim)
        try:
            return await self._writer.submit(use)
        except ConnectionLost:
            if await again(lambda: self._writer.submit(use)):
                return True
            return await self._directory.ask(lambda tx: store.is_claimed(tx, digest, claim))

    async def _use(self, uses: Sequence[tuple[bytes, datetime, bytes]]) -> list[bool]:
        async with self._directory.statement() as tx:
            first = await store.consume(tx, uses)
        return [claim in first for _, _, claim in uses]

    async def purge(self) -> int:
        """Forget uses of tokens that ended long ago; return how many. Ten thousand at once: repeat until none."""
        async with self._directory.write() as tx:
            return await store.purge(tx)
