"""Jobs on the one queue: enqueued with their reason, tried, put off, given up, cancelled, begun again."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest

from make_bridge.kernel.errors import ConfigurationError, Conflict, InvalidInput, NotFound, Unavailable
from make_bridge.kernel.ids import MAX_ID
from make_bridge.platform.queue import job_store, leases
from make_bridge.platform.queue.job_queue import forget_jobs
from make_bridge.platform.queue.job_settling import Verdict, settle
from make_bridge.platform.queue.jobs import Backoff, Done, Failed, JobType, Later, NewJob, Tries
from make_bridge.platform.queue.leases import HIGH, LOW
from support.endings import make_place
from support.jobs import JobScene, until

pytestmark = pytest.mark.parametrize("layout", ["one"], indirect=True, scope="module")


@pytest.fixture
async def place(shards):
    return await make_place(shards)


@pytest.fixture
async def scene_of(shards, place):
    """Make a scene with a worker of one's own configuration; it is stopped at the end."""
    async with AsyncExitStack() as stack:

        def make(**config):
            scene = JobScene(shards, place, **config)
            stack.push_async_callback(scene.worker.stop)
            return scene

        yield make


@pytest.fixture
def scene(scene_of):
    return scene_of()


async def silence(place):
    async with place.shard.engine_write() as tx:
        await tx.execute("UPDATE shard.queue SET lease_until = now() - interval '1s' WHERE lease_until IS NOT NULL")


async def cancel(scene, job_id):
    async with scene.place.shard.write(scene.place.organization_id) as tx:
        return await scene.queue.cancel(tx, scene.place.organization_id, job_id)


async def retry(scene, job_id):
    async with scene.place.shard.write(scene.place.organization_id) as tx:
        await scene.queue.retry(tx, scene.place.organization_id, job_id)


# Enqueueing.


async def test_a_job_is_done_and_its_result_kept(scene):
    work = scene.type(tells=True)
    work.results = [Done(result=b'{"made":3}')]
    job_id = await scene.enqueue(payload=b"what to do")
    assert (await scene.job(job_id))["state"] == "waiting"
    await scene.worker.start()
    job = await scene.until_state(job_id, "completed")
    assert (bytes(job["result"]), job["progress"], job["tries"]) == (b'{"made":3}', 100, 0)
    assert await scene.queued() == []
    [seen] = work.seen
    assert (seen.id, seen.payload, seen.number_of_try) == (job_id, b"what to do", 1)
    assert (await scene.events())["job.completed.v1"] == 1
    await scene.worker.stop()
    assert scene.count('jobs_total{result="completed",type="test.work"}') == 1


async def test_a_job_exists_exactly_when_its_reason_commits(scene, place):
    scene.type()

    async def write_and_regret():
        async with place.shard.write(place.organization_id) as tx:
            await scene.queue.enqueue(tx, NewJob(type="test.work", organization_id=place.organization_id))
            raise NotFound

    with pytest.raises(NotFound):
        await write_and_regret()
    assert await scene.queued() == []
    assert await place.all("SELECT 1 FROM shard.jobs") == []


async def test_both_roles_enqueue_and_a_stranger_s_organization_is_refused(shards, scene, place):
    scene.type()
    async with place.shard.engine_write() as tx:
        job_id = await scene.queue.enqueue(tx, NewJob(type="test.work", organization_id=place.organization_id))
    assert (await scene.job(job_id))["team_id"] is None
    stranger = await make_place(shards)
    with pytest.raises(Exception, match="row-level security"):
        async with place.shard.write(place.organization_id) as tx:
            await scene.queue.enqueue(tx, NewJob(type="test.work", organization_id=stranger.organization_id))


async def test_work_of_the_organization_has_a_lane_that_no_team_can_have(scene, place):
    scene.type()
    await scene.enqueue(team_id=None)
    [row] = await scene.queued()
    assert row["team_id"] == 2**53 + place.organization_id > MAX_ID


