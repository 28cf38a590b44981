"""What every adapter of the data stores' port promises: memory and PostgreSQL, held to the same words."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from make_bridge.domain.customers import store as customer_store
from make_bridge.domain.data_stores import handlers as data_store_handlers
from make_bridge.domain.data_stores.messages import CreateDataStore
from make_bridge.domain.data_stores.model import DataStoreLimits
from make_bridge.domain.data_stores.team_records import StoresByTeam
from make_bridge.domain.data_structures import handlers as data_structure_handlers
from make_bridge.domain.data_structures.messages import CreateDataStructure
from make_bridge.domain.data_structures.model import engine_structure
from make_bridge.engine.runner.memory_stores import MemoryStores
from make_bridge.engine.stores import (
    DataStructure,
    RecordChange,
    StoreCommit,
    StoreConflict,
    StoreFull,
    StoreMissing,
    Stores,
)
from make_bridge.kernel.ids import OrganizationId, TeamId, new_execution_id
from make_bridge.platform.bus.commands import CommandBus
from support.organizations import administrator, data_keys_of, make_organization
from support.postgres import open_shards

LIMITS = DataStoreLimits(record_bytes=1000, records=5)
STORE_BYTES = 2000
CROWD = 30
SPEC = [{"name": "n", "type": "number"}]
MARCH = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Case:
    """An adapter with an empty store, one with a structure, and the way to a stranger's."""

    port: Stores
    store: int
    structured: int
    structure: int
    foreign_stores: tuple[int, ...]
    """Of another organization, and of another team of the same one."""
    foreign_structures: tuple[int, ...]


@pytest.fixture(scope="module")
async def shards(postgres):
    async with open_shards(postgres, "two") as opened:
        yield opened


def _in_memory() -> Case:
    port = MemoryStores()
    structure = engine_structure(31, "Numbers", SPEC, strict=True)
    port.add_structure(structure)
    port.add_store(1, max_bytes=STORE_BYTES, max_records=LIMITS.records, max_record_bytes=LIMITS.record_bytes)
    port.add_store(2, structure=structure)
    return Case(port=port, store=1, structured=2, structure=31, foreign_stores=(77,), foreign_structures=(78,))


async def _in_postgres(shards) -> Case:
    bus = CommandBus(
        [*data_structure_handlers.commands(), *data_store_handlers.commands(DataStoreLimits())],
        shards,
        data_keys_of(shards),
    )

    async def made(team: int, organization: OrganizationId, *, with_structure: bool) -> Any:
        context = administrator(organization)
        structure = None
        if with_structure:
            new = CreateDataStructure(team_id=TeamId(team), name="Numbers", spec=SPEC, strict=True)
            structure = (await bus.execute(context, new)).id
        create = CreateDataStore(team_id=TeamId(team), name="S", structure_id=structure, max_bytes=STORE_BYTES)
        return (await bus.execute(context, create)).id, structure

    acme, rival = await make_organization(shards), await make_organization(shards, "Rival")
    organization = OrganizationId(acme.organization_id)
    store, _ = await made(acme.team_id, organization, with_structure=False)
    structured, structure = await made(acme.team_id, organization, with_structure=True)
    foreign, foreign_structure = await made(rival.team_id, OrganizationId(rival.organization_id), with_structure=True)
    shard = await shards.of(organization)
    async with shard.write(organization) as tx:
        neighbours = await customer_store.insert_team(tx, organization, "Neighbours")
    neighbour, neighbour_structure = await made(neighbours, organization, with_structure=True)
    port = StoresByTeam(shards=shards, limits=LIMITS).of(organization, TeamId(acme.team_id))
    return Case(
        port=port,
        store=store,
        structured=structured,
        structure=structure,
        foreign_stores=(foreign, neighbour),
        foreign_structures=(foreign_structure, neighbour_structure),
    )


@pytest.fixture(params=["memory", "postgresql"])
async def case(request, shards):
    return _in_memory() if request.param == "memory" else await _in_postgres(shards)


def _put(case: Case, key: str, version: int = 0, store: int | None = None, **data: Any) -> RecordChange:
    return RecordChange(store_id=store or case.store, key=key, version=version, data=data)


def _delete(case: Case, key: str, version: int) -> RecordChange:
    return RecordChange(store_id=case.store, key=key, version=version, data=None)


async def _commit(case: Case, *changes: RecordChange, number: int = 1, **more: Any) -> None:
    execution = more.pop("execution", None) or new_execution_id()
    await case.port.commit(StoreCommit(execution_id=execution, number=number, changes=changes, **more))


