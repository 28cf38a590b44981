"""Random bytes for ids and spread-out waits, read from the system in larger pieces.

One read costs as much as the rest of making an id, and a webhook makes two. The bytes are the
system's own and each is given out once; a forked child starts with an empty store. Secrets and keys
are not made here but by ``secrets`` and the cryptography library.
"""

import os
import threading

_READ = 4096
_CHANCE_BYTES = 4
_CHANCES = float(1 << 8 * _CHANCE_BYTES)


class _Store(threading.local):
    """What is left of the last read; one per thread, so that no byte is given out twice."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.left = b""
        self.at = 0


_store = _Store()
os.register_at_fork(after_in_child=_store.forget)


def random_hex(count: int) -> str:
    """Return ``count`` random bytes (at most 4096) as lower-case hex."""
    at = _store.at
    end = at + count
    if end > len(_store.left):
        _store.left = os.urandom(_READ)
        at, end = 0, count
    _store.at = end
    return _store.left[at:end].hex()


def chance() -> float:
    """Return a number from 0 up to 1: for waits that must not end all at once, never for secrets."""
    return int(random_hex(_CHANCE_BYTES), 16) / _CHANCES
