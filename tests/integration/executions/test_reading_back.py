"""What was claimed is read back in few readings, however many begin at once and however few connections there are."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from make_bridge.domain.executions import store
from make_bridge.domain.executions.reading_back import ReadingBack
from make_bridge.kernel.errors import Unavailable
from make_bridge.kernel.ids import ExecutionId
from make_bridge.platform.database.pools import PoolLimits, Shard, open_pool
from make_bridge.platform.database.shards import Shards
from support.endings import Place, make_place

MANY = 1_000
LIMITS = PoolLimits(max_size=1, wait=0.3)


@pytest.fixture
async def narrow(place: Place) -> AsyncIterator[Shard]:
    """The shard by way of a single connection, for which nobody waits for long."""
    async with open_pool(str(place.shard.engine.conninfo), "bridge_app", LIMITS) as app:
        yield Shard(place.shard.number, app, place.shard.engine)


async def accepted(place: Place, count: int) -> list[ExecutionId]:
    runs = [place.run(owner=None) for _ in range(count)]
    await store.accept(place.shard, runs)
    return [run.id for run in runs]


async def test_a_thousand_that_begin_at_once_are_read_by_way_of_one_connection(place: Place, narrow: Shard) -> None:
    ids, reading = await accepted(place, MANY), ReadingBack()
    before = narrow.statistics()["app"]().get("requests_num", 0)
    rows = await asyncio.gather(*(reading.read(narrow, place.organization_id, i) for i in ids))
    assert [row is not None and row["id"].hex for row in rows] == ids
    assert narrow.statistics()["app"]().get("requests_num", 0) - before == MANY / 20
    await reading.close()


async def test_what_is_not_there_or_is_of_others_is_not_found(place: Place, shards: Shards) -> None:
    other, reading = await make_place(shards), ReadingBack()
    [own], [strange] = await accepted(place, 1), await accepted(other, 1)
    wanted = own, strange, ExecutionId(own[:12] + own[12] + "f" * 19), own
    found = await asyncio.gather(*(reading.read(place.shard, place.organization_id, i) for i in wanted))
    assert [row is not None for row in found] == [True, False, False, True]


async def test_who_is_cancelled_is_not_read_and_takes_nobody_along(place: Place, narrow: Shard) -> None:
    ids, reading = await accepted(place, 3), ReadingBack()
    tasks = [asyncio.create_task(reading.read(narrow, place.organization_id, i)) for i in ids]
    asyncio.get_running_loop().call_soon(tasks[1].cancel)
    rows = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(rows[1], asyncio.CancelledError)
    assert [row["id"].hex for row in (rows[0], rows[2]) if isinstance(row, dict)] == [ids[0], ids[2]]


async def test_a_reading_that_fails_is_told_to_all_whom_it_was_for(place: Place, narrow: Shard) -> None:
    ids, reading = await accepted(place, 3), ReadingBack()
    async with narrow.read(place.organization_id):
        told = await asyncio.gather(
            *(reading.read(narrow, place.organization_id, i) for i in ids), return_exceptions=True
        )
    assert all(isinstance(error, Unavailable) for error in told), told
    assert await reading.read(narrow, place.organization_id, ids[0]) is not None
