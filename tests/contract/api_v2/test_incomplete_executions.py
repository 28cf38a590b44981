"""Incomplete executions over the API: the official shapes, who sees what, what is refused, what is written beside."""

import asyncio
import json
import uuid

import msgspec
import pytest

from make_bridge.domain.executions import incomplete_store, store
from make_bridge.domain.executions.incomplete import RetryPlan, decode_done, decode_point, encode_point
from make_bridge.domain.executions.model import Status
from make_bridge.domain.executions.parking import Documents
from make_bridge.domain.scenarios import store as scenario_store
from make_bridge.domain.scenarios.messages import CreateScenario
from make_bridge.engine.runner.request import ResumePoint
from make_bridge.engine.values import Value
from make_bridge.kernel.ids import OrganizationId, ScenarioId, TeamId
from support.blueprints import blueprint, call, webhook
from support.endings import Place, parked
from support.organizations import administrator, data_keys_of
from support.portal import refusal

BLUEPRINT = blueprint(
    webhook(),
    call(2, "post", "https://shop.example/first", "{}"),
    call(3, "post", "https://shop.example/second", "{}"),
    dlq=True,
)
ALL_KEYS = {
    "id",
    "reason",
    "created",
    "size",
    "resolved",
    "retry",
    "attempts",
    "nextAttempt",
    "failer",
    "isRetrying",
    "possiblyDone",
    "answer",
    "orderingKey",
    "runsBehind",
}


@pytest.fixture
async def place(api, acme):
    """A scenario of the organization, as the engine's side sees it."""
    organization_id, team_id = OrganizationId(acme.facts.organization_id), TeamId(acme.facts.team_id)
    context = administrator(organization_id)
    scenario = await api.commands.execute(context, CreateScenario(team_id=team_id, blueprint=BLUEPRINT))
    shard = await api.shards.of(organization_id)
    return Place(shard=shard, organization_id=organization_id, team_id=team_id, scenario_id=ScenarioId(scenario.id))


async def park(place, **changes):
    item = parked(**changes)
    await place.end(Status.WARNING, parked=(item,))
    return item.id


async def mark_as_retrying(place, record_id):
    await place.execute(
        "UPDATE shard.incomplete_executions SET retry_execution_id = gen_random_uuid() WHERE id = %s", record_id
    )


async def test_a_list_has_the_official_members_newest_first(acme, place):
    ids = [await park(place), await park(place, plan=RetryPlan(), error_type="DataError", message="No.")]
    listed = await acme.ask("GET", f"/dlqs?scenarioId={place.scenario_id}")
    assert [row["id"] for row in listed["dlqs"]] == ids[::-1]
    newest = listed["dlqs"][0]
    assert set(newest) == ALL_KEYS
    assert (newest["reason"], newest["retry"], newest["nextAttempt"]) == ("DataError: No.", False, None)
    assert listed["dlqs"][1]["retry"]
    assert listed["pg"]["sortDir"] == "desc"
    narrow = await acme.ask("GET", f"/dlqs?scenarioId={place.scenario_id}&cols[]=id&pg[limit]=1")
    assert narrow["dlqs"] == [{"id": ids[1]}]


async def test_one_is_shown_with_its_scenario_and_company(acme, place):
    record_id = await park(place)
    shown = (await acme.ask("GET", f"/dlqs/{record_id}"))["dlq"]
    more = {"scenarioId", "scenarioName", "companyId", "companyName", "deleted", "index", "executionId"}
    assert set(shown) == ALL_KEYS | more
    assert (shown["scenarioName"], shown["companyName"]) == ("test", "Acme CRM")
    assert shown["companyId"] == acme.facts.organization_id
    assert str(uuid.UUID(shown["executionId"])) == shown["executionId"]
    assert (await acme.ask("GET", f"/dlqs/{uuid.UUID(record_id)}"))["dlq"] == shown


