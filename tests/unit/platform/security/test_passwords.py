"""Passwords: hashed so that no two hashes are equal, so many at a time, and as dear for nobody as for somebody."""

import asyncio
import threading

import pytest

from make_bridge.kernel.errors import LimitExceeded
from make_bridge.platform.security.passwords import PasswordCost, Passwords


async def test_a_password_fits_its_own_hash_only():
    passwords = Passwords()
    stored, again = await passwords.hash("correct horse"), await passwords.hash("correct horse")
    assert stored != again
    assert stored.startswith("$argon2id$v=19$m=65536,t=2,p=1$")
    assert await passwords.verify(stored, "correct horse")
    assert not await passwords.verify(stored, "correct horsf")
    assert not await passwords.verify("what an old version may have kept", "correct horse")


async def test_nobodys_password_is_checked_like_any_other(monkeypatch):
    passwords, checked = Passwords(), []
    hasher = passwords._hasher  # noqa: SLF001  what is counted is the work
    real = type(hasher).verify

    def verify(self, stored, password):
        checked.append(stored)
        return real(self, stored, password)

    monkeypatch.setattr(type(hasher), "verify", verify)
    assert not await passwords.verify(None, "correct horse")
    assert len(checked) == 1
    assert checked[0].startswith("$argon2id$v=19$m=65536,t=2,p=1$")
    assert not hasher.check_needs_rehash(checked[0])


async def test_so_many_are_checked_at_a_time_and_so_many_wait():
    passwords, begun, go_on = Passwords(PasswordCost(at_once=1, waiting=1)), threading.Semaphore(0), threading.Event()

    def slow(password):
        begun.release()
        assert go_on.wait(30)
        return password

    first = asyncio.ensure_future(passwords._in_thread(lambda: slow("a")))  # noqa: SLF001  the line itself
    await asyncio.to_thread(begun.acquire, timeout=30)
    second = asyncio.ensure_future(passwords._in_thread(lambda: slow("b")))  # noqa: SLF001  the same
    await asyncio.sleep(0)
    with pytest.raises(LimitExceeded) as refused:
        await passwords.hash("c")
    assert refused.value.reason == "sign_in_busy"
    # Whoever goes away while it is checked frees no place before the work has ended.
    first.cancel()
    await asyncio.sleep(0)
    with pytest.raises(LimitExceeded):
        await passwords.hash("c")
    go_on.set()
    assert await second == "b"
    assert (await passwords.hash("correct horse")).startswith("$argon2id$")