async def test_an_unknown_type_and_what_is_too_large_are_refused_at_once(scene):
    scene.type()
    with pytest.raises(ConfigurationError):
        await scene.enqueue("nobody.knows")
    with pytest.raises(InvalidInput):
        await scene.enqueue(payload=b"x" * (scene.queue.limits.payload_bytes + 1))
    with pytest.raises(InvalidInput):
        await scene.enqueue(unique_key="k" * 201)
    with pytest.raises(InvalidInput):
        await scene.enqueue(delay_seconds=-1)
    assert await scene.queued() == []


async def test_a_key_names_one_unfinished_job_of_its_type_and_organization(shards, scene, place):
    scene.type()
    scene.type("test.other")
    other = JobScene(shards, await make_place(shards), types=scene.queue.types)
    first = await scene.enqueue(unique_key="k")
    assert await scene.enqueue(unique_key="k") == first
    assert await scene.enqueue("test.other", unique_key="k") != first
    assert await other.enqueue(unique_key="k") != first
    await cancel(scene, first)
    assert await scene.enqueue(unique_key="k") != first


async def test_one_of_many_at_once_with_a_key_is_stored(scene, place):
    scene.type()
    found = await asyncio.gather(*(scene.enqueue(unique_key="k") for _ in range(6)))
    assert len(set(found)) == 1
    assert len(await scene.queued()) == 1


@pytest.mark.parametrize(
    "when",
    [
        lambda _now: {"delay_seconds": 3600.0},
        lambda now: {"not_before": now + timedelta(hours=1)},
        lambda now: {"delay_seconds": 3600.0, "not_before": now},
    ],
    ids=["delay", "moment", "the later"],
)
async def test_a_job_waits_for_its_time(scene, when):
    work = scene.type()
    job_id = await scene.enqueue(**when(datetime.now(UTC)))
    [row] = await scene.queued()
    assert 3500 < row["left_over"].total_seconds() <= 3600
    assert await leases.claim(scene.place.shard, "somebody", 10) == []
    await scene.worker.start()
    await scene.hurry()
    await scene.until_state(job_id, "completed")
    assert len(work.seen) == 1


async def test_a_class_can_be_chosen_for_one_job(scene):
    scene.type(queue_class=LOW)
    low, high = await scene.enqueue(), await scene.enqueue(queue_class=HIGH)
    assert [lease.id for lease in await leases.claim(scene.place.shard, "somebody", 1)] == [high]
    assert [lease.id for lease in await leases.claim(scene.place.shard, "somebody", 1)] == [low]


# Tries.


async def test_an_error_is_a_failed_try_and_the_last_one_ends_in_a_letter(scene, place):
    work = scene.type(tells=True)
    work.results = [ValueError("a secret perhaps"), Unavailable("The other side is away.")]
    job_id = await scene.enqueue()
    await scene.worker.start()
    job = await scene.until_tried(job_id)
    assert (job["state"], job["tries"]) == ("waiting", 1)
    assert "ValueError" in job["error"]
    assert "secret" not in job["error"]
    [row] = await scene.queued()
    assert (row["attempts"], row["lease_owner"]) == (0, None)
    assert 30 < row["left_over"].total_seconds() <= 72
    await scene.hurry()
    job = await scene.until_tried(job_id, 3)
    assert (job["state"], job["tries"], job["error"]) == ("waiting", 2, "The other side is away.")
    await scene.hurry()
    job = await scene.until_state(job_id, "failed")
    assert job["tries"] == 3
    [letter] = await place.all("SELECT * FROM shard.dead_letters")
    assert (letter["id"].hex, letter["kind"], letter["attempts"]) == (job_id, "test.work", 3)
    assert await scene.queued() == []
    assert [seen.number_of_try for seen in work.seen] == [1, 2, 3]
    assert (await scene.events())["job.failed.v1"] == 1
    await scene.worker.stop()
    assert scene.count('jobs_total{result="put_off"') == 2
    assert scene.count('jobs_total{result="failed"') == 1
    assert scene.count("dead_letters_total ") == 1


