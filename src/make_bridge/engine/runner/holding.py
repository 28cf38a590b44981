"""How many bytes a run holds at a time: bundles on its path, lists that loops go through, collections, variables.

Made by `RunState` when the first large value comes, charged by the walk. Only what is large is counted, by an estimate
that the log has made anyway where it could: a small bundle costs one comparison. What is let go of is given back, so a
loop over many large files may run for ever, and one that keeps them may not.
"""

from types import NoneType
from typing import Final

from make_bridge.engine.values import Value, size_of

LARGE: Final = 64 * 1024
_SCALARS: Final = (int, float, bool, NoneType)
Place = tuple[str, int | str]


def measured(value: Value, limit: int) -> int:
    """Estimate a value; counting stops soon after the limit, and nearly all variables need none."""
    return 0 if isinstance(value, _SCALARS) else size_of(value, limit)


class Holding:
    """The large values of one run, by where they are held."""

    __slots__ = ("_held", "limit", "total")

    def __init__(self, limit: int) -> None:
        """Begin with nothing."""
        self.limit = limit
        self.total = 0
        self._held: dict[Place, int] = {}

    @property
    def is_full(self) -> bool:
        """Whether more is held than may be."""
        return self.total > self.limit

    def put(self, place: Place, size: int) -> None:
        """Hold a value in the place of what was there; a small one is not counted."""
        self.drop(place)
        if size > LARGE:
            self._held[place] = size
            self.total += size

    def add(self, place: Place, size: int) -> None:
        """Hold one more value there, however small: there may be many."""
        self._held[place] = self._held.get(place, 0) + size
        self.total += size

    def drop(self, place: Place) -> None:
        """Let go of what is there."""
        self.total -= self._held.pop(place, 0)

    def drop_all(self, kind: str) -> None:
        """Let go of everything of a kind."""
        for place in [place for place in self._held if place[0] == kind]:
            self.drop(place)

    def on_path(self) -> int:
        """Return the bytes of the path and the variables: what an incomplete execution keeps."""
        return sum(size for place, size in self._held.items() if place[0] in _KEPT_BY_RECORDS)


BUNDLE, LIST, COLLECTED, CYCLE_VARIABLE, RUN_VARIABLE, PARKED = "bundle", "list", "collected", "cycle", "run", "parked"
_KEPT_BY_RECORDS: Final = frozenset({BUNDLE, CYCLE_VARIABLE, RUN_VARIABLE})
