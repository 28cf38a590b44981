"""The engine's port of data stores over PostgreSQL, for the runs of one team.

Made for each run by ``StoresByTeam``. A read is one short transaction, a commit is one transaction over everything it
changes; between two calls nothing is held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from make_bridge.domain.data_stores import store
from make_bridge.domain.data_stores.model import DataStoreLimits
from make_bridge.domain.data_stores.store import RecordStore
from make_bridge.domain.data_structures.messages import DataStructureId
from make_bridge.domain.data_structures.model import engine_structure
from make_bridge.domain.data_structures.store import DataStructureStore
from make_bridge.engine.stores import (
    DataStoreFacts,
    DataStructure,
    RecordChange,
    StoreCommit,
    StoredRecord,
    StoreMissing,
)
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.database.shards import Shards


@dataclass(frozen=True, slots=True, kw_only=True)
class StoresByTeam:
    """Gives each run the way to its own team's records."""

    shards: Shards
    limits: DataStoreLimits

    def of(self, organization_id: OrganizationId, team_id: TeamId) -> "TeamRecords":
        """Return the port for one team."""
        return TeamRecords(self.shards, organization_id, team_id, self.limits)

    async def forget_commits(self) -> int:
        """Drop what no attempt will ask for again; return how many."""
        gone = 0
        for shard in self.shards.all():
            async with shard.engine_statement() as tx:
                gone += await store.forget_commits(tx)
        return gone


class TeamRecords:
    """See the module."""

    __slots__ = ("_organization_id", "_records", "_shards", "_team_id")

    def __init__(
        self, shards: Shards, organization_id: OrganizationId, team_id: TeamId, limits: DataStoreLimits
    ) -> None:
        """Speak for one team."""
        self._shards = shards
        self._organization_id = organization_id
        self._team_id = team_id
        self._records = RecordStore(organization_id=organization_id, team_id=team_id, limits=limits)

    async def facts(self, store_id: int) -> DataStoreFacts:
        """Return a store as committed; raises StoreMissing."""
        shard = await self._shards.of(self._organization_id)
        async with shard.read(self._organization_id) as tx:
            return await self._records.facts(tx, store_id)

    async def get(self, store_id: int, key: str) -> StoredRecord | None:
        """Return a record."""
        shard = await self._shards.of(self._organization_id)
        async with shard.read(self._organization_id) as tx:
            return await self._records.get(tx, store_id, key)

    async def page(self, store_id: int, after: str, most_bytes: int) -> Sequence[StoredRecord]:
        """Return the next records behind a key."""
        shard = await self._shards.of(self._organization_id)
        async with shard.read(self._organization_id) as tx:
            return await self._records.page(tx, store_id, after, most_bytes)

    async def commit(self, commit: StoreCommit) -> None:
        """Make the changes durable, in one transaction; raises StoreConflict, StoreFull, StoreMissing, Unavailable."""
        by_store: dict[int, list[RecordChange]] = {store_id: [] for store_id in commit.cleared}
        for change in commit.changes:
            by_store.setdefault(change.store_id, []).append(change)
        shard = await self._shards.of(self._organization_id)
        async with shard.write(self._organization_id) as tx:
            claimed = await self._records.claim_commit(tx, commit.execution_id, commit.number, commit.results)
            if not claimed:
                return
            for store_id in sorted(by_store):
                facts = await self._records.lock(tx, store_id)
                if store_id in commit.cleared:
                    facts, _ = await self._records.clear(tx, facts)
                if by_store[store_id]:
                    await self._records.apply(tx, facts, by_store[store_id])

    async def committed(self, execution_id: str) -> Mapping[int, Mapping[str, tuple[Value, ...]]]:
        """Return the results of an execution's commits, by number."""
        shard = await self._shards.of(self._organization_id)
        async with shard.read(self._organization_id) as tx:
            return await self._records.committed(tx, execution_id)

    async def structure(self, structure_id: int) -> DataStructure:
        """Return a data structure; raises StoreMissing."""
        shard = await self._shards.of(self._organization_id)
        async with shard.read(self._organization_id) as tx:
            try:
                found = await DataStructureStore().get(tx, self._organization_id, DataStructureId(structure_id))
            except NotFound:
                found = None
        if found is None or found.team_id != self._team_id:
            raise StoreMissing("There is no such data structure in this team.")
        return engine_structure(found.id, found.name, found.spec, strict=found.strict)
