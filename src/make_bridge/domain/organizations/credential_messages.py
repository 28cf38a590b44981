"""What can be asked of an organization's portal keys and API tokens, and what is told of them.

Everything here lives in the directory. Secrets leave once, in the answer of the command that made them.
"""

from datetime import datetime
from typing import ClassVar

from make_bridge.kernel.messages import Command, Event, Query, message


@message
class PortalKeyFacts:
    """A signing key as it is shown; ``not_after`` is when it stops being accepted."""

    key_id: str
    algorithm: str
    is_current: bool
    permissions: frozenset[str]
    created_at: datetime
    not_after: datetime | None


@message
class PortalKeyMade:
    """A key that was just made. Its secret is shown this once; of a registered public key there is none."""

    key: PortalKeyFacts
    secret: str | None

    def __repr__(self) -> str:
        """Show no secret."""
        return f"PortalKeyMade({self.key.key_id})"


@message
class ListPortalKeys(Query[list[PortalKeyFacts]]):
    """The keys of the organization, the current one first."""


@message
class CreatePortalKey(Command[PortalKeyMade]):
    """Put a key into the free slot. It is for one algorithm; RS256 and EdDSA bring their public key (PEM)."""

    algorithm: str = "HS256"
    public_key: str | None = None
    permissions: frozenset[str] = frozenset({"*"})


@message
class RotatePortalKey(Command[PortalKeyMade]):
    """Make a new current key; the one before goes on for ``overlap_seconds``, None is the usual time.

    Without an algorithm it is that of the current key. A previous key that is still accepted is only replaced where
    ``replace_previous`` says so.
    """

    overlap_seconds: int | None = None
    algorithm: str | None = None
    public_key: str | None = None
    replace_previous: bool = False


@message
class RevokePortalKey(Command[None]):
    """Remove a key; every node refuses it within five seconds."""

    key_id: str


@message
class ApiTokenFacts:
    """An API token as it is shown; the token itself is kept nowhere."""

    id: int
    label: str
    permissions: frozenset[str]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


@message
class ApiTokenMade:
    """An API token that was just made; it is shown this once."""

    facts: ApiTokenFacts
    token: str

    def __repr__(self) -> str:
        """Show no secret."""
        return f"ApiTokenMade({self.facts.id})"


@message
class ListApiTokens(Query[list[ApiTokenFacts]]):
    """The API tokens of the organization, the oldest first."""


@message
class CreateApiToken(Command[ApiTokenMade]):
    """Make an API token with some scopes; nobody can give more than they have."""

    label: str
    permissions: frozenset[str]
    expires_at: datetime | None = None


@message
class RevokeApiToken(Command[None]):
    """Remove an API token; every node refuses it within five seconds."""

    token_id: int


@message
class PortalKeyCreated(Event):
    """An organization has one more portal key."""

    wire_name: ClassVar[str] = "portal_key.created.v1"
    key_id: str
    algorithm: str


@message
class PortalKeyRotated(Event):
    """A new portal key is current; the one before is accepted until ``not_after``."""

    wire_name: ClassVar[str] = "portal_key.rotated.v1"
    key_id: str
    algorithm: str
    previous_key_id: str
    not_after: str


@message
class PortalKeyRevoked(Event):
    """A portal key was removed."""

    wire_name: ClassVar[str] = "portal_key.revoked.v1"
    key_id: str


@message
class ApiTokenCreated(Event):
    """An organization has one more API token."""

    wire_name: ClassVar[str] = "api_token.created.v1"
    token_id: int


@message
class ApiTokenRevoked(Event):
    """An API token was removed."""

    wire_name: ClassVar[str] = "api_token.revoked.v1"
    token_id: int
