"""Passwords of people: argon2id, as much of it at a time as this process can afford.

Hashing one takes tens of milliseconds and 64 MiB on purpose, so it happens in few threads of its own, and only so many
may wait for them: who asks beyond that is told to come again. A password for nobody is checked like any other, against
a hash that nothing fits, so that the time of a refusal does not tell whether somebody is known here.
"""

import asyncio
import base64
import secrets
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from make_bridge.kernel.errors import LimitExceeded

_PASSES: Final = 2
_MEMORY_KIB: Final = 64 * 1024
_LANES: Final = 1
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_BUSY: Final = "Many people are signing in at this moment: try again in a few seconds."
_RETRY_SECONDS: Final = 3.0
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordCost:
    """``at_once`` are hashed at a time, each in 64 MiB; ``waiting`` more may stand in line."""

    at_once: int = 2
    waiting: int = 20


class Passwords:
    """Hashes and checks; see the module."""

    def __init__(self, cost: PasswordCost | None = None) -> None:
        """Make room; threads begin with their first work and end with the process."""
        cost = cost or PasswordCost()
        self._hasher = PasswordHasher(
            time_cost=_PASSES,
            memory_cost=_MEMORY_KIB,
            parallelism=_LANES,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
            type=Type.ID,
        )
        self._threads = ThreadPoolExecutor(cost.at_once, thread_name_prefix="passwords")
        self._places = BoundedSemaphore(cost.at_once + cost.waiting)
        self._nobodys = _hash_of_nobody()

    async def hash(self, password: str) -> str:
        """Return what is stored of a password; raises LimitExceeded."""
        return await self._in_thread(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Say whether a password is the stored one, after the same work where there is none; raises LimitExceeded."""
        against = self._nobodys if stored is None else stored
        is_right = await self._in_thread(lambda: _fits(self._hasher, against, password))
        return is_right and stored is not None

    async def _in_thread(self, work: Callable[[], Done]) -> Done:
        """Do it in a thread; its place is free when it has ended, also when nobody waits for it any more."""
        if not self._places.acquire(blocking=False):
            raise LimitExceeded(_BUSY, code="sign_in_busy", retry_after=_RETRY_SECONDS)
        try:
            future = self._threads.submit(work)
        except BaseException:
            self._places.release()
            raise
        future.add_done_callback(self._free)
        return await asyncio.wrap_future(future)

    def _free(self, _future: "Future[Done]") -> None:
        self._places.release()


def _fits(hasher: PasswordHasher, stored: str, password: str) -> bool:
    try:
        return hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _hash_of_nobody() -> str:
    """Return a hash of the usual cost that was made of no password."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).rstrip(b"=").decode() for size in (_SALT_BYTES, _HASH_BYTES)
    )
    return f"$argon2id$v=19$m={_MEMORY_KIB},t={_PASSES},p={_LANES}${salt}${digest}"
