"""The rows of data stores and their records. Every statement names the organization besides the row-level policy.

Whoever changes records holds the row of their store: changes of one store happen one after the other, and the counts
on it are exact. Stores are locked in the order of their ids, so that two commits never wait for each other.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from psycopg.errors import ForeignKeyViolation
from psycopg.rows import DictRow

from make_bridge.domain.data_stores.messages import DataStore, DataStoreId, Record
from make_bridge.domain.data_stores.model import (
    DataStoreLimits,
    Packed,
    Present,
    check_versions,
    filled,
    packed,
)
from make_bridge.domain.data_structures.messages import DataStructureId
from make_bridge.domain.data_structures.model import engine_structure
from make_bridge.engine.packing import pack, unpack
from make_bridge.engine.stores import DataStoreFacts, RecordChange, StoredRecord, StoreMissing
from make_bridge.engine.values import Value
from make_bridge.kernel.errors import NotFound
from make_bridge.kernel.ids import OrganizationId, TeamId
from make_bridge.platform.database.arrays import ByteaArray
from make_bridge.platform.database.transactions import ReadTx, WriteTx

_COLUMNS: Final = "id, team_id, name, structure_id, max_bytes, records, bytes"
_INSERT: Final = f"""
INSERT INTO shard.data_stores (organization_id, team_id, name, structure_id, max_bytes)
VALUES (%s, %s, %s, %s, %s) RETURNING {_COLUMNS}
"""
_COUNT: Final = "SELECT count(*) AS stores FROM shard.data_stores WHERE organization_id = %s"
_GET: Final = f"SELECT {_COLUMNS} FROM shard.data_stores WHERE organization_id = %s AND id = %s"
_LOCK: Final = f"{_GET} FOR UPDATE"
_LIST: Final = f"""
SELECT {_COLUMNS} FROM shard.data_stores WHERE organization_id = %s AND team_id = %s ORDER BY id LIMIT 10000
"""
_UPDATE: Final = f"""
UPDATE shard.data_stores SET name = %s, structure_id = %s, max_bytes = %s, updated_at = now()
WHERE organization_id = %s AND id = %s RETURNING {_COLUMNS}
"""
_DELETE: Final = "DELETE FROM shard.data_stores WHERE organization_id = %s AND id = %s"
_FACTS: Final = """
SELECT s.id, s.team_id, s.name, s.max_bytes, s.records, s.bytes, d.id AS structure_id, d.name AS structure_name, d.spec,
       d.strict
FROM shard.data_stores s
LEFT JOIN shard.data_structures d ON d.id = s.structure_id AND d.organization_id = s.organization_id
WHERE s.organization_id = %(organization)s AND s.id = %(store)s
"""
_LOCK_FACTS: Final = f"{_FACTS} FOR UPDATE OF s"

_GET_RECORD: Final = """
SELECT key, version, data FROM shard.data_store_records WHERE organization_id = %s AND store_id = %s AND key = %s
"""
# A page ends where the bytes would, but holds one record at least; bodies beyond it are not read.
_PAGE: Final = """
SELECT key, version, data FROM (
    SELECT key, version, data, sum(octet_length(data)) OVER (ORDER BY key) AS total,
           row_number() OVER (ORDER BY key) AS n
    FROM (SELECT key, version, data FROM shard.data_store_records
          WHERE organization_id = %(organization)s AND store_id = %(store)s AND key > %(after)s
          ORDER BY key LIMIT 1000) AS next
) AS page WHERE total <= %(bytes)s OR n = 1 ORDER BY key
"""
_SLICE: Final = """
SELECT key, data FROM shard.data_store_records
WHERE organization_id = %s AND store_id = %s ORDER BY key OFFSET %s LIMIT %s
"""
_SLICE_BYTES: Final = """
SELECT coalesce(sum(octet_length(data)), 0)::bigint AS bytes FROM (
    SELECT data FROM shard.data_store_records
    WHERE organization_id = %s AND store_id = %s ORDER BY key OFFSET %s LIMIT %s) AS part
