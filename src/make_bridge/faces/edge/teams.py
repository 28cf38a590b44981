"""The ``teamId`` of a request: which team is meant, and which are out of sight.

A customer has one team and may name it; any other does not exist for it. An administrator may name any team of its
organization; without one it sees the whole organization and new things go to the root team.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from make_bridge.domain.organizations.messages import Organization
from make_bridge.faces.edge.authentication import Identity
from make_bridge.kernel.errors import InvalidInput, NotFound
from make_bridge.kernel.ids import MAX_ID, OrganizationId, TeamId

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,15}")


class Organizations(Protocol):
    """Where an organization's facts are read."""

    async def get(self, organization_id: OrganizationId) -> Organization:
        """Return the organization; raises NotFound."""
        ...


class Teams(Protocol):
    """Where it is known which teams an organization has."""

    async def has_team(self, organization_id: OrganizationId, team_id: TeamId) -> bool:
        """Say whether the organization has this team."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamChoice:
    """The team that is meant, and the one that sight is narrowed to (None: the whole organization)."""

    team_id: TeamId
    narrowed_to: TeamId | None


class TeamChooser:
    """Applies the rule above."""

    def __init__(self, organizations: Organizations, teams: Teams) -> None:
        """Read root teams from ``organizations`` and check foreign ones with ``teams``."""
        self._organizations = organizations
        self._teams = teams

    async def choose(self, asked: Sequence[str], identity: Identity) -> TeamChoice:
        """Return the team; raises InvalidInput for a ``teamId`` that is no number, NotFound for a stranger's."""
        team_id = _read(asked)
        if identity.team_id is not None:
            if team_id not in {None, identity.team_id}:
                raise NotFound("There is no such team.")
            return TeamChoice(team_id=identity.team_id, narrowed_to=identity.team_id)
        if team_id is None:
            organization = await self._organizations.get(identity.organization_id)
            return TeamChoice(team_id=organization.root_team_id, narrowed_to=None)
        if not await self._teams.has_team(identity.organization_id, team_id):
            raise NotFound("There is no such team.")
        return TeamChoice(team_id=team_id, narrowed_to=team_id)


def _read(asked: Sequence[str]) -> TeamId | None:
    if not asked:
        return None
    if len(asked) > 1 or not _NUMBER.fullmatch(asked[0]) or int(asked[0]) > MAX_ID:
        raise InvalidInput("The query parameter teamId must be one whole number.", code="invalid_team_id")
    return TeamId(int(asked[0]))