async def test_bundles_and_blueprint_are_shown_by_module(acme, place):
    record_id = await park(place)
    assert await acme.ask("GET", f"/dlqs/{record_id}/bundle") == {
        "code": "OK",
        "response": {"1": {"order": "a-17"}},
    }
    shown = await acme.ask("GET", f"/dlqs/{record_id}/blueprint")
    assert [module["id"] for module in shown["response"]["blueprint"]["flow"]] == [1, 2, 3]


async def test_a_retry_arms_the_timer_now_and_is_audited(acme, place):
    record_id = await park(place)
    assert await acme.ask("POST", f"/dlqs/{record_id}/retry") == {"dlq": record_id}
    [timer] = await place.timers()
    assert timer["left_over"].total_seconds() <= 0
    audit = await place.one("SELECT * FROM shard.audit WHERE action = 'incomplete_execution.retry'")
    assert (audit["actor_kind"], audit["object"]) == ("api_token", f"incomplete_execution/{record_id}")
    again = await acme.send("POST", f"/dlqs/{record_id}/retry")
    assert again.status == 200
    assert len(await place.timers()) == 1


async def test_the_same_retry_under_one_idempotency_key_is_one_act(acme, place):
    record_id = await park(place)
    headers = [("Authorization", f"Token {acme.facts.api_token}"), ("Idempotency-Key", "once")]
    answers = [await acme.api.client.send("POST", f"/api/v2/dlqs/{record_id}/retry", headers=headers) for _ in range(2)]
    assert [answer.json() for answer in answers] == [{"dlq": record_id}] * 2
    assert len(await place.all("SELECT 1 FROM shard.audit WHERE action = 'incomplete_execution.retry'")) == 1


async def test_several_are_retried_by_name_or_all_but_some(acme, place):
    ids = sorted([await park(place, plan=RetryPlan()) for _ in range(3)])
    target = f"/dlqs/retry?scenarioId={place.scenario_id}"
    assert await acme.ask("POST", target, {"ids": ids[:1]}) == {"dlq": ids[:1]}
    assert await acme.ask("POST", target, {"all": True, "exceptIds": ids[:1]}) == {"dlq": ids[1:]}
    assert len(await place.timers()) == 3
    refusal(await acme.send("POST", target, {"ids": ["0" * 32]}), 404, "not_found")
    refusal(await acme.send("POST", target, {}), 400, "invalid_body")
    refusal(await acme.send("POST", "/dlqs/retry", {"all": True}), 400, "invalid_input")


async def test_all_are_deleted_only_when_that_is_confirmed(acme, place):
    ids = sorted([await park(place) for _ in range(2)])
    target = f"/dlqs?scenarioId={place.scenario_id}"
    refusal(await acme.send("DELETE", target, {"all": True}), 406, "IM004")
    assert await acme.ask("DELETE", f"{target}&confirmed=true", {"all": True}) == {"dlqs": ids}
    assert await place.records() == []
    assert await place.timers() == []


async def test_an_edit_changes_the_record_alone_and_keeps_what_json_cannot_show(acme, place):
    before: dict[str, Value] = {"order": "a-17", "file": b"\x00\xff"}
    document = encode_point(ResumePoint(module_id=3, bundles=[(1, before)], step_key="k" * 32))
    record_id = await park(place, document=document, size=len(document))
    mended = json.loads(json.dumps(BLUEPRINT))
    mended["flow"][2]["mapper"]["url"] = "https://shop.example/mended"
    bundles = (await acme.ask("GET", f"/dlqs/{record_id}/bundle"))["response"]
    bundles["1"]["order"] = "b-18"
    answer = await acme.ask("PATCH", f"/dlqs/{record_id}", {"blueprint": json.dumps(mended), "bundles": bundles})
    assert answer["dlq"]["failer"] == 3
    assert answer["dlq"]["blueprint"]["flow"][2]["mapper"]["url"] == "https://shop.example/mended"
    [record] = await place.records()
    stored = msgspec.msgpack.decode(record["document"])
    assert stored["bundles"] == [[1, {"order": "b-18", "file": b"\x00\xff"}]]
    assert stored["stepKey"] is None
    assert record["size"] == len(record["document"])
    kept = await place.one("SELECT blueprint FROM shard.blueprints WHERE scenario_id = %s", place.scenario_id)
    assert b"mended" not in bytes(kept["blueprint"])


