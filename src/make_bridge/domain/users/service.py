"""The operator's acts on people: make them, give them a role, disable them, set passwords, end their sessions.

What the command line calls. A person may be in several organizations, so these acts belong to no tenant; each is
written into the audit of every organization it concerns. Whatever changes what somebody may do, or how they prove who
they are, ends their sessions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from make_bridge.domain.users import member_store, store
from make_bridge.domain.users.messages import UserFacts
from make_bridge.domain.users.model import checked_email, checked_password, checked_role
from make_bridge.domain.users.roles import Role
from make_bridge.kernel.context import Actor, ActorKind, Context
from make_bridge.kernel.errors import Conflict, InvalidInput, NotFound
from make_bridge.kernel.ids import OrganizationId, UserId
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.database.transactions import ReadTx, WriteTx
from make_bridge.platform.security.passwords import Passwords

_OPERATOR: Final = Actor(kind=ActorKind.SYSTEM, reference="operator")
_NO_PASSWORD: Final = "A new person needs a password."  # noqa: S105 - a sentence
_UNKNOWN: Final = "There is nobody with this e-mail address."


@dataclass(frozen=True, slots=True, kw_only=True)
class UserService:
    """See the module."""

    directory: Directory
    passwords: Passwords

    async def exists(self, email: str) -> bool:
        """Say whether somebody in some organization has this address; raises InvalidInput for what is none."""
        checked = checked_email(email)

        async def look(tx: ReadTx) -> bool:
            found = await store.by_email(tx, checked)
            return found is not None and await member_store.is_anywhere(tx, found.id)

        return await self.directory.ask(look)

    async def create(self, email: str, password: str | None, organization_id: OrganizationId, role_name: str) -> UserId:
        """Make a person, or give one who is known a role; raises InvalidInput, NotFound, Conflict.

        Only a new person has a password set here, and one who is in no organization any more: whoever added them there
        once may know the one before. Changing a role ends the person's sessions.
        """
        address, role = checked_email(email), checked_role(role_name)
        hashed = await self.passwords.hash(checked_password(password, address)) if password is not None else None
        async with self.directory.write() as tx:
            if not await store.is_organization(tx, organization_id):
                raise NotFound("There is no such organization.")
            held = await store.hold(tx, address)
            if held is None:
                if hashed is None:
                    raise InvalidInput(_NO_PASSWORD, fields={"password": "is missing"})
                user_id = await store.add_user(tx, address, hashed)
                await _record(tx, (organization_id,), "user.create", user_id)
            elif not await member_store.is_anywhere(tx, held.id):
                user_id = held.id
                await _begin_anew(tx, user_id, hashed, organization_id)
            elif hashed is not None:
                raise Conflict("Somebody has this e-mail address: leave the password out, or set it by itself.")
            else:
                user_id = held.id
            before = await store.role_of(tx, user_id, organization_id)
            if before is not role:
                await store.set_role(tx, user_id, organization_id, role)
                await store.end_all(tx, user_id)
                await _record(tx, (organization_id,), "user.set_role", user_id, role=role, before=before)
        return user_id

    async def list(self, organization_id: OrganizationId | None) -> list[UserFacts]:
        """Return the people of an organization, or of all."""
        return await self.directory.ask(lambda tx: store.users(tx, organization_id))

    async def disable(self, email: str) -> None:
        """Let a person in nowhere any more; raises NotFound."""
        async with self.directory.write() as tx:
            user_id = await _held(tx, email)
            await store.disable(tx, user_id)
            await store.end_all(tx, user_id)
            await _record(tx, await store.memberships(tx, user_id), "user.disable", user_id)

    async def enable(self, email: str) -> None:
        """Let a disabled person in again, with the password and roles they had; raises NotFound."""
        async with self.directory.write() as tx:
            user_id = await _held(tx, email)
            await store.enable(tx, user_id)
            await _record(tx, await store.memberships(tx, user_id), "user.enable", user_id)

    async def set_password(self, email: str, password: str) -> None:
        """Give a person another password and end their sessions; raises NotFound and InvalidInput."""
        address = checked_email(email)
        hashed = await self.passwords.hash(checked_password(password, address))
        async with self.directory.write() as tx:
            user_id = await _held(tx, address)
            await store.set_password(tx, user_id, hashed)
            await store.end_all(tx, user_id)
            await _record(tx, await store.memberships(tx, user_id), "user.set_password", user_id)

    async def end_sessions(self, email: str) -> int:
        """End all sessions of a person; raises NotFound. Return how many there were."""
        async with self.directory.write() as tx:
            user_id = await _held(tx, email)
            ended = await store.end_all(tx, user_id)
            await _record(tx, await store.memberships(tx, user_id), "user.end_sessions", user_id, ended=ended)
        return ended


async def _begin_anew(tx: WriteTx, user_id: UserId, hashed: str | None, organization_id: OrganizationId) -> None:
    """Give somebody who was left in no organization another password; raises InvalidInput where there is none."""
    if hashed is None:
        raise InvalidInput(_NO_PASSWORD, fields={"password": "is missing"})
    await store.set_password(tx, user_id, hashed)
    await _record(tx, (organization_id,), "user.set_password", user_id)


async def _held(tx: WriteTx, email: str) -> UserId:
    held = await store.hold(tx, checked_email(email))
    if held is None:
        raise NotFound(_UNKNOWN)
    return held.id


async def _record(
    tx: WriteTx,
    organizations: Iterable[OrganizationId],
    action: str,
    user_id: UserId,
    **detail: Role | int | None,
) -> None:
    for organization_id in organizations:
        context = Context(
            organization_id=organization_id, actor=_OPERATOR, permissions=frozenset(), request_id="operator"
        )
        work = UnitOfWork(tx, context)
        work.touch(f"user/{user_id}", **detail)
        await work.write_record("directory", action)
