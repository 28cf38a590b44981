"""Slots of the worker that runs lend out while they wait for another run.

A scenario that waits for one it has called holds a slot and does nothing. Were the slot not lent, a process full of
such runs would have no slot left for those they wait for, and all would wait for ever.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class LentSlots:
    """How many slots of this process are lent; the worker takes on that many runs more."""

    def __init__(self) -> None:
        """Begin with none, and nobody to tell."""
        self.count = 0
        self._tell: Callable[[], None] | None = None

    def listen(self, tell: Callable[[], None]) -> None:
        """Be told when a slot is lent or work was added: the worker looks for work then."""
        self._tell = tell

    def added(self) -> None:
        """Say that there is something to do."""
        if self._tell is not None:
            self._tell()

    @contextmanager
    def lend(self) -> Iterator[None]:
        """Lend one slot for as long as the block takes."""
        self.count += 1
        self.added()
        try:
            yield
        finally:
            self.count -= 1
