"""Jobs, batches and dead letters over the API: shapes, filters, pages, who sees what, what is refused and audited."""

import asyncio
import json
from typing import Any

import pytest

from make_bridge.kernel.ids import OrganizationId, ScenarioId, TeamId
from make_bridge.platform.queue import leases
from make_bridge.platform.queue.job_settling import Verdict, settle
from make_bridge.platform.queue.jobs import Done, JobType, NewJob
from support.endings import Place
from support.jobs import JobScene
from support.portal import refusal

KEYS = {
    "id", "type", "teamId", "batchId", "state", "tries", "error", "progress", "note", "result", "cancelRequested",
    "createdAt", "startedAt", "finishedAt",
}  # fmt: skip
NOBODY = "0" * 32


async def nothing(_job):
    return Done()


class Books:
    """What happens to an integrator's jobs beside the API."""

    def __init__(self, api, acme, shard):
        self.api, self.acme, self.shard = api, acme, shard
        self.organization_id = OrganizationId(acme.facts.organization_id)
        self.team_id = TeamId(acme.facts.team_id)

    def new(self, **changes):
        values: dict[str, Any] = {
            "type": "test.work", "organization_id": self.organization_id, "team_id": self.team_id,
        }  # fmt: skip
        return NewJob(**values | changes)

    async def enqueue(self, **changes):
        async with self.shard.write(self.organization_id) as tx:
            return await self.api.jobs.enqueue(tx, self.new(**changes))

    async def batch(self, *jobs):
        async with self.shard.write(self.organization_id) as tx:
            return await self.api.jobs.enqueue_batch(tx, jobs)

    async def end(self, job_id, state="failed", **more):
        for lease in await leases.claim(self.shard, "me", 500):
            if lease.id == job_id:
                verdict = Verdict(id=job_id, fence=lease.fence, state=state, tells=True, tries=1, **more)
                assert await settle(self.shard, [verdict]) == {job_id: state}
            else:
                await leases.hand_back(self.shard, [(lease.id, lease.fence)])

    async def all(self, statement, *parameters):
        async with self.shard.read(self.organization_id) as tx:
            return await tx.all(statement, parameters)


@pytest.fixture
async def books(api, acme):
    if api.jobs.types.find("test.work") is None:
        api.jobs.types.add(JobType(name="test.work", run=nothing, tells=True))
    shard = await api.shards.of(acme.facts.organization_id)
    async with shard.engine_write() as tx:
        await tx.execute("DELETE FROM shard.queue")
    return Books(api, acme, shard)


async def test_a_list_has_all_members_newest_first_by_page_and_column(acme, books):
    ids = sorted([await books.enqueue() for _ in range(3)])  # those of one millisecond have no other order
    listed = await acme.ask("GET", "/jobs")
    assert [job["id"] for job in listed["jobs"]] == ids[::-1]
    assert set(listed["jobs"][0]) == KEYS
    assert listed["pg"] == {"sortBy": "createdAt", "sortDir": "desc", "limit": 100, "offset": 0}
    page = await acme.ask("GET", "/jobs?pg[limit]=1&pg[offset]=1&pg[sortDir]=asc&cols[]=id&cols[]=state")
    assert page["jobs"] == [{"id": ids[1], "state": "waiting"}]
    assert (await acme.ask("GET", "/jobs?pg[limit]=0"))["jobs"] == []


async def test_a_list_is_filtered_by_state_type_and_batch(acme, books):
    failed = await books.enqueue()
    await books.end(failed, error="No.")
    batch = await books.batch(books.new(), books.new(team_id=None))
    assert [job["id"] for job in (await acme.ask("GET", "/jobs?state=failed"))["jobs"]] == [failed]
    assert len((await acme.ask("GET", "/jobs?type=test.work"))["jobs"]) == 3
    assert (await acme.ask("GET", "/jobs?type=other"))["jobs"] == []
    listed = (await acme.ask("GET", f"/jobs?batchId={batch.id}"))["jobs"]
    assert {job["id"] for job in listed} == set(batch.jobs)
    own = await acme.ask("GET", f"/jobs?batchId={batch.id}&teamId={acme.facts.team_id}")
    assert [job["id"] for job in own["jobs"]] == [batch.jobs[0]]