"""
_PRESENT: Final = """
SELECT key, version, octet_length(key) + octet_length(data) AS bytes FROM shard.data_store_records
WHERE organization_id = %s AND store_id = %s AND key = ANY(%s)
"""
_PUT: Final = """
INSERT INTO shard.data_store_records (organization_id, store_id, key, data)
SELECT %s, %s, key, data FROM unnest(%s::text[], %s::bytea[]) AS given(key, data)
ON CONFLICT (store_id, key) DO UPDATE
SET data = excluded.data, version = nextval('shard.record_versions'), updated_at = now()
"""
_REMOVE: Final = """
DELETE FROM shard.data_store_records WHERE organization_id = %s AND store_id = %s AND key = ANY(%s) RETURNING key
"""
_CLEAR: Final = """
DELETE FROM shard.data_store_records WHERE organization_id = %s AND store_id = %s AND NOT key = ANY(%s)
RETURNING key, octet_length(key) + octet_length(data) AS bytes
"""
_FILL: Final = "UPDATE shard.data_stores SET records = %s, bytes = %s WHERE organization_id = %s AND id = %s"
_CLAIM_COMMIT: Final = """
INSERT INTO shard.data_store_commits (organization_id, execution_id, number, results) VALUES (%s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""
_COMMITTED: Final = """
SELECT number, results FROM shard.data_store_commits WHERE organization_id = %s AND execution_id = %s
"""
_FORGET_COMMITS: Final = "SELECT shard.forget_store_commits() AS gone"
_UNKNOWN: Final = "There is no such data store."


@dataclass(frozen=True, slots=True)
class DataStoreStore:
    """Data stores of one organization, inside the transaction given."""

    async def insert(self, tx: WriteTx, organization_id: OrganizationId, new: DataStore) -> DataStore:
        """Write a new one; its id is drawn here."""
        values = (organization_id, new.team_id, new.name, new.structure_id, new.max_bytes)
        try:
            rows = await tx.all(_INSERT, values)
        except ForeignKeyViolation as error:
            raise NotFound("This team or data structure was deleted a moment ago.") from error
        return _data_store(rows[0])

    async def count(self, tx: ReadTx, organization_id: OrganizationId) -> int:
        """Return how many stores the organization has."""
        row = await tx.one(_COUNT, (organization_id,))
        return int(row["stores"]) if row else 0

    async def get(self, tx: ReadTx, organization_id: OrganizationId, store_id: DataStoreId) -> DataStore:
        """Return one; raises NotFound."""
        return _found(await tx.one(_GET, (organization_id, store_id)))

    async def lock(self, tx: WriteTx, organization_id: OrganizationId, store_id: DataStoreId) -> DataStore:
        """Return one that nobody else changes until the transaction ends; raises NotFound."""
        return _found(await tx.one(_LOCK, (organization_id, store_id)))

    async def list(self, tx: ReadTx, organization_id: OrganizationId, team_id: TeamId) -> list[DataStore]:
        """Return a team's stores, oldest first."""
        return [_data_store(row) for row in await tx.all(_LIST, (organization_id, team_id))]

    async def update(self, tx: WriteTx, organization_id: OrganizationId, changed: DataStore) -> DataStore:
        """Write name, structure and size."""
        values = (changed.name, changed.structure_id, changed.max_bytes, organization_id, changed.id)
        return _found(await tx.one(_UPDATE, values))

    async def delete(self, tx: WriteTx, organization_id: OrganizationId, store_id: DataStoreId) -> None:
        """Remove one with its records."""
        await tx.execute(_DELETE, (organization_id, store_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStore:
    """Records of one team's stores (``team_id`` None: of any), inside the transaction given."""

    organization_id: OrganizationId
    team_id: TeamId | None
    limits: DataStoreLimits

    async def facts(self, tx: ReadTx, store_id: int) -> DataStoreFacts:
        """Return what a store is and holds; raises StoreMissing."""
        return self._facts(await tx.one(_FACTS, {"organization": self.organization_id, "store": store_id}))

    async def lock(self, tx: WriteTx, store_id: int) -> DataStoreFacts:
        """Return the same, and let nobody else change records of the store until the transaction ends."""
        return self._facts(await tx.one(_LOCK_FACTS, {"organization": self.organization_id, "store": store_id}))

    async def get(self, tx: ReadTx, store_id: int, key: str) -> StoredRecord | None:
        """Return a record."""
        row = await tx.one(_GET_RECORD, (self.organization_id, store_id, key))
        return None if row is None else _record(row)

    async def page(self, tx: ReadTx, store_id: int, after: str, most_bytes: int) -> list[StoredRecord]:
        """Return the next records behind a key."""
        values = {"organization": self.organization_id, "store": store_id, "after": after, "bytes": most_bytes}
        return [_record(row) for row in await tx.all(_PAGE, values)]

    async def slice_bytes(self, tx: ReadTx, store_id: int, offset: int, limit: int) -> int:
        """Return how large a part of the store is."""
        row = await tx.one(_SLICE_BYTES, (self.organization_id, store_id, offset, limit))
        return int(row["bytes"]) if row else 0

    async def slice(self, tx: ReadTx, store_id: int, offset: int, limit: int) -> list[Record]:
        """Return a part of the store, by key."""
        rows = await tx.all(_SLICE, (self.organization_id, store_id, offset, limit))
        return [Record(key=row["key"], data=_data(row)) for row in rows]

    async def apply(self, tx: WriteTx, facts: DataStoreFacts, changes: Sequence[RecordChange]) -> None:
        """Change records of a locked store; raises StoreConflict and StoreFull, and then nothing may be committed."""
        ready = [packed(change, self.limits) for change in changes]
        keys = [change.key for change in ready]
        rows = await tx.all(_PRESENT, (self.organization_id, facts.id, keys))
        present = {row["key"]: Present(version=row["version"], bytes=row["bytes"]) for row in rows}
        check_versions(ready, present, facts.name)
        records, size = filled(facts, ready, present)
        await self._write(tx, facts.id, ready)
        await tx.execute(_FILL, (records, size, self.organization_id, facts.id))

    async def remove(self, tx: WriteTx, facts: DataStoreFacts, keys: Sequence[str]) -> list[str]:
        """Delete records of a locked store, whatever their version; return the keys that were there."""
        rows = await tx.all(_PRESENT, (self.organization_id, facts.id, list(keys)))
        gone = [row["key"] for row in await tx.all(_REMOVE, (self.organization_id, facts.id, list(keys)))]
        size = facts.bytes - sum(row["bytes"] for row in rows)
        await tx.execute(_FILL, (facts.records - len(gone), size, self.organization_id, facts.id))
        return gone

    async def clear(
        self, tx: WriteTx, facts: DataStoreFacts, keep: Sequence[str] = ()
    ) -> tuple[DataStoreFacts, list[str]]:
        """Delete all records of a locked store but some; return what it is then, and the keys that are gone."""
        rows = await tx.all(_CLEAR, (self.organization_id, facts.id, list(keep)))
        records, size = facts.records - len(rows), facts.bytes - sum(row["bytes"] for row in rows)
        await tx.execute(_FILL, (records, size, self.organization_id, facts.id))
        return dataclasses.replace(facts, records=records, bytes=size), [row["key"] for row in rows]

    async def claim_commit(
        self, tx: WriteTx, execution_id: str, number: int, results: Mapping[str, tuple[Value, ...]]
    ) -> bool:
        """Take a commit's number; False when an earlier attempt has committed it."""
        raw = pack({key: list(bundles) for key, bundles in results.items()})
        return bool(await tx.execute(_CLAIM_COMMIT, (self.organization_id, execution_id, number, raw)))

    async def committed(self, tx: ReadTx, execution_id: str) -> dict[int, dict[str, tuple[Value, ...]]]:
        """Return the results of an execution's commits."""
        rows = await tx.all(_COMMITTED, (self.organization_id, execution_id))
        return {row["number"]: _results(bytes(row["results"])) for row in rows}

    async def _write(self, tx: WriteTx, store_id: int, changes: Sequence[Packed]) -> None:
        put = [(change.key, change.raw) for change in changes if change.raw is not None]
        gone = [change.key for change in changes if change.raw is None]
        if put:
            values = ([key for key, _ in put], ByteaArray([raw for _, raw in put]))
            await tx.execute(_PUT, (self.organization_id, store_id, *values))
        if gone:
            await tx.execute(_REMOVE, (self.organization_id, store_id, gone))

    def _facts(self, row: DictRow | None) -> DataStoreFacts:
        if row is None or self.team_id not in {None, row["team_id"]}:
            raise StoreMissing("There is no such data store in this team.")
        structure = None
        if row["structure_id"] is not None:
            spec = msgspec.json.decode(bytes(row["spec"]), type=list[dict[str, Any]])
            structure = engine_structure(row["structure_id"], row["structure_name"], spec, strict=row["strict"])
        return DataStoreFacts(
            id=row["id"],
            name=row["name"],
            records=row["records"],
            bytes=row["bytes"],
            max_records=self.limits.records,
            max_bytes=row["max_bytes"],
            max_record_bytes=self.limits.record_bytes,
            structure=structure,
        )


async def forget_commits(tx: WriteTx) -> int:
    """Drop the numbers of commits that no attempt will ask for again; return how many."""
    row = await tx.one(_FORGET_COMMITS)
    return int(row["gone"]) if row else 0


def _found(row: DictRow | None) -> DataStore:
    if row is None:
        raise NotFound(_UNKNOWN)
    return _data_store(row)


def _data_store(row: DictRow) -> DataStore:
    structure_id = row["structure_id"]
    return DataStore(
        id=row["id"],
        team_id=row["team_id"],
        name=row["name"],
        structure_id=None if structure_id is None else DataStructureId(structure_id),
        max_bytes=row["max_bytes"],
        records=row["records"],
        bytes=row["bytes"],
    )


def _record(row: DictRow) -> StoredRecord:
    return StoredRecord(key=row["key"], data=_data(row), version=row["version"])


def _data(row: DictRow) -> dict[str, Any]:
    data = unpack(bytes(row["data"]))
    return data if isinstance(data, dict) else {}


def _results(raw: bytes) -> dict[str, tuple[Value, ...]]:
    results = unpack(raw)
    found = results.items() if isinstance(results, dict) else ()
    return {key: tuple(bundles) for key, bundles in found if isinstance(bundles, list)}