async def test_an_edit_that_changes_nothing_keeps_the_key_of_the_first_attempt(acme, place):
    record_id = await park(place)
    await acme.ask("PATCH", f"/dlqs/{record_id}", {"bundles": {"1": {"order": "a-17"}}})
    [record] = await place.records()
    assert msgspec.msgpack.decode(record["document"])["stepKey"] == "k" * 32


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"failer": 99}, 422),
        ({"failer": "3"}, 422),
        ({"bundles": {"77": {}}}, 400),
        ({"bundles": {"x": {}}}, 422),
        ({"blueprint": "{"}, 422),
        ({"blueprint": {"name": "x", "flow": [webhook(1), webhook(1)]}}, 422),
    ],
)
async def test_an_edit_that_could_not_run_is_refused(acme, place, body, status):
    record_id = await park(place)
    [before] = await place.records()
    assert (await acme.send("PATCH", f"/dlqs/{record_id}", body)).status == status
    assert await place.records() == [before]


async def test_what_is_tried_right_now_is_left_alone(acme, place):
    record_id = await park(place)
    await mark_as_retrying(place, record_id)
    target = f"scenarioId={place.scenario_id}"
    refusal(await acme.send("POST", f"/dlqs/{record_id}/retry"), 409, "retrying")
    refusal(await acme.send("PATCH", f"/dlqs/{record_id}", {"failer": 2}), 409, "retrying")
    refusal(await acme.send("DELETE", f"/dlqs?{target}", {"ids": [record_id]}), 409, "retrying")
    assert await acme.ask("DELETE", f"/dlqs?{target}&confirmed=true", {"all": True}) == {"dlqs": []}
    assert await acme.ask("POST", f"/dlqs/retry?{target}", {"all": True}) == {"dlq": []}


async def test_what_is_resolved_is_shown_and_cannot_be_tried_again(acme, place):
    record_id = await park(place)
    await place.execute("UPDATE shard.incomplete_executions SET resolved = true, resolved_at = now(), document = ''")
    shown = (await acme.ask("GET", f"/dlqs/{record_id}"))["dlq"]
    assert (shown["resolved"], shown["retry"]) == (True, False)
    refusal(await acme.send("POST", f"/dlqs/{record_id}/retry"), 409, "resolved")
    refusal(await acme.send("GET", f"/dlqs/{record_id}/bundle"), 410, "gone")


async def test_confidential_data_is_neither_shown_nor_edited_nor_readable_in_the_table(api, acme, place):
    documents = Documents(sealing=data_keys_of(api.shards))
    item = parked()
    sealed = await documents.seal(place.organization_id, place.scenario_id, item.id, item.document)
    await place.end(
        Status.WARNING, parked=(msgspec.structs.replace(item, document=sealed, is_sealed=True),), confidential=True
    )
    [record] = await place.records()
    assert b"a-17" not in bytes(record["document"])
    refusal(await acme.send("GET", f"/dlqs/{item.id}/bundle"), 403, "permission_denied")
    refusal(await acme.send("PATCH", f"/dlqs/{item.id}", {"bundles": {"1": {}}}), 403, "permission_denied")
    await acme.ask("PATCH", f"/dlqs/{item.id}", {"failer": 2})
    [record] = await place.records()
    assert b"a-17" not in bytes(record["document"])
    opened = await documents.open(place.organization_id, place.scenario_id, item.id, bytes(record["document"]))
    assert b"a-17" in opened


