"""What an organization gets in place of credentials that its archive was made without."""

from typing import Final

from make_bridge.domain.connections.opening import purpose_of
from make_bridge.domain.organizations.keys import place_of
from make_bridge.kernel.ids import ComponentId, OrganizationId
from make_bridge.platform.backups.credentials import Cells
from make_bridge.platform.security.sealing import SealingKey
from make_bridge.platform.security.secrets import new_opaque_token, opaque_token_digest

_NO_VALUES: Final = b"{}"


class NewCredentials:
    """Gives each webhook a new address, and each connection no values: both are for people to pass on and fill in."""

    def refill(self, table: str, cells: Cells, organization_id: OrganizationId, key: SealingKey) -> Cells:
        """Return a row as it is written."""
        if table == "shard.hooks":
            token = new_opaque_token(organization_id)
            place = place_of(organization_id, ("hook", int(cells["id"] or 0), "token"))
            sealed = key.seal(place, token.encode()).text
            return cells | {"token_digest": f"\\x{opaque_token_digest(token).hex()}", "token_sealed": sealed}
        if table == "shard.connections":
            purpose = purpose_of(cells["kind"] or "", ComponentId(int(cells["id"] or 0)))
            return cells | {"secret_sealed": key.seal(place_of(organization_id, purpose), _NO_VALUES).text}
        return cells