@pytest.mark.parametrize(("counts", "tries"), [(True, 1), (False, 0)], ids=["counted", "not counted"])
async def test_later_honours_the_time_it_is_given(scene, counts, tries):
    work = scene.type()
    work.results = [Later(after_seconds=600, why="Retry-After", counts=counts), Done()]
    job_id = await scene.enqueue()
    await scene.worker.start()
    job = await scene.until_tried(job_id)
    assert (job["tries"], job["error"]) == (tries, "Retry-After")
    [row] = await scene.queued()
    assert 540 < row["left_over"].total_seconds() <= 720
    await scene.hurry()
    await scene.until_state(job_id, "completed")


async def test_later_that_counts_ends_with_the_last_try_and_is_bounded(scene):
    work = scene.type(tries=Tries(most=2))
    work.results = [Later(after_seconds=1e9, why="much later")]
    job_id = await scene.enqueue()
    await scene.worker.start()
    await scene.until_tried(job_id)
    [row] = await scene.queued()
    assert row["left_over"].total_seconds() <= 86_400 * 1.2
    await scene.hurry()
    assert (await scene.until_state(job_id, "failed"))["error"] == "much later"


async def test_failed_ends_a_job_with_its_first_try(scene, place):
    work = scene.type()
    work.results = [Failed(why="The address is gone.")]
    job_id = await scene.enqueue()
    await scene.worker.start()
    assert (await scene.until_state(job_id, "failed"))["error"] == "The address is gone."
    assert len(await place.all("SELECT 1 FROM shard.dead_letters")) == 1


async def test_a_try_that_takes_too_long_is_stopped_and_has_failed(scene):
    work = scene.type(seconds=0.05)
    work.may_end = asyncio.Event()
    job_id = await scene.enqueue()
    await scene.worker.start()
    job = await scene.until_tried(job_id)
    assert (job["tries"], work.stopped) == (1, 1)
    assert "longer than 0.05 seconds" in job["error"]


async def test_a_result_that_is_too_large_is_not_kept(scene):
    work = scene.type()
    work.results = [Done(result=b"x" * (scene.queue.limits.result_bytes + 1))]
    job_id = await scene.enqueue()
    await scene.worker.start()
    assert "larger than" in (await scene.until_state(job_id, "failed"))["error"]


async def test_progress_is_written_and_told_once_a_second_and_the_last_is_kept(scene, place):
    async def run(job):
        for percent in (10, 20, 250):
            await job.progress(percent, f"step\0 {percent}")
        return Failed(why="Enough.")

    scene.queue.types.add(JobType(name="test.far", run=run, tells=True))
    job_id = await scene.enqueue("test.far")
    await scene.worker.start()
    job = await scene.until_state(job_id, "failed")
    assert (job["progress"], job["note"]) == (100, "step 250")
    [told] = await place.all("SELECT payload FROM shard.outbox WHERE type = 'job.progress.v1'")
    assert b'"percent":10' in bytes(told["payload"])


async def test_types_that_do_not_tell_are_silent(scene):
    scene.type()
    job_id = await scene.enqueue()
    await scene.worker.start()
    await scene.until_state(job_id, "completed")
    assert not await scene.events()


# Leases.


async def test_a_stale_fence_settles_nothing_and_is_counted(place, scene_of):
    # Room for one: it must not take its own job again before the other does.
    scene = scene_of(most_running=1)
    work = scene.type()
    work.may_end = asyncio.Event()
    job_id = await scene.enqueue()
    await scene.worker.start()
    await work.begun.wait()
    await silence(place)
    await leases.sweep(place.shard)
    [other] = await leases.claim(place.shard, "other", 10)
    work.may_end.set()

    async def is_refused():
        return scene.count("settles_refused_total ") == 1

    await until(is_refused)
    assert (await scene.job(job_id))["finished_at"] is None
    done = Verdict(id=job_id, fence=other.fence, state="completed", tells=False)
    assert await settle(place.shard, [done]) == {job_id: "completed"}
    assert await settle(place.shard, [done]) == {}


