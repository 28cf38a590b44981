"""The journal on a real database: what each effect leaves, what a second attempt makes of it, who is refused."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from make_bridge.domain.executions import journal_store, runlog, store
from make_bridge.domain.executions.journal import JournalConfig, LeaseLost, StoredJournals
from make_bridge.engine.blueprint.model import Settings
from make_bridge.engine.ports import Intent, Record
from make_bridge.kernel.errors import Unavailable
from make_bridge.platform.queue import leases
from support.attempts import broken_off_at_last_call, send, take_over, target_of, until_settled
from support.blueprints import call
from support.nodes import node
from support.organizations import data_keys_of

PATIENCE = 30
KEY = "k" * 32
RECORD = Record(
    key=KEY,
    module_id=2**40,
    operation=3,
    outputs=({"at": datetime(2026, 11, 22, tzinfo=UTC), "file": b"\x00\xff"},),
    error_type="DataError",
    error_message="No.",
    error_detail={"status": 400},
    elapsed_us=17,
    transfer=19,
    state={"commits": 1, "changes": [[5, "a", 2, True, {"x": 1}]]},
    remembered=[1, 2],
)
INTENT = Intent(key=KEY, module_id=2**40, module="http:MakeRequest", operation=3)


@pytest.fixture
def journals(shards):
    return StoredJournals(shards, data_keys_of(shards), JournalConfig(most_result_bytes=4096, patience=0.0))


@pytest.fixture
async def run(place):
    accepted = place.run()
    await store.accept(place.shard, [accepted])
    return accepted


async def rows(place):
    return await place.all("SELECT * FROM shard.journal WHERE organization_id = %s", place.organization_id)


@pytest.mark.parametrize("settings", [Settings(), Settings(confidential=True)])
async def test_a_later_attempt_reads_what_was_recorded_with_its_types(place, journals, run, settings):
    journal = await journals.of(run, settings, 1)
    await journal.intend(INTENT)
    await journal.record(RECORD)
    lease = await take_over(place, run)
    again = await journals.of(run, settings, lease.fence)
    assert again.recall(KEY) == RECORD
    [row] = await rows(place)
    assert row["is_sealed"] is settings.confidential
    assert (b"DataError" in bytes(row["result"])) is not settings.confidential


async def test_an_intent_without_a_result_is_read_as_that(place, journals, run):
    journal = await journals.of(run, Settings(), 1)
    await journal.intend(INTENT)
    lease = await take_over(place, run)
    known = (await journals.of(run, Settings(), lease.fence)).recall(KEY)
    assert isinstance(known, Intent)
    assert (known.key, known.module_id, known.operation) == (KEY, 2**40, 3)


async def test_a_first_attempt_reads_nothing(place, journals, run):
    journal = await journals.of(run, Settings(), 1)
    await journal.record(RECORD)
    assert (await journals.of(run, Settings(), 1)).recall(KEY) is None


async def test_a_result_that_is_too_large_is_not_kept_but_known_to_be_done(place, journals, run):
    journal = await journals.of(run, Settings(), 1)
    await journal.intend(INTENT)
    await journal.record(Record(key=KEY, module_id=2**40, operation=3, outputs=({"file": b"x" * 5000},)))
    [row] = await rows(place)
    assert (row["is_cut"], bytes(row["result"])) == (True, b"")
    lease = await take_over(place, run)
    assert isinstance((await journals.of(run, Settings(), lease.fence)).recall(KEY), Intent)


async def test_a_value_that_cannot_be_stored_is_cut_too(place, journals, run):
    journal = await journals.of(run, Settings(), 1)
    await journal.record(Record(key=KEY, module_id=2, operation=1, outputs=({"number": 2**70},)))
    [row] = await rows(place)
    assert row["is_cut"]


async def test_who_slept_past_the_lease_writes_nothing(place, journals, run):
    sleeper = await journals.of(run, Settings(), 1)
    await sleeper.intend(INTENT)
    lease = await take_over(place, run)
    with pytest.raises(LeaseLost):
        await sleeper.record(RECORD)
    with pytest.raises(LeaseLost):
        await sleeper.intend(Intent(key="other", module_id=9, module="x:Y", operation=1))
    [row] = await rows(place)
    assert row["result"] is None
    heir = await journals.of(run, Settings(), lease.fence)
    await heir.record(RECORD)
    [row] = await rows(place)
    assert bytes(row["result"]) != b""


async def test_one_batch_tells_each_writer_its_own_answer(place, run):
    entry = journal_store.Entry(
        id=run.id, fence=1, organization_id=place.organization_id, module_id=2, operation=1, key=KEY, result=b"mine"
    )
    stale = journal_store.Entry(
        id=run.id, fence=9, organization_id=place.organization_id, module_id=2, operation=1, key=KEY, result=b"not mine"
    )
    assert await journal_store.write(place.shard, [stale, entry]) == {1}
    [row] = await rows(place)
    assert bytes(row["result"]) == b"mine"


async def test_a_takeover_waits_for_a_write_under_way_and_then_sees_it(place, run):
    """The lease's row is held until the journal's commit, so a fence is never raised between check and write."""
    async with place.shard.engine_write() as tx:
        await tx.all("SELECT id FROM shard.queue WHERE id = %s FOR SHARE", (run.id,))
        async with place.shard.engine_write() as other:
            await other.execute("UPDATE shard.queue SET lease_until = now() - interval '1 s' WHERE false")
        assert await leases.sweep(place.shard) == 0
    entry = journal_store.Entry(
        id=run.id, fence=1, organization_id=place.organization_id, module_id=2, operation=1, key=KEY
    )
    raising = "UPDATE shard.queue SET fence = fence + 1 WHERE id = %s"
    async with place.shard.engine_write() as tx:
        await tx.execute(raising, (run.id,))
        writing = asyncio.create_task(journal_store.write(place.shard, [entry]))
        async with asyncio.timeout(PATIENCE):
            await _until_somebody_waits(place)
    assert await writing == set()
    assert await rows(place) == []


async def _until_somebody_waits(place):
    while not await place.all("SELECT 1 FROM pg_locks WHERE NOT granted"):
        pass


async def test_only_writes_keeps_no_readings(place, journals, run):
    journal = await journals.of(run, Settings(journal="writes"), 1)
    await journal.record(Record(key="read", module_id=2, operation=1))
    assert await rows(place) == []
    await journal.intend(INTENT)
    await journal.record(RECORD)
    [row] = await rows(place)
    assert row["key"] == KEY


async def test_off_keeps_nothing(place, journals, run):
    journal = await journals.of(run, Settings(journal="off"), 1)
    await journal.intend(INTENT)
    await journal.record(RECORD)
    assert await rows(place) == []


async def test_a_write_is_tried_again_while_the_database_is_away(place, shards, run, monkeypatch):
    journals = StoredJournals(shards, data_keys_of(shards), JournalConfig(patience=PATIENCE))
    journal = await journals.of(run, Settings(), 1)
    write, failures = journal_store.write, [Unavailable("Away."), Unavailable("Away.")]

    async def sometimes(shard, entries):
        if failures:
            raise failures.pop()
        return await write(shard, entries)

    monkeypatch.setattr(journal_store, "write", sometimes)
    await journal.record(RECORD)
    assert len(await rows(place)) == 1


# Whole runs.


@asynccontextmanager
async def counting(monkeypatch):
    """Collect the journal's statements as they are sent, by how many rows each had."""
    sent, write = [], journal_store.write

    async def counted(shard, entries):
        sent.append(len(entries))
        return await write(shard, entries)

    monkeypatch.setattr(journal_store, "write", counted)
    yield sent


