"""Sealed facts of the installation itself: a name and a secret text in the directory.

Used by the demo to find its own credentials again. Each fact belongs to an organization, whose data
key seals it.
"""

from dataclasses import dataclass

from make_bridge.domain.organizations import store
from make_bridge.domain.organizations.keys import DataKeys
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.pools import Directory

_FIELD = "fact"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFacts:
    """Reads and writes them."""

    directory: Directory
    data_keys: DataKeys

    async def read_fact(self, name: str) -> bytes | None:
        """Return a fact opened, or None."""
        async with self.directory.read() as tx:
            stored = await store.read_fact(tx, name)
        if stored is None:
            return None
        organization, _, sealed = stored.partition(" ")
        organization_id = OrganizationId(int(organization))
        return await self.data_keys.open(organization_id, (_FIELD, 0, name), sealed)

    async def write_fact(self, name: str, organization_id: OrganizationId, value: bytes) -> None:
        """Seal a fact and keep it under its name."""
        sealed = await self.data_keys.seal(organization_id, (_FIELD, 0, name), value)
        async with self.directory.write() as tx:
            await store.write_fact(tx, name, f"{organization_id} {sealed}")