@pytest.mark.parametrize(
    "query",
    [
        "state=asleep",
        "batchId=x",
        f"type={'t' * 201}",
        "type=%00",
        "pg[sortBy]=error",
        "pg[limit]=-1",
        "pg[sortDir]=up",
    ],
    ids=["state", "batch", "long type", "nul", "sort", "limit", "direction"],
)
async def test_a_wrong_question_is_answered_with_a_sentence(acme, books, query):
    answer = await acme.send("GET", f"/jobs?{query}")
    refusal(answer, 400, "invalid_page")


async def test_one_is_shown_with_its_result(acme, books):
    job_id = await books.enqueue()
    await books.end(job_id, state="completed", result=b'{"rows":7}', progress=100, note="all")
    job = (await acme.ask("GET", f"/jobs/{job_id}"))["job"]
    assert (job["result"], job["state"], job["progress"], job["note"]) == ({"rows": 7}, "completed", 100, "all")
    for bad in (NOBODY, "x", "%00"):
        refusal(await acme.send("GET", f"/jobs/{bad}"), 404, "not_found")


async def test_a_job_is_cancelled_and_begun_again_with_an_audit_record(acme, books):
    job_id = await books.enqueue()
    assert (await acme.ask("POST", f"/jobs/{job_id}/cancel"))["job"]["state"] == "cancelled"
    assert (await acme.ask("POST", f"/jobs/{job_id}/retry"))["job"] == {"id": job_id, "state": "waiting"}
    refusal(await acme.send("POST", f"/jobs/{job_id}/retry"), 409, "state")
    await books.end(job_id, state="completed")
    refusal(await acme.send("POST", f"/jobs/{job_id}/cancel"), 409, "finished")
    audit = await books.all("SELECT action, object FROM shard.audit WHERE action LIKE 'job.%%' ORDER BY id")
    assert [(row["action"], row["object"]) for row in audit] == [
        ("job.cancel", f"job/{job_id}"), ("job.retry", f"job/{job_id}"),
    ]  # fmt: skip


async def test_a_running_job_is_asked_to_end(acme, books):
    job_id = await books.enqueue()
    await leases.claim(books.shard, "somebody", 500)
    answer = await acme.ask("POST", f"/jobs/{job_id}/cancel")
    assert answer == {"job": {"id": job_id, "state": "running", "cancelRequested": True}}
    assert (await acme.ask("GET", f"/jobs/{job_id}"))["job"]["cancelRequested"]


async def test_a_batch_tells_how_its_jobs_stand(acme, books):
    batch = await books.batch(books.new(), books.new())
    await books.end(batch.jobs[0], state="completed")
    shown = (await acme.ask("GET", f"/job-batches/{batch.id}"))["jobBatch"]
    numbers = [shown[name] for name in ("total", "pending", "completed", "failed", "cancelled")]
    assert (numbers, shown["finishedAt"]) == ([2, 1, 1, 0, 0], None)
    await books.end(batch.jobs[1])
    shown = (await acme.ask("GET", f"/job-batches/{batch.id}"))["jobBatch"]
    assert (shown["pending"], shown["failed"], shown["finishedAt"] is None) == (0, 1, False)
    refusal(await acme.send("GET", f"/job-batches/{NOBODY}"), 404, "not_found")


async def test_a_stranger_finds_nothing_and_another_team_neither(api, acme, books):
    job_id = await books.enqueue()
    batch = await books.batch(books.new())
    await books.end(job_id)
    rival, team = await api.integrator("Rival"), await acme.another_team("dana")
    for who, query in ((rival, ""), (acme, f"?teamId={team}")):
        for method, target in (
            ("GET", f"/jobs/{job_id}"),
            ("POST", f"/jobs/{job_id}/cancel"),
            ("POST", f"/jobs/{job_id}/retry"),
            ("GET", f"/job-batches/{batch.id}"),
            ("POST", f"/dead-letters/{job_id}/replay"),
        ):
            refusal(await who.send(method, target + query), 404, "not_found")
        assert (await who.ask("GET", f"/jobs{query}"))["jobs"] == []
        assert (await who.ask("GET", f"/dead-letters{query}"))["deadLetters"] == []


