"""What the edge asks of the directory on every request: keys, tokens, organizations, used tokens.

Each answer is remembered for at most five seconds, so a retired key or a changed origin takes effect
on every node within that time; that something does not exist is remembered too.
``DataKeys`` opens and uses the key that an organization's secrets are sealed with.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from make_bridge.domain.organizations import store
from make_bridge.domain.organizations.messages import Organization, PortalKey
from make_bridge.domain.organizations.model import ApiToken
from make_bridge.kernel.clock import Clock
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.cache.near import NearCache, NearLookUp
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.database.transactions import ConnectionLost
from make_bridge.platform.security.root_key import open_data_key
from make_bridge.platform.security.sealing import KeyRing, Place, SealBroken, Sealed
from make_bridge.platform.security.secrets import digest_of, is_api_token

_SECONDS: Final = 5.0
_RING_SECONDS: Final = 60.0
_MOST: Final = 10_000
_LENGTH_BYTES: Final = 4

Purpose = tuple[str, int, str]
"""What a secret is sealed for: the kind of object, its id, the field."""


def ring_of(roots: KeyRing, organization_id: OrganizationId, wrapped: Mapping[int, str]) -> KeyRing:
    """Return an organization's keys, the newest for sealing; raises SealBroken under another root key."""
    versions = sorted(wrapped, reverse=True)
    current, *older = (open_data_key(roots, organization_id, version, Sealed(wrapped[version])) for version in versions)
    return KeyRing(current, tuple(older))


def portal_key_place(organization_id: OrganizationId, kid: str) -> Place:
    """Return where the secret of a portal key belongs."""
    return Place(organization_id=organization_id, kind="portal_key", object_id=kid, field="secret")


def _place(organization_id: OrganizationId, purpose: Purpose) -> Place:
    kind, object_id, field = purpose
    return Place(organization_id=organization_id, kind=kind, object_id=object_id, field=field)


class DataKeys:
    """The keys that organizations' secrets are sealed with; stores see sealed text and nothing more."""

    def __init__(self, directory: Directory, roots: KeyRing, clock: Clock) -> None:
        """``roots`` holds the root key, and older ones while a rotation is under way."""
        self._directory = directory
        self._roots = roots
        self._rings: NearCache[OrganizationId, KeyRing] = NearCache(clock, seconds=_RING_SECONDS, most=_MOST)

    async def seal(self, organization_id: OrganizationId, purpose: Purpose, secret: bytes) -> str:
        """Return the sealed text; it opens for this organization and purpose only."""
        ring = await self._ring(organization_id)
        return ring.seal(_place(organization_id, purpose), secret).text

    async def open(self, organization_id: OrganizationId, purpose: Purpose, sealed: str) -> bytes:
        """Return the secret; raises SealBroken for text that was changed or moved."""
        return await self.open_at(_place(organization_id, purpose), sealed)

    async def open_at(self, place: Place, sealed: str) -> bytes:
        """Return the secret of a place that is no row of a shard."""
        organization_id = place.organization_id
        try:
            return (await self._ring(organization_id)).open(place, Sealed(sealed))
        except SealBroken:
            # Another node may have made a newer key since this ring was read.
            self._rings.forget(organization_id)
            return (await self._ring(organization_id)).open(place, Sealed(sealed))

    async def _ring(self, organization_id: OrganizationId) -> KeyRing:
        known = self._rings.get(organization_id)
        if known is not None:
            return known
        wrapped = await self._directory.ask(lambda tx: store.data_keys(tx, organization_id))
        if not wrapped:
            raise NotFound("There is no such organization.")
        ring = ring_of(self._roots, organization_id, wrapped)
        self._rings.put(organization_id, ring)
        return ring


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
        self._finder = NearLookUp(clock, self._look_up, seconds=_SECONDS, most=_MOST)

    async def find(self, token: str) -> ApiToken | None:
        """Return whose token this is; None for one that is unknown, expired or of another form."""
        return await self._finder.find(digest_of(token)) if is_api_token(token) else None

    async def _look_up(self, digest: bytes) -> ApiToken | None:
        return await self._directory.ask(lambda tx: store.find_token(tx, digest))


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

    async def _look_up(self, origin: str) -> str | None:
        return origin if await self._directory.ask(lambda tx: store.is_listed(tx, origin)) else None


class TokenLedger:
    """Which single-use tokens were used. Remembered in the directory, so all nodes agree, and nothing else forgets."""

    def __init__(self, directory: Directory) -> None:
        """Write to the directory; without it nobody is let in: the ledger fails closed."""
        self._directory = directory

    async def consume(self, kid: str, jti: str, organization_id: OrganizationId, expires_at: datetime) -> bool:
        """Use a token; True for the first use only. ``expires_at`` is until when it must be remembered.

        The key and the organization are a part of what is remembered: nobody can burn another's tokens.
        """
        parts = [part.encode(errors="surrogatepass") for part in (str(organization_id), kid, jti)]
        digest = hashlib.sha256(b"".join(len(part).to_bytes(_LENGTH_BYTES, "big") + part for part in parts)).digest()
        try:
            return await self._use(digest, expires_at)
        except ConnectionLost:
            # A row that is there now may be ours or a stranger's: only a use that is seen to be the first counts.
            if await self._use(digest, expires_at):
                return True
            raise

    async def _use(self, digest: bytes, expires_at: datetime) -> bool:
        async with self._directory.statement() as tx:
            return await store.consume(tx, digest, expires_at)

    async def purge(self) -> int:
        """Forget uses of tokens that ended long ago; return how many. Ten thousand at once: repeat until none."""
        async with self._directory.write() as tx:
            return await store.purge(tx)