async def _keys(case: Case) -> list[str]:
    return [record.key for record in await case.port.page(case.store, "", 1_000_000)]


async def test_values_come_back_as_what_they_were(case):
    data: Any = {
        "at": MARCH,
        "raw": b"\x00\xff",
        "n": 1,
        "x": 0.5,
        "none": None,
        "deep": {"list": [True, {"a": "ä\x00"}]},
    }
    await _commit(case, _put(case, "k", **data))
    found = await case.port.get(case.store, "k")
    assert found is not None
    assert (found.key, found.data) == ("k", data)
    assert found.version > 0
    assert await case.port.get(case.store, "other") is None


async def test_a_change_gives_the_record_another_version_and_never_an_old_one(case):
    seen = set()
    for turn in range(3):
        await _commit(case, _put(case, "k", n=turn))
        found = await case.port.get(case.store, "k")
        seen.add(found.version)
        await _commit(case, _put(case, "k", found.version, n=-turn))
        found = await case.port.get(case.store, "k")
        seen.add(found.version)
        await _commit(case, _delete(case, "k", found.version))
        assert await case.port.get(case.store, "k") is None
    assert len(seen) == 6


async def test_how_full_a_store_is_is_known_after_every_commit(case):
    before = await case.port.facts(case.store)
    assert (before.records, before.bytes, before.max_bytes) == (0, 0, STORE_BYTES)
    await _commit(case, _put(case, "aa", n=1), _put(case, "bb", n=2))
    full = await case.port.facts(case.store)
    assert full.records == 2
    found = await case.port.get(case.store, "aa")
    await _commit(case, _delete(case, "aa", found.version))
    half = await case.port.facts(case.store)
    assert (half.records, half.bytes * 2) == (1, full.bytes)
    await _commit(case, cleared=(case.store,))
    assert await case.port.facts(case.store) == before


@pytest.mark.parametrize("version", [0, 10**9])
async def test_a_change_based_on_another_version_is_a_conflict_and_changes_nothing(case, version):
    await _commit(case, _put(case, "k", n=1))
    with pytest.raises(StoreConflict):
        await _commit(case, _put(case, "other", n=2), _put(case, "k", version, n=2))
    assert (await case.port.get(case.store, "k")).data == {"n": 1}
    assert await _keys(case) == ["k"]
    assert (await case.port.facts(case.store)).records == 1


async def test_a_record_that_is_gone_is_a_conflict_too(case):
    with pytest.raises(StoreConflict):
        await _commit(case, _put(case, "k", 5, n=1))


async def test_a_commit_with_a_number_that_is_committed_changes_nothing(case):
    execution = new_execution_id()
    results = {"step": ({"key": "k", "at": MARCH},)}
    await _commit(case, _put(case, "k", n=1), execution=execution, number=2, results=results)
    await _commit(case, _put(case, "k", n=2), _put(case, "x", n=2), execution=execution, number=2)
    assert (await case.port.get(case.store, "k")).data == {"n": 1}
    assert await case.port.committed(execution) == {2: results}
    assert await case.port.committed(new_execution_id()) == {}


async def test_a_commit_that_failed_leaves_its_number_free(case):
    execution = new_execution_id()
    with pytest.raises(StoreConflict):
        await _commit(case, _put(case, "k", 9, n=1), execution=execution)
    await _commit(case, _put(case, "k", n=2), execution=execution)
    assert (await case.port.get(case.store, "k")).data == {"n": 2}


async def test_records_come_by_key_in_pages_of_about_so_many_bytes(case):
    await _commit(case, *(_put(case, key, t="x" * 100) for key in ("b", "a", "é", "c", "B")))
    keys, after, pages = [], "", 0
    while page := await case.port.page(case.store, after, 220):
        keys += [record.key for record in page]
        after, pages = page[-1].key, pages + 1
    assert keys == ["B", "a", "b", "c", "é"]
    assert pages == 3
    assert [record.key for record in await case.port.page(case.store, "", 1)] == ["B"]


async def test_a_store_takes_no_more_records_than_it_may(case):
    await _commit(case, *(_put(case, f"k{n}", n=n) for n in range(LIMITS.records)))
    with pytest.raises(StoreFull):
        await _commit(case, _put(case, "one more", n=1))
    found = await case.port.get(case.store, "k0")
    await _commit(case, _delete(case, "k0", found.version), _put(case, "one more", n=1))


async def test_a_store_takes_no_more_bytes_than_it_may(case):
    await _commit(case, _put(case, "a", t="x" * 900), _put(case, "b", t="x" * 900))
    with pytest.raises(StoreFull):
        await _commit(case, _put(case, "c", t="x" * 900))
    assert await _keys(case) == ["a", "b"]