async def test_a_stranger_finds_nothing(api, acme, place):
    record_id = await park(place)
    stranger = await api.integrator("Rival")
    for method, target, body in (
        ("GET", f"/dlqs/{record_id}", None),
        ("GET", f"/dlqs/{record_id}/bundle", None),
        ("GET", f"/dlqs/{record_id}/blueprint", None),
        ("GET", f"/dlqs/{record_id}/logs", None),
        ("POST", f"/dlqs/{record_id}/retry", None),
        ("PATCH", f"/dlqs/{record_id}", {"failer": 2}),
        ("GET", f"/dlqs?scenarioId={place.scenario_id}", None),
        ("POST", f"/dlqs/retry?scenarioId={place.scenario_id}", {"all": True}),
        ("DELETE", f"/dlqs?scenarioId={place.scenario_id}&confirmed=true", {"all": True}),
    ):
        refusal(await stranger.send(method, target, body), 404, "not_found")
    assert len(await place.records()) == 1


async def test_another_team_s_record_is_not_found(acme, place):
    record_id = await park(place)
    team = await acme.another_team("dana")
    refusal(await acme.send("GET", f"/dlqs/{record_id}?teamId={team}"), 404, "not_found")
    refusal(await acme.send("POST", f"/dlqs/{record_id}/retry?teamId={team}"), 404, "not_found")


async def test_a_token_that_may_only_read_changes_nothing(acme, place):
    record_id = await park(place)
    await acme.allow_only("scenarios:read")
    assert (await acme.send("GET", f"/dlqs/{record_id}")).status == 200
    refusal(await acme.send("POST", f"/dlqs/{record_id}/retry"), 403, "permission_denied")
    refusal(await acme.send("PATCH", f"/dlqs/{record_id}", {"failer": 2}), 403, "permission_denied")


async def test_the_attempts_are_listed_as_executions(acme, place):
    record_id = await park(place)
    run = place.run(origin="retry")
    async with place.shard.engine_write() as tx:
        record = await incomplete_store.lock(tx, record_id)
        assert record is not None
        assert await incomplete_store.begin(tx, run, record, "scenario.retry")
    await store.settle(place.shard, [place.outcome(run)], "me")
    [log] = (await acme.ask("GET", f"/dlqs/{record_id}/logs"))["dlqLogs"]
    assert (log["id"], log["status"], log["type"]) == (run.id, 1, "auto")
    assert await acme.ask("GET", f"/dlqs/{record_id}/logs/{run.id}") == {"dlqLog": log}
    refusal(await acme.send("GET", f"/dlqs/{record_id}/logs/{'0' * 32}"), 404, "not_found")


async def test_deleting_a_scenario_takes_its_records_along(api, acme, place):
    await park(place)
    async with place.shard.write(place.organization_id) as tx:
        await scenario_store.delete(tx, place.organization_id, place.scenario_id)
    assert await place.records() == []
    assert await place.timers() == []


async def test_many_retries_at_once_arm_one_timer(acme, place):
    record_id = await park(place)
    answers = await asyncio.gather(*(acme.send("POST", f"/dlqs/{record_id}/retry") for _ in range(5)))
    assert {answer.status for answer in answers} == {200}
    assert len(await place.timers()) == 1


# Calls that were possibly done.

IN_DOUBT = {"plan": RetryPlan(), "error_type": "PossiblyDoneError", "message": "Perhaps."}


async def document_of(place, record_id):
    async with place.shard.read(place.organization_id) as tx:
        record = await incomplete_store.get(tx, place.organization_id, record_id, whole=True)
    assert record is not None
    return bytes(record["document"])


async def test_a_call_in_doubt_is_shown_and_not_tried_again_before_somebody_answers(acme, place):
    record_id, other = await park(place, **IN_DOUBT), await park(place, plan=RetryPlan())
    shown = (await acme.ask("GET", f"/dlqs/{record_id}"))["dlq"]
    assert (shown["possiblyDone"], shown["answer"]) == (True, None)
    listed = await acme.ask("GET", f"/dlqs?scenarioId={place.scenario_id}&cols[]=possiblyDone")
    assert listed["dlqs"] == [{"possiblyDone": False}, {"possiblyDone": True}]
    refusal(await acme.send("POST", f"/dlqs/{record_id}/retry"), 409, "possibly_done")
    target = f"/dlqs/retry?scenarioId={place.scenario_id}"
    refusal(await acme.send("POST", target, {"ids": [record_id]}), 409, "possibly_done")
    assert await acme.ask("POST", target, {"all": True}) == {"dlq": [other]}
    refusal(await acme.send("PATCH", f"/dlqs/{record_id}", {"failer": 2}), 409, "possibly_done")
    assert [timer["id"].hex for timer in await place.timers()] == [other]


