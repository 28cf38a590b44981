"""The port to whatever holds the root key: it wraps the data keys of organizations, and gives them back.

The one adapter is ``RootKeys`` (``root_key``): key files beside the program. It is asynchronous so that an adapter may
ask a service of its own over the network. Nothing above it sees a root key; what was unwrapped is remembered for
seconds (``domain/organizations/keys``), so a root that is away is felt within that time and not at each request.
"""

from typing import Protocol

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security.sealing import Place, Sealed, SealingKey


class Wrapping(Protocol):
    """Wraps and unwraps."""

    async def wrap(self, place: Place, material: bytes, check: str | None) -> Sealed:
        """Wrap with the root of this check, None is the current one; raises ConfigurationError where it is not here."""
        ...

    async def unwrap(self, place: Place, wrapped: Sealed) -> bytes:
        """Return what was wrapped; raises SealBroken under a root that is not here, and for what was changed."""
        ...


async def wrap_data_key(roots: Wrapping, organization_id: OrganizationId, version: int, check: str | None) -> Sealed:
    """Return a fresh data key, wrapped, as it is stored."""
    material = SealingKey.new_material()
    return await roots.wrap(data_key_place(organization_id, version), material, check)


async def open_data_key(roots: Wrapping, organization_id: OrganizationId, version: int, wrapped: Sealed) -> SealingKey:
    """Return a stored data key, or raise ``SealBroken``."""
    material = await roots.unwrap(data_key_place(organization_id, version), wrapped)
    return SealingKey(data_key_name(version), material)


def data_key_place(organization_id: OrganizationId, version: int) -> Place:
    """Return where a wrapped data key belongs; a rotation of the root reseals it there."""
    return Place(organization_id=organization_id, kind="data_key", object_id=version, field="material")


def data_key_name(version: int) -> str:
    """Return the name under which boxes know a version of their organization's key."""
    return f"d{version}"
