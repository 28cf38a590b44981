"""Life cycles as one table of legal moves, next to the model that uses them.

A model keeps ``Lifecycle`` as a constant and asks it before every change of state, so that an
illegal move is one clear ``Conflict`` instead of a silent overwrite.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from make_bridge.kernel.errors import Conflict

State = TypeVar("State", bound=StrEnum)


class Lifecycle(Generic[State]):
    """The legal moves of one kind of object."""

    def __init__(self, noun: str, moves: Mapping[State, Iterable[State]]) -> None:
        """``noun`` is the glossary word used in the error, ``moves`` maps a state to its successors."""
        self._noun = noun
        self._moves = {state: frozenset(targets) for state, targets in moves.items()}

    def allows(self, current: State, target: State) -> bool:
        """Say whether the move is legal."""
        return target in self._moves.get(current, frozenset())

    def move(self, current: State, target: State) -> State:
        """Return ``target`` or raise ``Conflict``."""
        if not self.allows(current, target):
            message = f"This {self._noun} is {current.value} and cannot become {target.value}."
            raise Conflict(message, code="illegal_state")
        return target
