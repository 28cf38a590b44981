"""The engine's port of data stores over PostgreSQL, for the runs of one team.

Made for each run by ``StoresByTeam``. A read is one short transaction, a commit is one transaction over everything it
changes; between two calls nothing is held, but by a run that was slower than another one and holds the store (`hold`).
Runs of this process that wait for a store wait for their turn first, without a connection of the pool.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from make_bridge.domain.data_stores import store
from make_bridge.domain.data_stores.model import DataStoreLimits
from make_bridge.domain.data_stores.store import RecordStore
from make_bridge.domain.data_structures.messages import DataStructureId
from make_bridge.domain.data_structures.model import engine_structure
from make_bridge.domain.data_structures.store import DataStructureStore
from make_bridge.engine.stores import (
    DataStoreFacts,
    DataStores,
    DataStructure,
    RecordChange,
    StoreCommit,
    StoredRecord,
    StoreMissing,
    changed_stores,
)
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.kernel.turns import Turns
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.shards import Shards
from make_bridge.platform.database.transactions import WriteTx


@dataclass(frozen=True, slots=True, kw_only=True)
class StoresByTeam:
    """Gives each run the way to its own team's records."""

    shards: Shards
    limits: DataStoreLimits
    turns: Turns[int] = field(default_factory=Turns)

    def of(self, organization_id: OrganizationId, team_id: TeamId) -> "TeamRecords":
        """Return the port for one team."""
        records = RecordStore(organization_id=organization_id, team_id=team_id, limits=self.limits)
        return TeamRecords(self.shards, organization_id, team_id, records, self.turns)

    async def forget_commits(self) -> int:
        """Drop what no attempt will ask for again; return how many."""

        async def forget(shard: Shard) -> int:
            async with shard.engine_statement() as tx:
                return await store.forget_commits(tx)

        return await self.shards.everywhere("store_commits_forgotten", forget)


class TeamRecords:
    """See the module."""

    __slots__ = ("_organization_id", "_records", "_shards", "_team_id", "_turns")

    def __init__(
        self,
        shards: Shards,
        organization_id: OrganizationId,
        team_id: TeamId,
        records: RecordStore,
        turns: Turns[int],
    ) -> None:
        """Speak for one team."""
        self._shards = shards
        self._organization_id = organization_id
        self._team_id = team_id
        self._records = records
        self._turns = turns

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
        async with self._turns.of(changed_stores(commit)):
            await self._shards.write(self._organization_id, lambda tx: _commit(tx, self._records, commit))

    @asynccontextmanager
    async def hold(self, store_ids: Collection[int]) -> AsyncIterator[DataStores]:
        """Let nobody else commit to these stores meanwhile: one transaction; raises StoreMissing and Unavailable."""
        locked = sorted(store_ids)
        shard = await self._shards.of(self._organization_id)
        async with self._turns.of(locked), shard.write(self._organization_id) as tx:
            for store_id in locked:
                await self._records.lock(tx, store_id)
            yield _HeldRecords(tx, self._records)

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


class _HeldRecords:
    """The same inside one transaction that holds the stores."""

    __slots__ = ("_records", "_tx")

    def __init__(self, tx: WriteTx, records: RecordStore) -> None:
        self._tx = tx
        self._records = records

    async def facts(self, store_id: int) -> DataStoreFacts:
        return await self._records.facts(self._tx, store_id)

    async def get(self, store_id: int, key: str) -> StoredRecord | None:
        return await self._records.get(self._tx, store_id, key)

    async def page(self, store_id: int, after: str, most_bytes: int) -> Sequence[StoredRecord]:
        return await self._records.page(self._tx, store_id, after, most_bytes)

    async def commit(self, commit: StoreCommit) -> None:
        await _commit(self._tx, self._records, commit)

    async def committed(self, execution_id: str) -> Mapping[int, Mapping[str, tuple[Value, ...]]]:
        return await self._records.committed(self._tx, execution_id)

    def hold(self, store_ids: Collection[int]) -> AbstractAsyncContextManager[DataStores]:
        raise TypeError(f"The stores {sorted(store_ids)} would be held inside a hold.")


async def _commit(tx: WriteTx, records: RecordStore, commit: StoreCommit) -> None:
    by_store: dict[int, list[RecordChange]] = {store_id: [] for store_id in changed_stores(commit)}
    for change in commit.changes:
        by_store[change.store_id].append(change)
    if not await records.claim_commit(tx, commit.execution_id, commit.number, commit.results):
        return
    for store_id, changes in by_store.items():
        facts = await records.lock(tx, store_id)
        if store_id in commit.cleared:
            facts, _ = await records.clear(tx, facts)
        if changes:
            await records.apply(tx, facts, changes)
