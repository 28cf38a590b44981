"""Changing one's own password: what happens before anything may be written.

Called by the console. The current password is asked for again, because a session may be somebody else's at an open
desk; attempts at it are counted for the person like those to sign in, before it is looked at. Hashing takes tens of
milliseconds, so both hashes are done before the command, whose transaction holds a connection: it writes the new one
only over the one that was checked.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from make_bridge.domain.users import store
from make_bridge.domain.users.handlers import person_of
from make_bridge.domain.users.messages import Account, ChangePassword
from make_bridge.domain.users.model import LONGEST_PASSWORD, SignInLimits, checked_password, normalized_password
from make_bridge.kernel.context import Context
from make_bridge.kernel.errors import InvalidInput, RateLimited, Unauthenticated
from make_bridge.kernel.ids import SessionId, UserId
from make_bridge.platform.bus.commands import CommandBus
from make_bridge.platform.bus.unit_of_work import UnitOfWork
from make_bridge.platform.database.pools import Directory
from make_bridge.platform.observability.metrics import Metrics
from make_bridge.platform.security.passwords import Passwords

_POLICY: Final = "own_password"
_WRONG: Final = "This is not your current password."
_SAME: Final = "The new password is the one you have: choose another."


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPassword:
    """See the module."""

    directory: Directory
    passwords: Passwords
    commands: CommandBus
    metrics: Metrics
    limits: SignInLimits = field(default_factory=SignInLimits)

    async def change(self, context: Context, keep: SessionId, current: str, new: str) -> list[bytes]:
        """Change it and end all sessions but one; raises InvalidInput, RateLimited, LimitExceeded, Conflict.

        Returns the digests of the sessions that have ended.
        """
        account = await self._account(person_of(context))
        after = checked_password(new, account.email)
        await self._count(account.id)
        # A longer one is nobody's password, and normalizing it costs what its sender likes.
        shown = normalized_password(current) if len(current) <= LONGEST_PASSWORD else ""
        if not await self.passwords.verify(account.password, shown):
            await self._record_refusal(context, account.id)
            raise InvalidInput(_WRONG, code="wrong_password", fields={"currentPassword": _WRONG})
        if after == shown:
            raise InvalidInput(_SAME, fields={"newPassword": _SAME})
        change = ChangePassword(before=account.password, after=await self.passwords.hash(after), keep=keep)
        ended = await self.commands.execute(context, change)
        async with self.directory.write() as tx:
            await store.forget_attempts(tx, _place_of(account.id))
        return ended

    async def _account(self, user_id: UserId) -> Account:
        account = await self.directory.ask(lambda tx: store.by_id(tx, user_id))
        if account is None:
            raise Unauthenticated("You are not signed in, or not any more: sign in and try again.", code="signed_out")
        return account

    async def _count(self, user_id: UserId) -> None:
        """Count an attempt; raises RateLimited after the commit that blocks."""
        async with self.directory.write() as tx:
            wait = await store.count_attempt(tx, _place_of(user_id), self.limits.attempts, self.limits)
        if wait:
            self.metrics.sign_ins.blocked["own_password"].inc()
            raise RateLimited(policy=_POLICY, most=self.limits.attempts, seconds=self.limits.seconds, wait=wait)

    async def _record_refusal(self, context: Context, user_id: UserId) -> None:
        """Write a wrong password into the audit: as many rows as attempts are allowed."""
        async with self.directory.write() as tx:
            work = UnitOfWork(tx, context)
            work.touch(f"user/{user_id}")
            await work.write_record("directory", "user.password_refused")


def _place_of(user_id: UserId) -> bytes:
    return hashlib.sha256(f"own password {user_id}".encode()).digest()
