"""What this process knows of reached limits, asked for every webhook and tick: a look into a dictionary, no query.

The watch renews it every second, so it is never older than that plus the time of one look. It is empty almost always.
"""

from collections.abc import Mapping
from datetime import datetime

from make_bridge.domain.usage.model import WHOLE, Scope, Standing
from make_bridge.kernel.ids import OrganizationId, TeamId


class Quotas:
    """The reached limits, by scope."""

    __slots__ = ("_full", "_reached")

    def __init__(self) -> None:
        """Know of none."""
        self._reached: Mapping[Scope, Standing] = {}
        self._full: set[Scope] = set()

    def reached(self, organization_id: OrganizationId, team_id: TeamId) -> tuple[Standing, ...]:
        """Return the limits that keep this team from running: its own, its organization's, or both."""
        if not self._reached:
            return ()
        scopes = ((organization_id, WHOLE), (organization_id, team_id))
        return tuple(found for scope in scopes if (found := self._reached.get(scope)) is not None)

    def is_full(self, scope: Scope) -> bool:
        """Say whether no more runs may wait for this limit, as far as was seen since the last look."""
        return scope in self._full

    def note_full(self, scope: Scope) -> None:
        """Refuse what comes for this limit until the next look, without asking the database each time."""
        self._full.add(scope)

    def know(self, reached: Mapping[Scope, Standing]) -> None:
        """Take over what the last look found."""
        self._reached = reached
        self._full = set()

    @property
    def count(self) -> int:
        """How many limits are reached."""
        return len(self._reached)


def wait_until(reached: tuple[Standing, ...]) -> datetime:
    """Return when a run that waits for these limits may start, unless one is raised before."""
    return max(standing.until for standing in reached)
