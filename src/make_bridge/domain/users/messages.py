"""What can be asked of people and their sessions.

Signing in runs before anybody is known, and the operator's acts run across organizations, so neither is a message of
the buses (``signing_in``, ``service``). A session's secret leaves once, in the answer to signing in.
"""

from dataclasses import field
from datetime import datetime

from make_bridge.domain.users.roles import Role
from make_bridge.kernel.ids import OrganizationId, SessionId, UserId
from make_bridge.kernel.messages import Command, Query, message


@message
class Session:
    """Who a session lets in, and where: one person in one organization."""

    id: SessionId
    user_id: UserId
    email: str
    organization_id: OrganizationId
    role: Role
    ends_at: datetime


@message
class Oneself:
    """Who asks, as far as it can be told: a person has an e-mail address, an API token the name it was given."""

    id: int
    name: str
    email: str | None
    permissions: tuple[str, ...]
    organization_name: str
    timezone: str


@message
class WhoAmI(Query[Oneself]):
    """Who one is."""


@message
class SessionFacts:
    """A session as its person sees it."""

    id: SessionId
    organization_id: OrganizationId
    created_at: datetime
    seen_at: datetime
    ends_at: datetime
    address: str
    user_agent: str


@message
class UserFacts:
    """A person as the operator sees them: one row for each organization."""

    id: UserId
    email: str
    organization_id: OrganizationId
    role: Role
    created_at: datetime
    is_disabled: bool
    sessions: int


@message
class Account:
    """A person as signing in needs them; ``password`` is its hash."""

    id: UserId
    email: str
    password: str = field(repr=False)
    is_disabled: bool


@message
class SignInAttempt:
    """What somebody shows to be let in; ``before`` is the session they came with, which ends with the next one."""

    email: str
    password: str = field(repr=False)
    address: str
    user_agent: str
    request_id: str
    organization_id: OrganizationId | None = None
    before: str | None = field(default=None, repr=False)


@message
class SignedIn:
    """A new session. Its secret is told this once."""

    session: Session
    secret: str = field(repr=False)


@message
class ListSessions(Query[list[SessionFacts]]):
    """The live sessions of the person who asks, the one used last first."""


@message
class EndSession(Command[bytes]):
    """End one session of the person who asks; answers with its digest, for who remembers sessions."""

    session_id: SessionId


@message
class SignOut(Command[bytes]):
    """End the session that asks; answers with its digest. The face names the session, from its cookie."""

    session_id: SessionId


@message
class EndOtherSessions(Command[list[bytes]]):
    """End every session of the person who asks except this one; answers with their digests."""

    keep: SessionId


@message
class ChangePassword(Command[list[bytes]]):
    """Write another password over the one that was checked, and end the person's other sessions.

    Both are hashes: checking and making one happens before the transaction. Answers with the digests of what ended.
    """

    before: str = field(repr=False)
    after: str = field(repr=False)
    keep: SessionId


@message
class Member:
    """A person of an organization as its owners and admins see them."""

    user_id: UserId
    email: str
    role: Role
    since: datetime
    is_disabled: bool
    seen_at: datetime | None
    """When one of their live sessions here was used last."""


@message
class Members:
    """An organization's people, and who asks: what they may do with whom follows from their role."""

    asker: UserId
    role: Role
    members: list[Member]


@message
class ListMembers(Query[Members]):
    """The people of the organization, by their addresses."""


@message
class AddMember(Command[Member]):
    """Make a person of this organization with a first password, given as its hash."""

    email: str
    role: Role
    password: str = field(repr=False)


@message
class MemberAdded:
    """A new person. Their first password is told this once."""

    member: Member
    password: str = field(repr=False)


@message
class SetMemberRole(Command[list[bytes]]):
    """Give a person of the organization another role; answers with the digests of their sessions here, which end."""

    user_id: UserId
    role: Role


@message
class RemoveMember(Command[list[bytes]]):
    """Take a person out of the organization; answers with the digests of their sessions here, which end."""

    user_id: UserId
