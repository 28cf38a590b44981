"""What an archive without credentials leaves out: nobody who has the file can call, sign or read anything with it.

Rows that are nothing but a credential stay behind (``ROWS``); of others only the credential does (``COLUMNS``), and the
import puts in its place what the other installation makes itself (``Refill``): an address, an empty connection. What
people have written into blueprints, variables and data stores goes along: nobody can tell which of it is secret.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from make_bridge.kernel.ids import OrganizationId
from make_bridge.platform.security.sealing import SealingKey

Cells = dict[str, str | None]

ROWS: Final[Mapping[str, str]] = {
    "directory.portal_keys": "they sign tokens",
    "directory.api_tokens": "whoever has one gets in",
    "shard.oauth_grants": "tokens of providers",
    "shard.webhook_endpoints": "each signs with its secret",
    "shard.credential_requests": "their links let people in",
    "shard.requested_credentials": "they belong to them",
}
COLUMNS: Final[Mapping[tuple[str, str], str]] = {
    ("shard.connections", "secret_sealed"): "''",
    ("shard.oauth_applications", "client_secret_sealed"): "NULL",
    ("shard.hooks", "token_digest"): "''",
    ("shard.hooks", "token_sealed"): "''",
    # The rule stays: a webhook that asks for signatures takes no call before it has a secret again.
    ("shard.hooks", "settings"): "convert_to((convert_from(settings, 'UTF8')::jsonb"
    " #- '{signature,secrets}')::text, 'UTF8')::text",
}
"""Table and column → the expression that is exported instead."""


class Refill(Protocol):
    """Makes what an archive without credentials lacks."""

    def refill(self, table: str, cells: Cells, organization_id: OrganizationId, key: SealingKey) -> Cells:
        """Return a row as it is written; ``key`` seals for the organization from now on."""
        ...
