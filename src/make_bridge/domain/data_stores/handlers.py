"""What changes data stores, and records from outside of a run.

A record changed here is seen by every later module call; a run that had based an uncommitted change on it meets the
new version at its commit.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from make_bridge.domain.customers.model import require_sight
from make_bridge.domain.data_stores.messages import (
    AddRecord,
    ChangeRecord,
    CreateDataStore,
    DataStore,
    DataStoreId,
    DeleteDataStore,
    DeleteRecords,
    Record,
    ReplaceRecord,
    UpdateDataStore,
)
from make_bridge.domain.data_stores.model import DataStoreLimits, checked_key, checked_size
from make_bridge.domain.data_stores.store import DataStoreStore, RecordStore
from make_bridge.domain.data_structures.handlers import require_team
from make_bridge.domain.data_structures.messages import DataStructureId
from make_bridge.domain.data_structures.model import checked_name, checked_record
from make_bridge.domain.data_structures.store import DataStructureStore
from make_bridge.engine.apps.datastore import merged
from make_bridge.engine.stores import DataStoreFacts, RecordChange, StoredRecord, StoreFull
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import Conflict, NotFound
from make_bridge.kernel.ids import TeamId
from make_bridge.platform.bus.commands import CommandRegistration
from make_bridge.platform.bus.unit_of_work import UnitOfWork

_NOUN = "data store"
_GENERATED_BYTES = 6
_AUDITED = frozenset({"name", "structure_id", "max_bytes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataStoreHandlers:
    """The handlers."""

    limits: DataStoreLimits
    stores: DataStoreStore = field(default_factory=DataStoreStore)
    structures: DataStructureStore = field(default_factory=DataStructureStore)

    async def create(self, work: UnitOfWork, command: CreateDataStore) -> DataStore:
        """Make a store; raises InvalidInput, Conflict at the limit, NotFound for another's team or structure."""
        organization_id = work.context.organization_id
        await require_team(work, command.team_id)
        if await self.stores.count(work.tx, organization_id) >= self.limits.stores:
            message = f"An organization has at most {self.limits.stores} data stores: delete one that nobody needs."
            raise Conflict(message, code="data_stores_limit")
        await self._check_structure(work, command.structure_id, command.team_id)
        new = DataStore(
            id=DataStoreId(0),
            team_id=command.team_id,
            name=checked_name(command.name, _NOUN),
            structure_id=command.structure_id,
            max_bytes=checked_size(command.max_bytes, self.limits),
            records=0,
            bytes=0,
        )
        made = await self.stores.insert(work.tx, organization_id, new)
        work.touch(f"data-store/{made.id}", team=made.team_id)
        work.change(after=made)
        return made

    async def update(self, work: UnitOfWork, command: UpdateDataStore) -> DataStore:
        """Change a store; raises Conflict for a size below what it holds."""
        known = await self._lock(work, command.data_store_id)
        await self._check_structure(work, command.structure_id, known.team_id)
        max_bytes = known.max_bytes if command.max_bytes is None else checked_size(command.max_bytes, self.limits)
        if max_bytes < known.bytes:
            message = f"This data store holds {known.bytes} bytes and cannot become smaller than that."
            raise Conflict(message, code="data_store_size")
        changed = DataStore(
            id=known.id,
            team_id=known.team_id,
            name=known.name if command.name is None else checked_name(command.name, _NOUN),
            structure_id=None if command.without_structure else command.structure_id or known.structure_id,
            max_bytes=max_bytes,
            records=known.records,
            bytes=known.bytes,
        )
        work.touch(f"data-store/{known.id}", team=known.team_id)
        work.change(before=known, after=changed)
        return await self.stores.update(work.tx, work.context.organization_id, changed)

    async def delete(self, work: UnitOfWork, command: DeleteDataStore) -> None:
        """Remove a store with its records; scenarios that use it will say so when they run."""
        known = await self._lock(work, command.data_store_id)
        await self.stores.delete(work.tx, work.context.organization_id, known.id)
        work.touch(f"data-store/{known.id}", team=known.team_id, records=known.records)

    async def add_record(self, work: UnitOfWork, command: AddRecord) -> Record:
        """Add a record; raises Conflict when its key is taken."""
        key = checked_key(command.key) if command.key else os.urandom(_GENERATED_BYTES).hex()
        facts, known = await self._open(work, command.data_store_id, key)
        if known is not None:
            raise Conflict(f"There is a record with the key '{key[:80]}' already.", code="record_exists")
        return await self._put(work, facts, known, key, command.data)

    async def replace_record(self, work: UnitOfWork, command: ReplaceRecord) -> Record:
        """Put a record, whether there is one or not."""
        key = checked_key(command.key)
        facts, known = await self._open(work, command.data_store_id, key)
        return await self._put(work, facts, known, key, command.data)

    async def change_record(self, work: UnitOfWork, command: ChangeRecord) -> Record:
        """Change some values of a record; raises NotFound."""
        facts, known = await self._open(work, command.data_store_id, command.key)
        if known is None:
            raise NotFound(f"There is no record with the key '{command.key[:80]}' in this data store.")
        return await self._put(work, facts, known, command.key, merged(known.data, command.data))

    async def delete_records(self, work: UnitOfWork, command: DeleteRecords) -> list[str]:
        """Delete records; keys that no record has are left out of the answer."""
        known = await self._lock(work, command.data_store_id)
        records = self._records(work)
        facts = await records.facts(work.tx, known.id)
        if command.keys is None:
            _, gone = await records.clear(work.tx, facts, command.except_keys)
        else:
            gone = await records.remove(work.tx, facts, command.keys)
        work.touch(f"data-store/{known.id}", team=known.team_id, deleted=len(gone))
        return gone

    def _records(self, work: UnitOfWork) -> RecordStore:
        return RecordStore(organization_id=work.context.organization_id, team_id=None, limits=self.limits)

    async def _lock(self, work: UnitOfWork, store_id: DataStoreId) -> DataStore:
        known = await self.stores.lock(work.tx, work.context.organization_id, store_id)
        require_sight(work.context, known.team_id)
        return known

    async def _open(
        self, work: UnitOfWork, store_id: DataStoreId, key: str
    ) -> tuple[DataStoreFacts, StoredRecord | None]:
        known = await self._lock(work, store_id)
        records = self._records(work)
        return await records.facts(work.tx, known.id), await records.get(work.tx, known.id, key)

    async def _put(
        self, work: UnitOfWork, facts: DataStoreFacts, known: StoredRecord | None, key: str, data: Mapping[str, Value]
    ) -> Record:
        made = checked_record(facts.structure, data)
        change = RecordChange(store_id=facts.id, key=key, version=known.version if known else 0, data=made)
        try:
            await self._records(work).apply(work.tx, facts, [change])
        except StoreFull as error:
            raise Conflict(error.message, code=error.code) from error
        work.touch(f"data-store/{facts.id}/{key}")
        return Record(key=key, data=made)

    async def _check_structure(self, work: UnitOfWork, structure_id: DataStructureId | None, team_id: TeamId) -> None:
        """Raise NotFound unless the structure is one of this team."""
        if structure_id is None:
            return
        found = await self.structures.get(work.tx, work.context.organization_id, structure_id)
        if found.team_id != team_id:
            raise NotFound("There is no such data structure in this team.")


def commands(limits: DataStoreLimits) -> list[CommandRegistration[Any, Any]]:
    """Return the slice's commands for the composition root."""
    handlers, write = DataStoreHandlers(limits=limits), "datastores:write"
    table: list[tuple[type[Any], Any, Any, str]] = [
        (CreateDataStore, handlers.create, DataStore, "data-store.create"),
        (UpdateDataStore, handlers.update, DataStore, "data-store.update"),
        (DeleteDataStore, handlers.delete, None, "data-store.delete"),
        (AddRecord, handlers.add_record, Record, "data-store.add-record"),
        (ReplaceRecord, handlers.replace_record, Record, "data-store.replace-record"),
        (ChangeRecord, handlers.change_record, Record, "data-store.change-record"),
        (DeleteRecords, handlers.delete_records, list[str], "data-store.delete-records"),
    ]
    return [
        CommandRegistration(
            command=command, handler=handler, result=result, permission=write, action=action, audited=_AUDITED
        )
        for command, handler, result, action in table
    ]
