"""Which of several nodes is asked next: three rules, pure.

``nodes`` gives the candidates that may be asked at all; a rule only chooses among them. Weights are relative shares of
the work; who has weight 0 is no candidate.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

RuleName = Literal["round_robin", "least_connections", "weighted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A node that may be asked: ``in_flight`` are the requests of this gateway that it has not answered yet."""

    name: str
    weight: int = 1
    in_flight: int = 0


class Rule(ABC):
    """Chooses; keeps what it needs to be fair from one choice to the next."""

    @abstractmethod
    def choose(self, candidates: Sequence[Candidate]) -> str:
        """Return the name of one of the candidates, of which there is at least one."""


class RoundRobin(Rule):
    """One after the other, whatever their weights."""

    def __init__(self) -> None:
        """Begin with the first."""
        self._turn = -1

    def choose(self, candidates: Sequence[Candidate]) -> str:
        """Return the next."""
        self._turn = (self._turn + 1) % len(candidates)
        return candidates[self._turn].name


class LeastConnections(Rule):
    """The one with the fewest unanswered requests for its weight; among equals in turn."""

    def __init__(self) -> None:
        """Begin with the first."""
        self._turn = -1

    def choose(self, candidates: Sequence[Candidate]) -> str:
        """Return the least busy."""
        self._turn += 1
        count = len(candidates)
        turned = [candidates[(self._turn + step) % count] for step in range(count)]
        return min(turned, key=lambda candidate: (candidate.in_flight + 1) / candidate.weight).name


class SmoothWeighted(Rule):
    """Shares by weight, spread out: with 5, 1 and 1 it gives a a b a c a a and not a a a a a b c.

    Each choice raises everybody's score by their weight, takes the highest, and lowers that by the sum of the weights.
    """

    def __init__(self) -> None:
        """Begin with everybody equal."""
        self._scores: dict[str, int] = {}

    def choose(self, candidates: Sequence[Candidate]) -> str:
        """Return the one whose turn it is."""
        scores = {candidate.name: self._scores.get(candidate.name, 0) + candidate.weight for candidate in candidates}
        chosen = max(scores, key=scores.__getitem__)
        scores[chosen] -= sum(candidate.weight for candidate in candidates)
        # Who is no candidate this time comes back without what it had saved up.
        self._scores = scores
        return chosen


def rule_of(name: RuleName) -> Rule:
    """Return a new rule of this name."""
    match name:
        case "round_robin":
            return RoundRobin()
        case "least_connections":
            return LeastConnections()
        case "weighted":
            return SmoothWeighted()
