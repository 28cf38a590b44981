"""What owners and admins do with the people of their organization: see, add, give another role, remove.

Nobody gives a role above their own or touches somebody whose role is above it, and an owner who can sign in stays. The
role of who acts is read in the act's own transaction, so one that was taken a moment ago decides no more.

A person is one account in all organizations of an installation. So only somebody who is in none yet, or in none any
more, is added here, with a first password that whoever adds them is told: an account that opens other organizations too
is nobody's here to hand out or to take in, and adding those is the operator's (``make-bridge user create``).
"""

from dataclasses import dataclass, field
from typing import Any, Final

from make_bridge.domain.users import member_store, store
from make_bridge.domain.users.handlers import person_of
from make_bridge.domain.users.messages import (
    AddMember,
    ListMembers,
    Member,
    MemberAdded,
    Members,
    RemoveMember,
    SetMemberRole,
)
from make_bridge.domain.users.model import MemberLimits, checked_email, checked_password
from make_bridge.domain.users.roles import MEMBERS_READ, MEMBERS_WRITE, PERMISSIONS, Role, within
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import Conflict, NotFound, PermissionDenied
from make_bridge.kernel.ids import UserId
from make_bridge.platform.bus.commands import CommandBus, CommandRegistration
from make_bridge.platform.bus.queries import QueryRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.transactions import ReadTx, WriteTx
from make_bridge.platform.security.passwords import Passwords
from make_bridge.platform.security.secrets import new_password

_KNOWN: Final = (
    "Somebody has this e-mail address already, in this organization or in another of this installation. Its operator "
    "can give them a role here: make-bridge user create."
)
_LAST_OWNER: Final = "This is the organization's last owner who can sign in: make somebody else an owner first."


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberHandlers:
    """The handlers and the view."""

    limits: MemberLimits = field(default_factory=MemberLimits)

    async def list_members(self, tx: ReadTx, context: Context, query: ListMembers) -> Members:
        """Answer ListMembers."""
        del query
        asker = person_of(context)
        role = await _role_of(tx, context, asker, MEMBERS_READ)
        return Members(asker=asker, role=role, members=await member_store.members(tx, context.organization_id))

    async def add(self, work: UnitOfWork, command: AddMember) -> Member:
        """Add a person; raises InvalidInput, PermissionDenied, Conflict for who is known and for one too many."""
        organization_id = work.context.organization_id
        own = await _held(work)
        _require_within(command.role, own)
        email = checked_email(command.email)
        if await member_store.count(work.tx, organization_id) >= self.limits.most:
            raise Conflict(f"An organization has at most {self.limits.most} people: remove somebody first.")
        user_id = await _taken_in(work.tx, email, command.password)
        await store.set_role(work.tx, user_id, organization_id, command.role)
        work.touch(f"user/{user_id}", role=command.role)
        return await _member(work, user_id)

    async def set_role(self, work: UnitOfWork, command: SetMemberRole) -> list[bytes]:
        """Give another role and end the person's sessions here; raises NotFound, PermissionDenied, Conflict."""
        organization_id = work.context.organization_id
        own = await _held(work)
        member = await _member(work, command.user_id)
        _require_within(member.role, own)
        _require_within(command.role, own)
        work.touch(f"user/{command.user_id}", role=command.role, before=member.role)
        if member.role is command.role:
            return []
        await _require_another_owner(work, member)
        await store.set_role(work.tx, command.user_id, organization_id, command.role)
        return await store.end_here(work.tx, command.user_id, organization_id)

    async def remove(self, work: UnitOfWork, command: RemoveMember) -> list[bytes]:
        """Remove a person and end their sessions here; raises NotFound, PermissionDenied, Conflict."""
        organization_id = work.context.organization_id
        own = await _held(work)
        member = await _member(work, command.user_id)
        _require_within(member.role, own)
        await _require_another_owner(work, member)
        ended = await store.end_here(work.tx, command.user_id, organization_id)
        await member_store.remove(work.tx, organization_id, command.user_id)
        work.touch(f"user/{command.user_id}", before=member.role)
        return ended

    def commands(self) -> list[CommandRegistration[Any, Any]]:
        """Return the commands for the composition root."""
        rows: list[tuple[type, Any, Any, str]] = [
            (AddMember, self.add, Member, "member.add"),
            (SetMemberRole, self.set_role, list[bytes], "member.set_role"),
            (RemoveMember, self.remove, list[bytes], "member.remove"),
        ]
        return [
            CommandRegistration(
                command=command, handler=handler, result=result, permission=MEMBERS_WRITE, action=action,
                home="directory",
            )
            for command, handler, result, action in rows
        ]  # fmt: skip

    def queries(self) -> list[QueryRegistration[Any, Any]]:
        """Return the queries for the composition root."""
        return [QueryRegistration(query=ListMembers, view=self.list_members, permission=MEMBERS_READ, home="directory")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcoming:
    """Adds people: makes the first password, and its hash before the command, whose transaction holds a connection."""

    passwords: Passwords
    commands: CommandBus

    async def add(self, context: Context, email: str, role: Role) -> MemberAdded:
        """Add a person; raises what ``MemberHandlers.add`` does, and LimitExceeded when many sign in."""
        password = new_password()
        address = checked_email(email)
        hashed = await self.passwords.hash(checked_password(password, address))
        member = await self.commands.execute(context, AddMember(email=address, role=role, password=hashed))
        return MemberAdded(member=member, password=password)


async def _held(work: UnitOfWork) -> Role:
    """Keep others from managing these people, and return the role of who acts; raises PermissionDenied, NotFound."""
    person = person_of(work.context)
    if not await member_store.hold_organization(work.tx, work.context.organization_id):
        raise NotFound("There is no such organization.")
    return await _role_of(work.tx, work.context, person, MEMBERS_WRITE)


async def _role_of(tx: ReadTx, context: Context, person: UserId, permission: str) -> Role:
    """Return what somebody is now, whatever their session remembers; raises PermissionDenied."""
    role = await store.role_of(tx, person, context.organization_id)
    if role is None or not PERMISSIONS[role] & {permission, "*"}:
        raise PermissionDenied("Your role here was changed meanwhile and does not allow this any more.")
    return role


async def _member(work: UnitOfWork, user_id: UserId) -> Member:
    found = await member_store.member(work.tx, work.context.organization_id, user_id)
    if found is None:
        raise NotFound("There is no such person in this organization.")
    return found


def _require_within(role: Role, own: Role) -> None:
    if not within(role, own):
        raise PermissionDenied(f"Your role here, {own}, is below {role}: only who has that role gives or takes it.")


async def _require_another_owner(work: UnitOfWork, member: Member) -> None:
    if member.role is not Role.OWNER:
        return
    owners = await member_store.owners(work.tx, work.context.organization_id)
    if owners == {member.user_id}:
        raise Conflict(_LAST_OWNER, code="last_owner")


async def _taken_in(tx: WriteTx, email: str, password: str) -> UserId:
    """Return a new person, or one who was left in no organization, with this password; raises Conflict."""
    held = await store.hold(tx, email)
    if held is None:
        made = await member_store.add_user(tx, email, password)
        if made is None:
            raise Conflict(_KNOWN, code="person_known")
        return made
    if held.is_disabled or await member_store.is_anywhere(tx, held.id):
        raise Conflict(_KNOWN, code="person_known")
    await store.set_password(tx, held.id, password)
    return held.id
