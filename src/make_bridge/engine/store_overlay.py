"""A run's own view of the data stores: what is committed, under what the run has changed and not committed yet.

Made by the run's state when a module first asks; modules read and write through it, the runner commits or forgets.
With `autoCommit` the runner commits after every module, otherwise when the cycle ends; a rollback is forgetting.
Nothing of a store is locked meanwhile: each changed record carries the version it was based on, and a commit fails
when another run was faster. Whoever was the slower one may hold the stores it has touched while it tries again.

A second attempt of an execution meets what the first one committed, by the number of the commit: its steps are given
the results they had, and its changes are not applied again. What was changed and not committed comes back with the
journal's records of the steps (`taken`, `restore`).
"""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from make_bridge.engine.stores import (
    DataStoreFacts,
    DataStores,
    RecordChange,
    StoreCommit,
    StoredRecord,
    StoreFull,
)
from make_bridge.engine.values import Value, size_of

Data = dict[str, Value]
MOST_BYTES: Final = 64 * 1024 * 1024
_PAGE_BYTES: Final = 4 * 1024 * 1024
_CHANGE_BYTES: Final = 100


@dataclass(slots=True)
class _Entry:
    """What the run knows of one record. `version` is what it was first seen with; 0 is no record."""

    version: int
    written: bool = False
    data: Data | None = None


@dataclass(slots=True)
class _Shadow:
    """The run's changes to one store."""

    entries: dict[str, _Entry] = field(default_factory=dict)
    cleared: bool = False