async def test_reading_and_writing_take_permissions_of_their_own(acme, books):
    job_id = await books.enqueue()
    await acme.allow_only("jobs:read")
    assert (await acme.send("GET", "/jobs")).status == 200
    refusal(await acme.send("POST", f"/jobs/{job_id}/cancel"), 403, "permission_denied")
    refusal(await acme.send("POST", f"/jobs/{job_id}/retry"), 403, "permission_denied")
    refusal(await acme.send("GET", "/dead-letters"), 403, "permission_denied")
    refusal(await acme.send("POST", "/dead-letters/replay"), 403, "permission_denied")


async def test_a_letter_is_listed_and_replayed_once(acme, books):
    job_id = await books.enqueue()
    await books.end(job_id, error="It broke.")
    [letter] = (await acme.ask("GET", "/dead-letters"))["deadLetters"]
    assert (letter["id"], letter["kind"], letter["reason"], letter["attempts"]) == (job_id, "test.work", "It broke.", 1)
    done = await acme.ask("POST", f"/dead-letters/{job_id}/replay")
    assert done == {"executions": [], "jobs": [job_id]}
    assert (await acme.ask("GET", f"/jobs/{job_id}"))["job"]["state"] == "waiting"
    refusal(await acme.send("POST", f"/dead-letters/{job_id}/replay"), 409, "replayed")
    assert (await acme.ask("GET", "/dead-letters"))["deadLetters"] == []
    [told] = (await acme.ask("GET", "/dead-letters?replayed=true"))["deadLetters"]
    assert told["replayedAs"] == job_id
    await books.end(job_id, error="Again.")
    [letter] = (await acme.ask("GET", "/dead-letters"))["deadLetters"]
    assert (letter["reason"], letter["replayedAt"]) == ("Again.", None)


async def test_a_range_is_replayed_by_a_job_and_what_dies_later_is_none_of_it(acme, books, api):
    ids = [await books.enqueue() for _ in range(3)]
    for job_id in ids:
        await books.end(job_id)
    until = "2000-01-01T00:00:00Z"
    none = (await acme.ask("POST", "/dead-letters/replay", {"until": until}))["job"]["id"]
    all_of = (await acme.ask("POST", "/dead-letters/replay"))["job"]["id"]
    late = await books.enqueue()
    await books.end(late)
    place = Place(shard=books.shard, organization_id=books.organization_id, team_id=books.team_id,
                  scenario_id=ScenarioId(1))  # fmt: skip
    scene = JobScene(api.shards, place, types=api.jobs.types)
    await scene.worker.start()
    for job_id in (all_of, none, *ids):
        await scene.until_state(job_id, "completed")
    await scene.worker.stop()
    assert (await acme.ask("GET", f"/jobs/{all_of}"))["job"]["result"] == {"replayed": 3, "leftOut": 0}
    assert (await acme.ask("GET", f"/jobs/{none}"))["job"]["result"] == {"replayed": 0, "leftOut": 0}
    assert [row["id"] for row in (await acme.ask("GET", "/dead-letters"))["deadLetters"]] == [late]


@pytest.mark.parametrize(
    "body",
    [{"since": "yesterday"}, {"since": "2020-01-01T00:00:00"}, {"scenarioId": "7"}, {"until": []}],
    ids=["words", "no zone", "text", "list"],
)
async def test_a_range_that_is_none_is_refused(acme, books, body):
    refusal(await acme.send("POST", "/dead-letters/replay", body), 422, "invalid_body")


@pytest.mark.parametrize("query", ["scenarioId=x", "pg[sortBy]=kind", "pg[sortDir]=asc"], ids=["id", "sort", "order"])
async def test_letters_asked_for_wrongly_are_refused(acme, books, query):
    assert (await acme.send("GET", f"/dead-letters?{query}")).status == 400


async def test_many_cancels_at_once_end_one_job_once(acme, books):
    batch = await books.batch(books.new())
    answers = await asyncio.gather(*(acme.send("POST", f"/jobs/{batch.jobs[0]}/cancel") for _ in range(5)))
    assert {answer.status for answer in answers} == {200}
    [told] = await books.all("SELECT payload FROM shard.outbox WHERE type = 'batch.completed.v1'")
    assert json.loads(bytes(told["payload"]))["cancelled"] == 1
