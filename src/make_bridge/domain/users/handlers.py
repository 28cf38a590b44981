"""What people do with their own sessions and password. Who they are comes from the context alone."""

from dataclasses import dataclass
from typing import Any

from make_bridge.domain.users import store
from make_bridge.domain.users.messages import ChangePassword, EndOtherSessions, EndSession, SignOut
from make_bridge.domain.users.roles import OWN_PASSWORD, OWN_SESSIONS
from make_bridge.kernel.context import ActorKind, Context
from make_bridge.kernel.errors import Conflict, NotFound, PermissionDenied
from make_bridge.kernel.ids import UserId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHandlers:
    """The handlers."""

    async def end(self, work: UnitOfWork, command: EndSession | SignOut) -> bytes:
        """End one session; raises NotFound, for a stranger's too."""
        digest = await store.end_session(work.tx, person_of(work.context), command.session_id)
        if digest is None:
            raise NotFound("There is no such session.")
        work.touch(f"session/{command.session_id}")
        return digest

    async def end_others(self, work: UnitOfWork, command: EndOtherSessions) -> list[bytes]:
        """End all sessions but one."""
        user_id = person_of(work.context)
        digests = await store.end_others(work.tx, user_id, command.keep)
        work.touch(f"user/{user_id}", ended=len(digests))
        return digests

    async def change_password(self, work: UnitOfWork, command: ChangePassword) -> list[bytes]:
        """Write the new password; raises Conflict where the one that was checked is not theirs any more."""
        user_id = person_of(work.context)
        held = await store.hold_person(work.tx, user_id)
        if held is None or held.is_disabled or held.password != command.before:
            raise Conflict("Your password was changed meanwhile: sign in again.")
        await store.set_password(work.tx, user_id, command.after)
        digests = await store.end_others(work.tx, user_id, command.keep)
        work.touch(f"user/{user_id}", ended=len(digests))
        return digests

    def commands(self) -> list[CommandRegistration[Any, Any]]:
        """Return the commands for the composition root."""
        rows: list[tuple[type, Any, Any, str, str]] = [
            (EndSession, self.end, bytes, "session.end", OWN_SESSIONS),
            (SignOut, self.end, bytes, "session.sign_out", OWN_SESSIONS),
            (EndOtherSessions, self.end_others, list[bytes], "session.end_others", OWN_SESSIONS),
            (ChangePassword, self.change_password, list[bytes], "user.change_password", OWN_PASSWORD),
        ]
        return [
            CommandRegistration(
                command=command, handler=handler, result=result, permission=permission, action=action,
                home="directory",
            )
            for command, handler, result, action, permission in rows
        ]  # fmt: skip


def person_of(context: Context) -> UserId:
    """Return which person acts; raises PermissionDenied for keys, tokens and everything else that is none."""
    if context.actor.kind is not ActorKind.USER:
        raise PermissionDenied("Only a person who is signed in has sessions.")
    return UserId(int(context.actor.reference))