async def test_three_dead_workers_make_a_letter_and_a_replay_begins_with_all_tries(scene, place):
    work = scene.type(tells=True)
    job_id = await scene.enqueue()
    for n in range(3):
        [lease] = await leases.claim(place.shard, f"node-{n}", 10)
        assert lease.id == job_id
        await silence(place)
        await leases.sweep(place.shard)
    await scene.worker.start()
    await scene.until_state(job_id, "failed")
    [letter] = await place.all("SELECT * FROM shard.dead_letters")
    assert (letter["attempts"], letter["last_node"], letter["team_id"]) == (3, "node-2", place.team_id)
    assert work.seen == []
    await retry(scene, job_id)
    scene.worker.wake()
    await scene.until_state(job_id, "completed")
    [letter] = await place.all("SELECT * FROM shard.dead_letters")
    assert letter["replayed_as"].hex == job_id
    with pytest.raises(Conflict):
        await retry(scene, job_id)


async def test_an_orderly_failed_try_forgets_earlier_deaths(scene, place):
    work = scene.type()
    work.results = [ValueError()]
    job_id = await scene.enqueue()
    for _ in range(2):
        await leases.claim(place.shard, "node", 10)
        await silence(place)
        await leases.sweep(place.shard)
    await scene.worker.start()
    await scene.until_tried(job_id)
    [row] = await scene.queued()
    assert row["attempts"] == 0


async def test_a_job_begun_again_never_meets_an_old_holder_s_fence(scene, place):
    scene.type()
    job_id = await scene.enqueue()
    [old] = await leases.claim(place.shard, "old", 10)
    assert await settle(place.shard, [Verdict(id=job_id, fence=old.fence, state="failed", tells=False)])
    await retry(scene, job_id)
    assert await leases.beat(place.shard, [(old.id, old.fence)]) == set()
    assert await settle(place.shard, [Verdict(id=job_id, fence=old.fence, state="completed", tells=False)]) == {}
    [new] = await leases.claim(place.shard, "new", 10)
    assert new.fence > old.fence
    assert await settle(place.shard, [Verdict(id=job_id, fence=old.fence, state="completed", tells=False)]) == {}


async def test_a_type_this_process_does_not_know_is_left_to_others(shards, scene, place):
    scene.type()
    job_id = await scene.enqueue()
    older = JobScene(shards, place, "older")
    await older.worker.start()

    async def is_left():
        return older.count("jobs_unknown_total ") == 1 and (await scene.queued())[0]["lease_owner"] is None

    await until(is_left)
    await older.worker.stop()
    [row] = await scene.queued()
    assert 30 < row["left_over"].total_seconds() <= 60
    assert row["attempts"] == 0
    await scene.worker.start()
    await scene.hurry()
    await scene.until_state(job_id, "completed")


async def test_what_was_claimed_ahead_goes_back_at_a_drain(shards, place):
    scene = JobScene(shards, place, most_running=2)
    quick, slow = scene.type("test.quick"), scene.type("test.slow")
    slow.may_end = asyncio.Event()
    for _ in range(20):
        await scene.enqueue("test.quick")
    for _ in range(20):
        await scene.enqueue("test.slow")
    await scene.worker.start()

    async def is_ahead():
        held = [row for row in await scene.queued() if row["lease_owner"] is not None]
        return len(slow.seen) == 2 and len(held) > 2 and {row["kind"] for row in held} == {"test.slow"}

    await until(is_ahead)
    await scene.worker.stop()
    rows = await scene.queued()
    assert len(quick.seen) == 20
    assert {(row["lease_owner"], row["attempts"]) for row in rows} == {(None, 0)}
    assert len(rows) == 20


