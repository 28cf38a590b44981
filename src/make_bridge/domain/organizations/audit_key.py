"""The key that signs the heads of audit chains: the installation's own, kept in the directory under the root key.

Made by whoever asks first. It is no derivation of the root key, because signatures have to outlive every rotation:
``root_rotation`` wraps it anew together with what else the installation keeps. Destroying an organization's keys leaves
it alone, so a shredded organization's trail can still be verified.
"""

from dataclasses import dataclass
from typing import Final

from make_bridge.domain.organizations import store
from make_bridge.domain.organizations.keys import ROOT_IN_FORCE
from make_bridge.kernel.errors import ConfigurationError
from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.audit.signing import Signer
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.security.key_wrapping import Wrapping
from make_bridge.platform.security.sealing import Place, SealBroken, Sealed, SealingKey

AUDIT_FACT: Final = "audit_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditKey:
    """Reads the key, and makes it where there is none."""

    directory: Directory
    roots: Wrapping

    async def signer(self) -> Signer:
        """Return what signs; raises ConfigurationError where the root key in force is not here."""
        async with self.directory.write() as tx:
            kept = await store.read_fact(tx, AUDIT_FACT)
            if kept is None:
                # Held until the commit: a rotation that begins meanwhile waits, and finds the key to wrap anew.
                check = await store.hold_fact(tx, ROOT_IN_FORCE)
                wrapped = await self.roots.wrap(audit_key_place(), SealingKey.new_material(), check)
                kept = await store.keep_first_fact(tx, AUDIT_FACT, wrapped.text)
        try:
            return Signer(await self.roots.unwrap(audit_key_place(), Sealed(kept)))
        except SealBroken:
            raise ConfigurationError(
                "The key that signs the audit trail cannot be opened: this process has another root key, or the fact "
                "'audit_key' in the directory was changed."
            ) from None


def audit_key_place() -> Place:
    """Return where the wrapped key belongs."""
    return Place(organization_id=OrganizationId(0), kind="installation", object_id=0, field="audit_key")
