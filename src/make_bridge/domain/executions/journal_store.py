"""The statements on the journal of effects: one that writes, one that reads back, one that erases.

Writing is one statement for any number of runs. It first takes the runs' queue rows, shared, and writes only for those
whose fence is still the writer's: whoever takes a run over raises the fence, and either waits for this commit (and then
reads what it wrote) or was first (and then nothing is written). Rows are taken in the order of their ids, as the
heartbeat takes them, so that the two never wait for each other.
"""

from collections.abc import Iterable, Sequence

import msgspec
from psycopg.rows import DictRow

from make_bridge.kernel.ids import ExecutionId, OrganizationId
from make_bridge.platform.database.arrays import ByteaArray
from make_bridge.platform.database.pools import Shard
from make_bridge.platform.database.transactions import WriteTx

_WRITE = """
WITH input AS (
    SELECT * FROM unnest(
        %(numbers)s::integer[], %(ids)s::uuid[], %(fences)s::bigint[], %(retentions)s::smallint[],
        %(organizations)s::bigint[], %(modules)s::bigint[], %(operations)s::integer[], %(keys)s::text[],
        %(results)s::bytea[], %(done)s::boolean[], %(sealed)s::boolean[], %(cut)s::boolean[]
    ) AS t(number, id, fence, retention, organization_id, module_id, operation, key, result, done, is_sealed, is_cut)
), held AS (
    SELECT q.id, q.fence FROM shard.queue q WHERE q.id = ANY(%(ids)s::uuid[]) ORDER BY q.id FOR SHARE
), mine AS (
    SELECT i.* FROM input i JOIN held h ON h.id = i.id AND h.fence = i.fence
), written AS (
    INSERT INTO shard.journal AS j
        (retention, id, organization_id, module_id, operation, key, result, is_sealed, is_cut)
    SELECT retention, id, organization_id, module_id, operation, key, CASE WHEN done THEN result END, is_sealed, is_cut
    FROM mine
    ON CONFLICT (retention, id, module_id, operation) DO UPDATE SET
        result = coalesce(excluded.result, j.result), is_sealed = j.is_sealed OR excluded.is_sealed,
        is_cut = j.is_cut OR excluded.is_cut
)
SELECT number FROM mine
"""
_READ = """
SELECT module_id, operation, key, result, is_sealed, is_cut FROM shard.journal
WHERE retention = %s AND id = %s AND organization_id = %s
"""
_ERASE = """
UPDATE shard.journal j SET result = ''
FROM unnest(%(retentions)s::smallint[], %(ids)s::uuid[]) AS t(retention, id)
WHERE j.retention = t.retention AND j.id = t.id AND j.result IS NOT NULL
"""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One row to be: an intent (``result`` None), or how a step ended; ``fence`` is the writer's."""

    id: ExecutionId
    fence: int
    organization_id: OrganizationId
    module_id: int
    operation: int
    key: str
    result: bytes | None = None
    is_sealed: bool = False
    is_cut: bool = False


async def write(shard: Shard, entries: Sequence[Entry]) -> set[int]:
    """Write entries; return the positions of those that were taken, the rest had lost their lease."""
    parameters = {
        "numbers": _digits(range(len(entries))),
        "ids": _plain(entry.id for entry in entries),
        "fences": _digits(entry.fence for entry in entries),
        "retentions": _digits(_retention(entry.id) for entry in entries),
        "organizations": _digits(entry.organization_id for entry in entries),
        "modules": _digits(entry.module_id for entry in entries),
        "operations": _digits(entry.operation for entry in entries),
        "keys": [entry.key for entry in entries],
        "results": ByteaArray([entry.result or b"" for entry in entries]),
        "done": [entry.result is not None for entry in entries],
        "sealed": [entry.is_sealed for entry in entries],
        "cut": [entry.is_cut for entry in entries],
    }
    async with shard.engine_statement() as tx:
        return {row["number"] for row in await tx.all(_WRITE, parameters)}


async def read(shard: Shard, organization_id: OrganizationId, execution_id: ExecutionId) -> list[DictRow]:
    """Return everything earlier attempts of an execution have written."""
    async with shard.read(organization_id) as tx:
        return await tx.all(_READ, (_retention(execution_id), execution_id, organization_id))


async def erase(tx: WriteTx, ids: Sequence[ExecutionId]) -> None:
    """Empty the results of runs that have ended: nobody goes on from them any more."""
    await tx.execute(_ERASE, {"retentions": _digits(map(_retention, ids)), "ids": _plain(ids)})


def _digits(values: Iterable[int]) -> str:
    return "{" + ",".join(map(str, values)) + "}"


def _plain(values: Iterable[str]) -> str:
    return "{" + ",".join(values) + "}"


def _retention(execution_id: ExecutionId) -> int:
    return int(execution_id[12], 16)