async def test_it_was_done_goes_on_with_the_given_output(acme, place):
    record_id = await park(place, **IN_DOUBT)
    answer = await acme.ask("POST", f"/dlqs/{record_id}/answer", {"done": True, "output": {"data": {"id": 7}}})
    assert (answer["dlq"]["possiblyDone"], answer["dlq"]["answer"]) == (False, "done")
    document = await document_of(place, record_id)
    assert decode_done(document) == {"data": {"id": 7}}
    assert decode_point(document, 3).step_key == "k" * 32
    [timer] = await place.timers()
    assert timer["left_over"].total_seconds() <= 0
    audit = await place.one("SELECT * FROM shard.audit WHERE action = 'incomplete_execution.answer'")
    assert audit["object"] == f"incomplete_execution/{record_id}"
    assert json.loads(bytes(audit["detail"]))["done"] is True
    assert (await place.events())["incomplete_execution.answered.v1"] == 1


async def test_it_was_not_done_is_done_again_with_the_same_key(acme, place):
    record_id = await park(place, **IN_DOUBT)
    answer = await acme.ask("POST", f"/dlqs/{record_id}/answer", {"done": False})
    assert answer["dlq"]["answer"] == "notDone"
    document = await document_of(place, record_id)
    assert (decode_done(document), decode_point(document, 3).step_key) == (None, "k" * 32)
    assert len(await place.timers()) == 1


async def test_an_answer_is_given_once_and_saying_it_again_changes_nothing(acme, place):
    record_id = await park(place, **IN_DOUBT)
    first = await acme.ask("POST", f"/dlqs/{record_id}/answer", {"done": True, "output": {"id": 1}})
    before = await document_of(place, record_id)
    again = await acme.ask("POST", f"/dlqs/{record_id}/answer", {"done": True, "output": {"id": 2}})
    assert again == first
    assert await document_of(place, record_id) == before
    refusal(await acme.send("POST", f"/dlqs/{record_id}/answer", {"done": False}), 409, "answered")
    assert (await place.events())["incomplete_execution.answered.v1"] == 1
    assert len(await place.timers()) == 1


async def test_what_was_said_to_be_done_stays_so_when_its_data_is_edited(acme, place):
    record_id = await park(place, **IN_DOUBT)
    await acme.ask("POST", f"/dlqs/{record_id}/answer", {"done": True})
    await acme.ask("PATCH", f"/dlqs/{record_id}", {"bundles": {"1": {"order": "b-18"}}})
    document = await document_of(place, record_id)
    assert (decode_done(document), decode_point(document, 3).step_key) == ({}, "k" * 32)


async def test_only_a_call_in_doubt_is_answered(acme, place):
    record_id = await park(place, plan=RetryPlan())
    refusal(await acme.send("POST", f"/dlqs/{record_id}/answer", {"done": True}), 409, "not_possibly_done")
    refusal(await acme.send("POST", f"/dlqs/{'0' * 32}/answer", {"done": True}), 404, "not_found")
    doubtful = await park(place, **IN_DOUBT)
    refusal(await acme.send("POST", f"/dlqs/{doubtful}/answer", {"done": False, "output": {}}), 422, "invalid_input")
    refusal(await acme.send("POST", f"/dlqs/{doubtful}/answer", {"done": "yes"}), 422, "invalid_body")
    await mark_as_retrying(place, doubtful)
    refusal(await acme.send("POST", f"/dlqs/{doubtful}/answer", {"done": True}), 409, "retrying")