class StoreOverlay:
    """See the module."""

    __slots__ = (
        "_applied",
        "_bytes",
        "_execution_id",
        "_number",
        "_port",
        "_results",
        "_shadows",
        "_touched",
    )

    def __init__(self, port: DataStores, execution_id: str) -> None:
        """Begin with nothing changed."""
        self._port = port
        self._execution_id = execution_id
        self._shadows: dict[int, _Shadow] = {}
        self._number = 0
        self._bytes = 0
        self._results: dict[str, tuple[Value, ...]] = {}
        self._applied: Mapping[int, Mapping[str, tuple[Value, ...]]] | None = None
        self._touched: list[tuple[int, str | None]] = []

    # What modules use.

    async def facts(self, store_id: int) -> DataStoreFacts:
        """Return the store as committed; raises StoreMissing."""
        return await self._port.facts(store_id)

    async def get(self, store_id: int, key: str) -> Data | None:
        """Return a record's data, None without one."""
        shadow = self._shadow(store_id)
        entry = shadow.entries.get(key)
        if entry is not None and entry.written:
            return entry.data
        if shadow.cleared:
            return None
        found = await self._port.get(store_id, key)
        self.see(store_id, key, found)
        return None if found is None else found.data

    async def put(self, store_id: int, key: str, data: Data) -> None:
        """Put a record; raises StoreFull when the run holds more than it may."""
        self._bytes += size_of(data) + len(key) + _CHANGE_BYTES
        if self._bytes > MOST_BYTES:
            raise StoreFull("This run holds more uncommitted changes than it may: let it commit automatically.")
        await self._write(store_id, key, data)

    async def remove(self, store_id: int, key: str) -> None:
        """Delete a record."""
        await self._write(store_id, key, None)

    async def clear(self, store_id: int) -> None:
        """Delete every record."""
        await self._port.facts(store_id)
        self._shadows[store_id] = _Shadow(cleared=True)
        self._touched.append((store_id, None))

    async def count(self, store_id: int) -> int:
        """Return how many records there are."""
        facts, shadow = await self._port.facts(store_id), self._shadow(store_id)
        written = [entry for entry in shadow.entries.values() if entry.written]
        added = sum((entry.data is not None) - (entry.version != 0) for entry in written)
        return added + (0 if shadow.cleared else facts.records)

    async def scan(self, store_id: int) -> AsyncIterator[StoredRecord]:
        """Return every record by key, read in pages."""
        shadow = self._shadow(store_id)
        own = sorted(key for key, entry in shadow.entries.items() if entry.written and entry.data is not None)
        position = 0
        async for found in self._committed_records(store_id, shadow):
            while position < len(own) and own[position] < found.key:
                yield _own(own[position], shadow.entries[own[position]])
                position += 1
            entry = shadow.entries.get(found.key)
            if entry is None or not entry.written:
                yield found
        for key in own[position:]:
            yield _own(key, shadow.entries[key])

    def see(self, store_id: int, key: str, found: StoredRecord | None) -> None:
        """Remember which version of a record the run has seen: a change is based on the first one."""
        entries = self._shadow(store_id).entries
        if key not in entries:
            entries[key] = _Entry(0 if found is None else found.version)
            self._touched.append((store_id, key))

    # What the runner uses.

    @property
    def dirty(self) -> bool:
        """Whether there is something to commit."""
        return bool(self._results) or any(
            shadow.cleared or any(entry.written for entry in shadow.entries.values())
            for shadow in self._shadows.values()
        )

    def begin_step(self, *, alone: bool) -> None:
        """Let a module begin; `alone` forgets what others have seen, because it commits for itself."""
        self._touched.clear()
        if alone:
            self.forget()

    async def earlier(self, key: str) -> tuple[Value, ...] | None:
        """Return the outputs a step had in an attempt that has committed them; None when there was none."""
        if self._applied is None:
            self._applied = await self._port.committed(self._execution_id)
        return self._applied.get(self._number + 1, {}).get(key)

    def note(self, key: str, outputs: tuple[Value, ...]) -> None:
        """Keep a step's outputs, to be committed with its changes."""
        self._results[key] = outputs

    async def commit(self) -> None:
        """Commit what was changed; raises StoreConflict, StoreFull, StoreMissing and Unavailable."""
        if not self.dirty:
            self.forget()
            return
        number = self._number + 1
        if self._applied is None or number not in self._applied:
            await self._port.commit(self._commit(number))
        self._number = number
        self.forget()

    def touched_stores(self) -> list[int]:
        """Return the ids of the stores that were read or changed since the last commit."""
        return sorted(self._shadows)

    @asynccontextmanager
    async def holding(self, store_ids: Collection[int]) -> AsyncIterator[None]:
        """Let nobody else commit to some stores meanwhile; a commit of ours comes into effect when this ends."""
        if not store_ids:
            yield
            return
        free = self._port
        async with free.hold(store_ids) as held:
            self._port = held
            try:
                yield
            finally:
                self._port = free

    def forget(self) -> None:
        """Drop all changes that are not committed: this is the rollback."""
        self._shadows.clear()
        self._results.clear()
        self._touched.clear()
        self._bytes = 0

    def taken(self) -> Value:
        """Return what the last step has left here, for the journal."""
        changes: list[Value] = []
        for store_id, key in self._touched:
            entry = None if key is None else self._shadow(store_id).entries.get(key)
            if key is None:
                changes.append([store_id])
            elif entry is not None:
                changes.append([store_id, key, entry.version, entry.written, entry.data])
        return {"commits": self._number, "changes": changes} if changes or self._number else None

    def restore(self, state: Value) -> None:
        """Take back what an earlier attempt's step had left."""
        if not isinstance(state, dict):
            return
        commits, changes = state.get("commits"), state.get("changes")
        if isinstance(commits, int) and commits > self._number:
            self._number = commits
            self.forget()
        for change in changes if isinstance(changes, list) else ():
            if isinstance(change, list):
                self._restore(change)

    def _restore(self, change: list[Value]) -> None:
        match change:
            case [int(store_id)]:
                self._shadows[store_id] = _Shadow(cleared=True)
            case [int(store_id), str(key), int(version), bool(written), data]:
                kept = data if isinstance(data, dict) else None
                known = self._shadow(store_id).entries.setdefault(key, _Entry(version))
                if written:
                    known.written, known.data = True, kept
            case _:
                return

    def _shadow(self, store_id: int) -> _Shadow:
        return self._shadows.setdefault(store_id, _Shadow())

    async def _write(self, store_id: int, key: str, data: Data | None) -> None:
        shadow = self._shadow(store_id)
        entry = shadow.entries.get(key)
        if entry is None:
            found = None if shadow.cleared else await self._port.get(store_id, key)
            entry = shadow.entries[key] = _Entry(0 if found is None else found.version)
        entry.written, entry.data = True, data
        self._touched.append((store_id, key))

    async def _committed_records(self, store_id: int, shadow: _Shadow) -> AsyncIterator[StoredRecord]:
        after = ""
        while not shadow.cleared:
            page = await self._port.page(store_id, after, _PAGE_BYTES)
            if not page:
                return
            for found in page:
                yield found
            after = page[-1].key

    def _commit(self, number: int) -> StoreCommit:
        changes = [
            RecordChange(store_id=store_id, key=key, version=entry.version, data=entry.data)
            for store_id, shadow in self._shadows.items()
            for key, entry in shadow.entries.items()
            if entry.written and not (entry.data is None and entry.version == 0)
        ]
        return StoreCommit(
            execution_id=self._execution_id,
            number=number,
            changes=tuple(changes),
            cleared=tuple(store_id for store_id, shadow in self._shadows.items() if shadow.cleared),
            results=dict(self._results),
        )


def _own(key: str, entry: _Entry) -> StoredRecord:
    return StoredRecord(key=key, data=entry.data or {}, version=entry.version)