async def test_a_worker_that_drains_hands_jobs_back(shards, scene, place):
    work = scene.type()
    work.may_end = asyncio.Event()
    job_id = await scene.enqueue()
    await scene.worker.start()
    await work.begun.wait()
    await scene.worker.stop()
    assert work.stopped == 1
    [row] = await scene.queued()
    assert (row["lease_owner"], row["attempts"]) == (None, 0)
    work.may_end.set()
    next_one = JobScene(shards, place, "next", scene.queue.types)
    await next_one.worker.start()
    await next_one.until_state(job_id, "completed")
    await next_one.worker.stop()


async def test_many_jobs_are_settled_together(scene, place):
    scene.type()
    ids = [await scene.enqueue() for _ in range(30)]
    await scene.worker.start()
    for job_id in ids:
        await scene.until_state(job_id, "completed")
    [row] = await place.all("SELECT count(DISTINCT xmin::text) AS commits FROM shard.jobs")
    assert row["commits"] < 30


# Cancelling.


async def test_a_waiting_job_is_cancelled_at_once(scene):
    work = scene.type()
    job_id = await scene.enqueue(delay_seconds=60)
    assert await cancel(scene, job_id) == "cancelled"
    assert await scene.queued() == []
    assert await cancel(scene, job_id) == "cancelled"
    await retry(scene, job_id)
    await scene.worker.start()
    await scene.until_state(job_id, "completed")
    with pytest.raises(Conflict):
        await cancel(scene, job_id)
    assert len(work.seen) == 1


async def test_a_running_job_is_stopped_with_the_next_heartbeat(scene, monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 0.02)
    work = scene.type()
    work.may_end = asyncio.Event()
    job_id = await scene.enqueue()
    await scene.worker.start()
    await work.begun.wait()
    assert await cancel(scene, job_id) == "running"
    job = await scene.until_state(job_id, "cancelled")
    assert (work.stopped, job["tries"]) == (1, 0)
    assert await scene.queued() == []
    assert await scene.place.all("SELECT 1 FROM shard.dead_letters") == []


@pytest.mark.parametrize("result", [Done(result=b"1"), Later(after_seconds=1, why="later")], ids=["done", "later"])
async def test_what_ends_before_the_heartbeat_is_cancelled_too(scene, result):
    work = scene.type()
    work.results, work.may_end = [result], asyncio.Event()
    job_id = await scene.enqueue()
    await scene.worker.start()
    await work.begun.wait()
    await cancel(scene, job_id)
    work.may_end.set()
    job = await scene.until_state(job_id, "cancelled")
    assert bytes(job["result"]) == b""
    assert await scene.queued() == []


async def test_a_cancelled_job_whose_holder_died_is_not_begun_again(scene, place):
    work = scene.type()
    job_id = await scene.enqueue()
    await leases.claim(place.shard, "dead", 10)
    await cancel(scene, job_id)
    await silence(place)
    await leases.sweep(place.shard)
    await scene.worker.start()
    await scene.until_state(job_id, "cancelled")
    assert work.seen == []


async def test_nobody_touches_a_stranger_s_job(shards, scene):
    scene.type()
    job_id = await scene.enqueue()
    stranger = JobScene(shards, await make_place(shards))
    for act in (cancel, retry):
        with pytest.raises(NotFound):
            await act(stranger, job_id)
    async with scene.place.shard.write(scene.place.organization_id) as tx:
        with pytest.raises(NotFound):
            await scene.queue.cancel(tx, scene.place.organization_id, job_id, team_id=scene.place.team_id + 1)


async def test_a_job_whose_key_is_taken_is_not_begun_again(scene):
    scene.type()
    job_id = await scene.enqueue(unique_key="k")
    await cancel(scene, job_id)
    await scene.enqueue(unique_key="k")
    with pytest.raises(Conflict):
        await retry(scene, job_id)


# Batches and keeping.


