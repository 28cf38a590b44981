"""What a run reads of custom variables: once, before it begins, and the same again in every attempt.

Asked by the performer for programs that name some, which their compilation has found out; no other run comes by here.
A stored run writes what it has read into its journal, beside the results of its modules: whoever goes on after a lost
process finds it there, so that a variable that was changed meanwhile does not split one run into two truths. A
scenario without a journal starts over, and reads them anew. So does an incomplete execution that is tried again: it is
an execution of its own, with a clock of its own, and whoever mends a wrong value wants it used.
"""

from collections.abc import Mapping
from typing import Final, Protocol, cast

from make_bridge.domain.executions.model import NewRun
from make_bridge.domain.variables import store
from make_bridge.domain.variables.model import engine_value
from make_bridge.engine.blueprint.variables import NamedVariables
from make_bridge.engine.ports import Journal, Record
from make_bridge.engine.values import Value
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.database.shards import Shards

Both = tuple[Mapping[str, Value], Mapping[str, Value]]
NOTHING: Final[Both] = ({}, {})
# No module has this number: what is recorded under it was read before the first one.
BEFORE_MODULES: Final = 0


class CustomVariables(Protocol):
    """Reads variables."""

    async def read(self, organization_id: OrganizationId, team_id: TeamId, named: NamedVariables) -> Both:
        """Return the organization's and the team's of these names, as they are now; raises Unavailable."""
        ...


class NoCustomVariables:
    """Nobody has named any."""

    async def read(self, organization_id: OrganizationId, team_id: TeamId, named: NamedVariables) -> Both:
        """Return nothing."""
        del organization_id, team_id, named
        return NOTHING


class StoredVariables:
    """``CustomVariables`` of the organization's shard."""

    def __init__(self, shards: Shards) -> None:
        """Find the shard of each organization."""
        self._shards = shards

    async def read(self, organization_id: OrganizationId, team_id: TeamId, named: NamedVariables) -> Both:
        """Return them, by one query."""
        shard = await self._shards.of(organization_id)
        async with shard.read(organization_id) as tx:
            found = await store.read_named(
                tx, organization_id, team_id, of_organization=named.organization, of_team=named.team
            )
        organization: dict[str, Value] = {}
        team: dict[str, Value] = {}
        for variable in found:
            held = organization if variable.team_id is None else team
            held[variable.name] = engine_value(variable.type_id, variable.value)
        return organization, team


class VariablesOfRun:
    """The variables of one run: the engine's port ``Variables``, and what the run begins with."""

    def __init__(self, source: CustomVariables, run: NewRun, named: NamedVariables, journal: Journal) -> None:
        """``journal`` has what an earlier attempt of the run has read."""
        self._source = source
        self._run = run
        self._named = named
        self._journal = journal
        self._asked = 0

    async def current(self) -> Both:
        """Return what an earlier attempt read at this point, else what they are now."""
        number = self._asked
        self._asked += 1
        key = f"variables:{number}"
        known = self._journal.recall(key)
        if isinstance(known, Record):
            organization, team = cast("tuple[dict[str, Value], dict[str, Value]]", known.outputs)
            return organization, team
        found = await self._source.read(self._run.organization_id, self._run.team_id, self._named)
        read = (dict(found[0]), dict(found[1]))
        # Operations of modules count from 1; these count downwards from 0.
        await self._journal.record(Record(key=key, module_id=BEFORE_MODULES, operation=-number, outputs=read))
        return found