async def test_a_record_is_no_larger_than_it_may_be(case):
    with pytest.raises(StoreFull):
        await _commit(case, _put(case, "a", t="x" * 1000))


async def test_a_cleared_store_holds_only_what_is_put_after(case):
    await _commit(case, _put(case, "a", n=1), _put(case, "b", n=1))
    await _commit(case, _put(case, "c", n=2), _put(case, "a", n=2), cleared=(case.store,))
    assert await _keys(case) == ["a", "c"]
    assert (await case.port.get(case.store, "a")).data == {"n": 2}


async def test_a_commit_over_two_stores_is_one(case):
    with pytest.raises(StoreConflict):
        await _commit(case, _put(case, "a", n=1), _put(case, "a", 7, store=case.structured, n=1))
    assert await _keys(case) == []
    await _commit(case, _put(case, "a", n=1), _put(case, "a", store=case.structured, n=1))
    assert (await case.port.facts(case.structured)).records == 1


async def test_structures_are_known_by_their_fields(case):
    expected = DataStructure(
        id=case.structure, name="Numbers", fields=engine_structure(1, "", SPEC, strict=True).fields, strict=True
    )
    assert await case.port.structure(case.structure) == expected
    assert (await case.port.facts(case.structured)).structure == expected
    assert (await case.port.facts(case.store)).structure is None


async def test_what_is_not_this_team_s_does_not_exist(case):
    for store in (*case.foreign_stores, 10**15):
        asked: list[Awaitable[object]] = [
            case.port.facts(store),
            _commit(case, _put(case, "k", store=store, n=1)),
            _commit(case, cleared=(store,)),
        ]
        for answer in asked:
            with pytest.raises(StoreMissing):
                await answer
    for structure in case.foreign_structures:
        with pytest.raises(StoreMissing):
            await case.port.structure(structure)


@pytest.mark.attack("G11")
async def test_of_commits_at_once_on_one_record_one_wins(case):
    for turn in range(10):  # a pool opens its connections one by one: the first turns may not be at once
        found = await case.port.get(case.store, "k")
        version = found.version if found else 0
        changes = [_put(case, "k", version, n=n, turn=turn) for n in range(5)]
        outcomes = await asyncio.gather(*(_commit(case, change) for change in changes), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(type(None)) == 1
        assert sum(isinstance(outcome, StoreConflict) for outcome in outcomes) == 4


async def test_commits_at_once_over_stores_in_any_order_do_not_wait_for_each_other(case):
    def pair(n):
        changes = (_put(case, f"k{n}", n=n), _put(case, f"k{n}", store=case.structured, n=n))
        return changes if n % 2 else changes[::-1]

    await asyncio.gather(*(_commit(case, *pair(n)) for n in range(5)))
    assert (await case.port.facts(case.structured)).records == 5


async def test_while_a_store_is_held_only_its_holder_commits_to_it(case):
    async with case.port.hold([case.store]) as held:
        assert await held.get(case.store, "k") is None
        rival = asyncio.create_task(_commit(case, _put(case, "k", n=2)))
        await _commit(case, _put(case, "other", store=case.structured, n=3))
        await held.commit(StoreCommit(execution_id=new_execution_id(), number=1, changes=(_put(case, "k", n=1),)))
        assert not rival.done()
    with pytest.raises(StoreConflict):
        await rival
    kept = await case.port.get(case.store, "k")
    assert kept is not None
    assert kept.data == {"n": 1}


async def test_a_holder_s_commit_that_is_refused_changes_nothing(case):
    execution = new_execution_id()
    with pytest.raises(StoreConflict):
        async with case.port.hold([case.store]) as held:
            await held.commit(StoreCommit(execution_id=execution, number=1, changes=(_put(case, "k", 99, n=1),)))
    assert await case.port.committed(execution) == {}
    await _commit(case, _put(case, "k", n=1), execution=execution)


async def test_what_is_not_this_team_s_cannot_be_held(case):
    for store in case.foreign_stores:
        with pytest.raises(StoreMissing):
            async with case.port.hold([store]):
                pass


async def test_ever_so_many_who_wait_for_a_store_take_nobody_s_connection(case):
    async with case.port.hold([case.store]):
        waiting = [asyncio.create_task(_commit(case, _put(case, f"k{n}"))) for n in range(CROWD)]
        await asyncio.sleep(0)
        assert (await case.port.facts(case.structured)).records == 0
        assert not any(task.done() for task in waiting)
        for task in waiting[LIMITS.records :]:
            task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await _keys(case) == [f"k{n}" for n in range(LIMITS.records)]
