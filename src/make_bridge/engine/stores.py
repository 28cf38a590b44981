"""The ports of data stores and data structures: what a run asks of the records its team keeps.

Beside `ports`, which names them for a run. Adapters: PostgreSQL (`domain.data_stores`), and memory
(`runner.memory_stores`) for blueprints that run without a server; one suite of tests holds both to
what is said here. The run's own, uncommitted changes are no business of an adapter: `runner.overlay` keeps them.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from make_bridge.engine.apps.fields import Field
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import BridgeError


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStructure:
    """What records or texts of a kind hold. `strict`: nothing but its fields."""

    id: int
    name: str
    fields: tuple[Field, ...]
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStoreFacts:
    """A data store as committed: how full it is and may become, and what its records hold."""

    id: int
    name: str
    records: int
    bytes: int
    max_records: int
    max_bytes: int
    max_record_bytes: int
    structure: DataStructure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """A committed record; `version` is another after every change and never comes twice."""

    key: str
    data: dict[str, Value]
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordChange:
    """Put (or, without `data`, delete) a record, if it still has the version it was based on; 0 is no record."""

    store_id: int
    key: str
    version: int
    data: dict[str, Value] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCommit:
    """Changes that take effect together or not at all.

    `number` counts the commits of an execution; with it an attempt after a crash finds what an earlier one has
    committed. `cleared` stores lose every record before the changes; `results` are the outputs of the steps that made
    the changes, by step key.
    """

    execution_id: str
    number: int
    changes: tuple[RecordChange, ...]
    cleared: tuple[int, ...] = ()
    results: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)


def changed_stores(commit: StoreCommit) -> list[int]:
    """Return the ids of the stores a commit changes, in the order they are to be locked in."""
    return sorted({*commit.cleared, *(change.store_id for change in commit.changes)})


class StoreMissing(BridgeError):
    """There is no such data store or data structure in this team."""

    code = "data_store_missing"


class StoreConflict(BridgeError):
    """Somebody else has changed the same record meanwhile."""

    code = "data_store_conflict"


class StoreFull(BridgeError):
    """The data store, or the record, would become larger than it may."""

    code = "data_store_full"


class DataStores(Protocol):
    """The records of a team. Reads see what is committed; nothing is held between two calls, unless somebody asks.

    A database that does not answer is `Unavailable`. At a commit that stops the run where it stands, because nobody
    knows whether the commit came through; a later attempt finds out by `committed`.
    """

    async def facts(self, store_id: int) -> DataStoreFacts:
        """Return a store as committed; raises `StoreMissing`, also for another team's."""
        ...

    async def get(self, store_id: int, key: str) -> StoredRecord | None:
        """Return a record."""
        ...

    async def page(self, store_id: int, after: str, most_bytes: int) -> Sequence[StoredRecord]:
        """Return the next records behind a key, by key; about as many as fit, at least one, none at the end."""
        ...

    async def commit(self, commit: StoreCommit) -> None:
        """Make the changes durable, all or none; one with a number that is committed already changes nothing.

        Raises `StoreConflict`, `StoreFull` and `StoreMissing`, and then nothing has changed.
        """
        ...

    async def committed(self, execution_id: str) -> Mapping[int, Mapping[str, tuple[Value, ...]]]:
        """Return the results of an execution's commits, by number."""
        ...

    def hold(self, store_ids: Collection[int]) -> "AbstractAsyncContextManager[DataStores]":
        """Let nobody else commit to these stores, and give the way to them meanwhile; raises `StoreMissing`.

        What is committed through it takes effect when this ends without an error, at the latest.
        """
        ...


class DataStructures(Protocol):
    """The data structures of a team, for modules whose fields they name."""

    async def structure(self, structure_id: int) -> DataStructure:
        """Return one; raises `StoreMissing`, also for another team's."""
        ...


class Stores(DataStores, DataStructures, Protocol):
    """Both, as one adapter offers them."""


class NoStores:
    """Knows no data stores and no data structures: dry runs."""

    async def facts(self, store_id: int) -> DataStoreFacts:
        """Refuse."""
        raise StoreMissing(f"Data store {store_id} is not available here.")

    async def get(self, store_id: int, key: str) -> StoredRecord | None:  # noqa: ARG002  the port's shape
        """Refuse."""
        raise StoreMissing(f"Data store {store_id} is not available here.")

    async def page(self, store_id: int, after: str, most_bytes: int) -> Sequence[StoredRecord]:  # noqa: ARG002
        """Refuse."""
        raise StoreMissing(f"Data store {store_id} is not available here.")

    async def commit(self, commit: StoreCommit) -> None:
        """Refuse; without stores there is nothing that could be committed."""
        raise StoreMissing(f"Commit {commit.number} has no data stores here.")

    async def committed(self, execution_id: str) -> Mapping[int, Mapping[str, tuple[Value, ...]]]:  # noqa: ARG002
        """Know of none."""
        return {}

    def hold(self, store_ids: Collection[int]) -> AbstractAsyncContextManager[DataStores]:
        """Refuse."""
        raise StoreMissing(f"The data stores {sorted(store_ids)} are not available here.")

    async def structure(self, structure_id: int) -> DataStructure:
        """Refuse."""
        raise StoreMissing(f"Data structure {structure_id} is not available here.")