async def test_a_batch_is_told_once_when_its_last_job_has_ended(scene, place):
    work = scene.type(tells=True, tries=Tries(most=1))
    work.results = [Done(), ValueError()]
    async with place.shard.write(place.organization_id) as tx:
        jobs = [NewJob(type="test.work", organization_id=place.organization_id, team_id=place.team_id)] * 2
        waits = NewJob(type="test.work", organization_id=place.organization_id, delay_seconds=60)
        batch = await scene.queue.enqueue_batch(tx, [*jobs, waits])
    await scene.worker.start()

    async def are_two_ended():
        return (await place.one("SELECT pending FROM shard.job_batches"))["pending"] == 1

    await until(are_two_ended)
    assert (await scene.events())["batch.completed.v1"] == 0
    await cancel(scene, batch.jobs[2])
    [told] = await place.all("SELECT payload, subject FROM shard.outbox WHERE type = 'batch.completed.v1'")
    assert told["subject"] == f"batch/{batch.id}"
    assert b'"total":3,"completed":1,"failed":1,"cancelled":1' in bytes(told["payload"])
    work.results = [Done()]
    for job_id in batch.jobs:
        if (await scene.job(job_id))["state"] != "completed":
            await retry(scene, job_id)
            scene.worker.wake()
            await scene.until_state(job_id, "completed")
    assert (await scene.events())["batch.completed.v1"] == 1
    with pytest.raises(Conflict):
        await scene.enqueue(batch_id=batch.id)


async def test_a_job_joins_a_batch_that_goes_on_and_one_with_a_taken_key_does_not(scene, place):
    scene.type()
    taken = await scene.enqueue(unique_key="k")
    async with place.shard.write(place.organization_id) as tx:
        new = NewJob(type="test.work", organization_id=place.organization_id, unique_key="k")
        free = NewJob(type="test.work", organization_id=place.organization_id)
        batch = await scene.queue.enqueue_batch(tx, [new, free])
        empty = await scene.queue.enqueue_batch(tx, [new])
    assert batch.jobs[0] == empty.jobs[0] == taken
    await scene.enqueue(batch_id=batch.id)
    rows = await place.all("SELECT total, pending, finished_at IS NULL AS goes_on FROM shard.job_batches ORDER BY id")
    found = sorted(tuple(row.values()) for row in rows)
    assert found == [(0, 0, False), (2, 2, True)]
    with pytest.raises(InvalidInput):
        async with place.shard.write(place.organization_id) as tx:
            await scene.queue.enqueue_batch(tx, [free] * (scene.queue.limits.batch_jobs + 1))


async def test_ended_jobs_are_forgotten_in_time_and_failed_ones_with_their_letters(shards, scene, place):
    work = scene.type(tries=Tries(most=1, backoff=Backoff()))
    work.results = [Done(), ValueError()]
    done = await scene.enqueue()
    await scene.worker.start()
    await scene.until_state(done, "completed")
    failed = await scene.enqueue()
    scene.worker.wake()
    await scene.until_state(failed, "failed")
    waiting = await scene.enqueue(delay_seconds=60)
    assert await forget_jobs(shards, 7) == 0
    await place.execute("UPDATE shard.jobs SET finished_at = finished_at - interval '8 days'")
    await forget_jobs(shards, 7)
    assert {row["id"].hex for row in await place.all("SELECT id FROM shard.jobs")} == {failed, waiting}
    async with place.shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.dead_letters WHERE id = %s", (failed,))
    await forget_jobs(shards, 7)
    assert [row["id"].hex for row in await place.all("SELECT id FROM shard.jobs")] == [waiting]


async def test_a_settlement_whose_answer_was_lost_is_found(scene, place):
    scene.type()
    job_id = await scene.enqueue()
    [lease] = await leases.claim(place.shard, "me", 10)
    await settle(place.shard, [Verdict(id=job_id, fence=lease.fence, state="completed", tells=False)])
    async with place.shard.engine_statement() as tx:
        assert await job_store.is_settled(tx, job_id, lease.fence)
        assert not await job_store.is_settled(tx, job_id, lease.fence + 1)
