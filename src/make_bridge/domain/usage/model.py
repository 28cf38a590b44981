"""The rules of limits: what is near, what is reached. Pure; used by this slice's store, watch, handlers and views.

A month is the calendar's in UTC. A limit of 0 is a limit: nothing may run. What has reached its limit waits for the
month's end or for a higher limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from typing import Final

from make_bridge.kernel.errors import InvalidInput
from make_bridge.kernel.ids import MAX_ID, OrganizationId, TeamId

WHOLE: Final = TeamId(0)
"""In a scope: the whole organization, not one of its teams."""
LONGEST_RANGE_DAYS: Final = 366
Scope = tuple[OrganizationId, TeamId]


class State(IntEnum):
    """How a limit stands; the numbers are those of ``shard.usage_states``."""

    NORMAL = 0
    NEAR = 1
    REACHED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaConfig:
    """Numbers of the watch: seconds between looks, from which percentage on a limit is near, and runs that may wait."""

    look_seconds: float = 1.0
    near_percent: float = 80.0
    most_deferred: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One measure of a scope: what was used this month, of how much; ``most`` None is no limit."""

    measure: str
    used: int
    most: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a scope stands: by the measure that is closest to its limit."""

    organization_id: OrganizationId
    team_id: TeamId
    first_day: date
    until: datetime
    state: State
    measure: str
    used: int
    most: int

    @property
    def scope(self) -> Scope:
        """Whose limit it is."""
        return self.organization_id, self.team_id

    @property
    def left(self) -> int:
        """How much may still be used."""
        return max(self.most - self.used, 0)


def worst(measures: Sequence[Measured], near_percent: float) -> tuple[State, Measured]:
    """Return the measure that is closest to its limit, and how it stands; one of them has a limit."""
    limited = [measured for measured in measures if measured.most is not None]
    chosen = max(limited, key=_share)
    return _state(chosen, near_percent), chosen


def _share(measured: Measured) -> float:
    return measured.used / measured.most if measured.most else float("inf")


def _state(measured: Measured, near_percent: float) -> State:
    most = measured.most or 0
    if measured.used >= most:
        return State.REACHED
    return State.NEAR if measured.used * 100 >= most * near_percent else State.NORMAL


def checked_limit(name: str, limit: int | None) -> int | None:
    """Return a limit, or raise InvalidInput; None is no limit."""
    if limit is not None and not 0 <= limit <= MAX_ID:
        raise InvalidInput(f"The limit of {name} is a whole number from 0 to {MAX_ID}, or nothing for no limit.")
    return limit


def checked_range(first: date, last: date) -> tuple[date, date]:
    """Return a range of days, or raise InvalidInput."""
    if first > last:
        raise InvalidInput("The range of days ends before it begins: 'from' is the first day, 'to' the last.")
    if (last - first).days >= LONGEST_RANGE_DAYS:
        raise InvalidInput(f"A range has at most {LONGEST_RANGE_DAYS} days: ask for less at a time.")
    return first, last
