"""The port of places that take log lines: standard output, files, Elasticsearch.

A sink is used by one thread (``conveyor``), may take its time, and never raises: what it could not take it gives back
with the reason, and is offered again later. A line that it will never take it counts as rejected.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of some lines: those to offer again, how many were refused for good, and why either."""

    left: Sequence[bytes] = ()
    rejected: int = 0
    reason: str = ""


class Sink(Protocol):
    """One place."""

    def write(self, lines: Sequence[bytes]) -> Taken:
        """Take lines in their order; each is one JSON object, or one line for people, without a line break."""
        ...

    def close(self) -> None:
        """Let go of whatever is open; called once, after the last ``write``."""
        ...
