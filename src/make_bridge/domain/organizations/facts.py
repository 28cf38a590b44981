"""Sealed facts of the installation itself: a name and a secret text in the directory.

Used by the demo to find its own credentials again. Each fact belongs to an organization, whose data
key seals it.
"""

import asyncio
from dataclasses import dataclass

from make_bridge.domain.organizations import store
from make_bridge.domain.organizations.keys import ROOT_IN_FORCE, DataKeys
from make_bridge.kernel.errors import ConfigurationError
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.security.root_key import RootKeys

_FIELD = "fact"
ROOT_BEFORE = "root_key_check_before"
"""The fact that a rotation of the root key is under way: which key may still have wrapped something."""


async def require_same_root_key(directory: Directory, roots: RootKeys) -> None:
    """Refuse root keys other than the one this database was set up with.

    What is kept of a key is derived from it and tells nothing about it. The first process leaves it here, so a second
    one with a key of its own is stopped before it seals anything that the first cannot open. While a rotation is under
    way both keys are needed.
    """
    async with directory.write() as tx:
        kept = await store.keep_first_fact(tx, ROOT_IN_FORCE, roots.current.check)
        before = await store.read_fact(tx, ROOT_BEFORE)
    if not await asyncio.to_thread(roots.knows, kept):
        message = (
            "This database was set up with another root key, or its root key was rotated. Give every process the same "
            "one: set MAKE_BRIDGE_ROOT_KEY_FILE to the key file of the first process (root.key in its data directory)."
        )
        raise ConfigurationError(message)
    if before is not None and not await asyncio.to_thread(roots.knows, before):
        raise ConfigurationError(
            "A rotation of the root key is under way and needs the key before as well: keep it in the root key's file, "
            "put the new one beside it with '.next' behind its name, and repeat 'make-bridge keys rotate-root'."
        )


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
