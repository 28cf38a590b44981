"""Who acts, for whom: made once by the edge from verified credentials, passed to every handler.

Handlers never take an actor or a tenant from a message body; a field of that kind in a command
would be a way in. ``permissions`` is the intersection of what the key allows and what the token claims.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from make_bridge.kernel.ids import OrganizationId, TeamId


class ActorKind(StrEnum):
    """What kind of party acts."""

    CUSTOMER = "customer"
    ADMINISTRATOR = "administrator"
    API_TOKEN = "api_token"  # noqa: S105 - the kind's name, no secret
    FLOW = "flow"
    USER = "user"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One authenticated party: ``reference`` is the ``sub``, the id of a token or user, or a subsystem's name."""

    kind: ActorKind
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The authenticated frame of one request or one job."""

    organization_id: OrganizationId
    actor: Actor
    permissions: frozenset[str]
    request_id: str
    team_id: TeamId | None = None
    idempotency_key: str | None = None
    body_digest: bytes | None = field(default=None, repr=False)
    address: str = ""
    """Where the request came from, as far as the edge knows; empty for what no request caused."""

    def allows(self, permission: str) -> bool:
        """Say whether the actor may do this; ``*`` covers all of one organization."""
        return permission in self.permissions or "*" in self.permissions
