"""Data stores in memory: for blueprints that run without a server, and for tests.

Holds the same promises as the database's adapter; one suite of tests looks at both. A store that was not seeded begins
empty when `open_to_all`, so that any blueprint can be tried on the command line.
"""

import dataclasses
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from make_bridge.engine.packing import pack, unpack
from make_bridge.engine.stores import (
    DataStoreFacts,
    DataStores,
    DataStructure,
    RecordChange,
    StoreCommit,
    StoreConflict,
    StoredRecord,
    StoreFull,
    StoreMissing,
    changed_stores,
)
from make_bridge.engine.values import Value
from make_bridge.kernel.turns import Turns

MAX_RECORDS = 100_000
MAX_BYTES = 256 * 1024 * 1024
MAX_RECORD_BYTES = 15 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Kept:
    version: int
    raw: bytes


@dataclass(slots=True)
class _Store:
    facts: DataStoreFacts
    records: dict[str, _Kept] = field(default_factory=dict)


class MemoryStores:
    """See the module."""

    __slots__ = ("_committed", "_open_to_all", "_stores", "_structures", "_turns", "_versions")

    def __init__(self, *, open_to_all: bool = False) -> None:
        """Begin without stores."""
        self._open_to_all = open_to_all
        self._stores: dict[int, _Store] = {}
        self._structures: dict[int, DataStructure] = {}
        self._committed: dict[tuple[str, int], dict[str, tuple[Value, ...]]] = {}
        self._versions = count(1)
        self._turns: Turns[int] = Turns()

    def add_store(
        self,
        store_id: int,
        records: Mapping[str, Mapping[str, Value]] | None = None,
        *,
        structure: DataStructure | None = None,
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        """Make a store with these records."""
        facts = DataStoreFacts(
            id=store_id,
            name=f"Data store {store_id}",
            records=0,
            bytes=0,
            max_records=max_records,
            max_bytes=max_bytes,
            max_record_bytes=max_record_bytes,
            structure=structure,
        )
        kept = {key: _Kept(next(self._versions), pack(dict(data))) for key, data in (records or {}).items()}
        self._stores[store_id] = _Store(facts, kept)

    def add_structure(self, structure: DataStructure) -> None:
        """Make a data structure known."""
        self._structures[structure.id] = structure

    def contents(self) -> dict[int, dict[str, Value]]:
        """Return everything that is committed."""
        return {
            store_id: {key: unpack(kept.raw) for key, kept in sorted(store.records.items())}
            for store_id, store in sorted(self._stores.items())
        }

    async def facts(self, store_id: int) -> DataStoreFacts:
        """Return a store as committed; raises StoreMissing."""
        return self._filled(self._store(store_id))

    async def get(self, store_id: int, key: str) -> StoredRecord | None:
        """Return a record."""
        kept = self._store(store_id).records.get(key)
        return None if kept is None else _record(key, kept)

    async def page(self, store_id: int, after: str, most_bytes: int) -> Sequence[StoredRecord]:
        """Return the next records behind a key."""
        page: list[StoredRecord] = []
        size = 0
        for key, kept in sorted(self._store(store_id).records.items()):
            if key <= after:
                continue
            size += len(kept.raw)
            if page and size > most_bytes:
                break
            page.append(_record(key, kept))
        return page

    async def commit(self, commit: StoreCommit) -> None:
        """Make the changes durable, all or none; raises StoreConflict, StoreFull, StoreMissing."""
        async with self._turns.of(changed_stores(commit)):
            self.commit_held(commit)

    @asynccontextmanager
    async def hold(self, store_ids: Collection[int]) -> AsyncIterator[DataStores]:
        """Let nobody else commit to these stores meanwhile; raises StoreMissing."""
        async with self._turns.of(sorted(store_ids)):
            for store_id in store_ids:
                self._store(store_id)
            yield _Held(self)

    def commit_held(self, commit: StoreCommit) -> None:
        """Do so while the stores are held."""
        number = (commit.execution_id, commit.number)
        if number in self._committed:
            return
        cleared = {store_id: _Store(self._store(store_id).facts) for store_id in commit.cleared}
        changed = {change.store_id: _copy(self._store(change.store_id)) for change in commit.changes} | cleared
        for change in commit.changes:
            self._apply(changed[change.store_id], change)
        for store_id, store in changed.items():
            self._check_size(store, self._stores[store_id])
        self._stores |= changed
        self._committed[number] = dict(commit.results)

    async def committed(self, execution_id: str) -> Mapping[int, Mapping[str, tuple[Value, ...]]]:
        """Return the results of an execution's commits, by number."""
        return {number: results for (name, number), results in self._committed.items() if name == execution_id}

    async def structure(self, structure_id: int) -> DataStructure:
        """Return a data structure; raises StoreMissing."""
        found = self._structures.get(structure_id)
        if found is None:
            raise StoreMissing("There is no such data structure in this team.")
        return found

    def _store(self, store_id: int) -> _Store:
        if store_id not in self._stores:
            if not self._open_to_all:
                raise StoreMissing("There is no such data store in this team.")
            self.add_store(store_id)
        return self._stores[store_id]

    def _filled(self, store: _Store) -> DataStoreFacts:
        size = sum(len(key.encode()) + len(kept.raw) for key, kept in store.records.items())
        return dataclasses.replace(store.facts, records=len(store.records), bytes=size)

    def _apply(self, store: _Store, change: RecordChange) -> None:
        kept = store.records.get(change.key)
        if change.version != (kept.version if kept else 0):
            raise StoreConflict(f"The record '{change.key}' of the data store was changed meanwhile.")
        if change.data is None:
            store.records.pop(change.key, None)
            return
        raw = pack(change.data)
        if len(raw) + len(change.key.encode()) > store.facts.max_record_bytes:
            raise StoreFull(f"The record '{change.key}' is larger than a record may be.")
        store.records[change.key] = _Kept(next(self._versions), raw)

    def _check_size(self, new: _Store, old: _Store) -> None:
        after, before = self._filled(new), self._filled(old)
        if after.records > max(after.max_records, before.records):
            raise StoreFull("The data store holds as many records as it may.")
        if after.bytes > max(after.max_bytes, before.bytes):
            raise StoreFull("The data store is full.")


class _Held:
    """The way to stores that their holder alone commits to."""

    __slots__ = ("_stores",)

    def __init__(self, stores: MemoryStores) -> None:
        self._stores = stores

    async def facts(self, store_id: int) -> DataStoreFacts:
        return await self._stores.facts(store_id)

    async def get(self, store_id: int, key: str) -> StoredRecord | None:
        return await self._stores.get(store_id, key)

    async def page(self, store_id: int, after: str, most_bytes: int) -> Sequence[StoredRecord]:
        return await self._stores.page(store_id, after, most_bytes)

    async def commit(self, commit: StoreCommit) -> None:
        self._stores.commit_held(commit)

    async def committed(self, execution_id: str) -> Mapping[int, Mapping[str, tuple[Value, ...]]]:
        return await self._stores.committed(execution_id)

    def hold(self, store_ids: Collection[int]) -> AbstractAsyncContextManager[DataStores]:
        return self._stores.hold(store_ids)


def _copy(store: _Store) -> _Store:
    return _Store(store.facts, dict(store.records))


def _record(key: str, kept: _Kept) -> StoredRecord:
    data = unpack(kept.raw)
    return StoredRecord(key=key, data=data if isinstance(data, dict) else {}, version=kept.version)