@pytest.mark.parametrize(("method", "statements"), [("post", 2), ("put", 2), ("get", 1)])
async def test_a_call_costs_two_statements_and_a_reading_one(shards, scene, monkeypatch, method, statements):
    target = await target_of(scene, call(2, method, "https://shop.example/"))
    async with counting(monkeypatch) as sent, node(shards, "one") as one:
        await until_settled(one, target, await send(one, target))
    assert sent == [1] * statements


async def test_a_program_without_effects_costs_none(shards, scene, monkeypatch):
    target = await target_of(scene)
    async with counting(monkeypatch) as sent, node(shards, "one") as one:
        await until_settled(one, target, await send(one, target))
    assert sent == []


async def test_a_second_attempt_repeats_neither_what_was_done_nor_what_was_read(shards, scene):
    flow = (
        call(2, "get", "https://shop.example/read"),
        call(3, "post", "https://shop.example/first", '{"x": {{2.data.price}}}'),
        call(4, "put", "https://shop.example/last", '{"x": {{2.data.price}}}'),
    )
    target, execution_id, before = await broken_off_at_last_call(shards, scene, *flow)
    async with node(shards, "two") as two:
        two.shop.body = json.dumps({"price": 99}).encode()
        await two.worker.start()
        detail = await until_settled(two, target, execution_id)
        [again] = two.shop.requests
    assert detail.error is None
    assert again == before[-1], "the repeated call has the same key and the body made of what was read first"


async def test_a_write_in_doubt_waits_for_a_person(shards, scene):
    flow = (call(2, "put", "https://shop.example/a"), call(3, "post", "https://shop.example/b", '{"x": 1}'))
    target, execution_id, _ = await broken_off_at_last_call(shards, scene, *flow)
    async with node(shards, "two") as two:
        await two.worker.start()
        await until_settled(two, target, execution_id)
        assert two.shop.requests == []
    async with scene.shard.read(target.organization_id) as tx:
        [record] = await tx.all("SELECT * FROM shard.incomplete_executions", ())
        [outcome] = await tx.all("SELECT status, detail FROM shard.outcomes WHERE id = %s", (execution_id,))
    assert (record["error_type"], record["module_id"], record["retry"]) == ("PossiblyDoneError", 3, False)
    assert (outcome["status"], runlog.decode_detail(bytes(outcome["detail"])).error) == (2, None)
