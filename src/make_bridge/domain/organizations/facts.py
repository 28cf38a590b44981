"""Sealed facts of the installation itself: a name and a secret text in the directory.

Used by the demo to find its own credentials again. Each fact belongs to an organization, whose data
key seals it.
"""

import hmac
from dataclasses import dataclass

from make_bridge.domain.organizations import store
from make_bridge.domain.organizations.keys import DataKeys
from make_bridge.kernel.errors import ConfigurationError
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.pools import Directory

_FIELD = "fact"
_ROOT_KEY = "root_key_check"


async def require_same_root_key(directory: Directory, check: bytes) -> None:
    """Refuse a root key other than the one this database was set up with.

    ``check`` is derived from the key and tells nothing about it. The first process leaves it here, so a
    second one with a key of its own is stopped before it seals anything that the first cannot open.
    """
    async with directory.write() as tx:
        kept = await store.keep_first_fact(tx, _ROOT_KEY, check.hex())
    if not hmac.compare_digest(kept, check.hex()):
        message = (
            "This database was set up with another root key. Give every process the same one: set "
            "MAKE_BRIDGE_ROOT_KEY_FILE to the key file of the first process (root.key in its data directory)."
        )
        raise ConfigurationError(message)


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
