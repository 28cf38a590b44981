"""The calls of a webhook over the API, what waits of them, replays of executions, and what each scenario used."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from make_bridge.domain.executions import store
from make_bridge.domain.executions.trigger import CallHead, TickNote, encode_head
from make_bridge.kernel.ids import OrganizationId, ScenarioId, TeamId, new_execution_id
from support.blueprints import blueprint, call, webhook
from support.endings import Place
from support.portal import refusal

HOOKED = blueprint(webhook(), call(2, "get", "https://shop.example/"))
HEAD = encode_head(CallHead(content_type="application/json", headers=[("x-shop", "1")]))
BODY = b'{"order": 7}'


@pytest.fixture
async def place(acme, api):
    """A scenario that a webhook starts, switched on."""
    body = {"teamId": acme.facts.team_id, "blueprint": json.dumps(HOOKED), "scheduling": '{"type": "immediately"}'}
    made = (await acme.ask("POST", "/scenarios", body))["scenario"]
    await acme.ask("POST", f"/scenarios/{made['id']}/start")
    organization_id = OrganizationId(acme.facts.organization_id)
    return Place(
        shard=await api.shards.of(organization_id),
        organization_id=organization_id,
        team_id=TeamId(acme.facts.team_id),
        scenario_id=ScenarioId(made["id"]),
    )


async def _hook(acme, place):
    return (await acme.ask("GET", f"/scenarios/{place.scenario_id}"))["scenario"]["hookId"]


async def _took(place, **changes):
    """A call that was taken, and waits unless it has an owner."""
    run = place.run(**{"head": HEAD, "body": BODY, "owner": None} | changes)
    await store.accept(place.shard, [run])
    return run


async def _ended(place, **changes):
    run = await _took(place, owner="me", **changes)
    assert await store.settle(place.shard, [place.outcome(run, operations=3, transfer=5)], "me") == {run.id}
    return run


async def test_calls_are_told_newest_first_with_what_became_of_them(acme, place):
    first, second = await _ended(place), await _took(place)
    await _took(place, origin="manual")
    target = f"/hooks/{await _hook(acme, place)}/logs"
    logs = (await acme.ask("GET", target))["hookLogs"]
    assert [(log["id"], log["statusId"], log["replayable"]) for log in logs] == [
        (second.id, 0, True),
        (first.id, 1, True),
    ]
    assert logs[0]["sizes"] == {"before": len(HEAD) + len(BODY), "after": len(HEAD) + len(BODY)}
    assert len((await acme.ask("GET", f"{target}?pg[limit]=1&cols[]=id"))["hookLogs"]) == 1
    later = (await acme.ask("GET", f"{target}?pg[offset]=1&cols[]=id"))["hookLogs"]
    assert later == [{"id": first.id}]


async def test_calls_are_narrowed_by_their_time(acme, place):
    old = await _ended(place, id=new_execution_id(shard=place.shard.number))
    moment = round(datetime.now(UTC).timestamp() * 1000)
    target = f"/hooks/{await _hook(acme, place)}/logs?cols[]=id"
    day = round(timedelta(days=1).total_seconds() * 1000)
    assert (await acme.ask("GET", f"{target}&from={moment - day}&to={moment + day}"))["hookLogs"] == [{"id": old.id}]
    assert (await acme.ask("GET", f"{target}&to={moment - day}"))["hookLogs"] == []
    assert (await acme.ask("GET", f"{target}&from={moment + day}"))["hookLogs"] == []
    for wrong in ("x", "-1", "9" * 17, "999999999999999"):
        refusal(await acme.send("GET", f"{target}&from={wrong}"), 400, "invalid_range")


async def test_what_waits_is_told_in_the_order_it_came_and_counted(acme, place):
    await _ended(place)
    waiting = [await _took(place), await _took(place)]
    hook_id = await _hook(acme, place)
    answer = await acme.ask("GET", f"/hooks/{hook_id}/incomings")
    assert {each["id"] for each in answer["incomings"]} == {run.id for run in waiting}
    assert [each["id"] for each in answer["incomings"]] == sorted(run.id for run in waiting)
    assert answer["incomings"][0]["scope"] == "hook"
    assert answer["pg"]["sortBy"] == "created"
    trigger = await acme.ask("GET", f"/scenarios/{place.scenario_id}/triggers")
    assert (trigger["id"], trigger["queueCount"], trigger["typeName"]) == (hook_id, 2, "gateway-webhook")
    assert trigger["url"].endswith(trigger["udid"])


async def test_a_webhook_without_a_scenario_has_no_calls_and_a_scenario_without_one_no_trigger(acme):
    team_id = acme.facts.team_id
    body = {"name": "Free", "teamId": team_id, "typeName": "gateway-webhook"}
    hook = (await acme.ask("POST", "/hooks", body))["hook"]
    assert (await acme.ask("GET", f"/hooks/{hook['id']}/logs"))["hookLogs"] == []
    assert (await acme.ask("GET", f"/hooks/{hook['id']}/incomings"))["incomings"] == []
    plain = json.dumps(blueprint(call(1, "get", "https://shop.example/")))
    made = (await acme.ask("POST", "/scenarios", {"teamId": team_id, "blueprint": plain}))["scenario"]
    refusal(await acme.send("GET", f"/scenarios/{made['id']}/triggers"), 404, "no_trigger")


async def test_who_only_reads_is_told_no_address(acme, place, api):
    hook_id = await _hook(acme, place)
    await _took(place)
    await acme.allow_only("scenarios:read")
    api.forget_tokens()
    [log] = (await acme.ask("GET", f"/hooks/{hook_id}/logs"))["hookLogs"]
    assert log["udids"] == []
    trigger = await acme.ask("GET", f"/scenarios/{place.scenario_id}/triggers")
    assert (trigger["url"], trigger["udid"]) == (None, None)


async def _replay(acme, place, execution_id):
    target = f"/scenarios/{place.scenario_id}/replay"
    return await acme.send("POST", target, {"executionIds": [execution_id]})


async def test_a_replay_starts_anew_with_what_was_stored_as_the_scenario_is_now(acme, place):
    old = await _ended(place)
    await acme.ask("PATCH", f"/scenarios/{place.scenario_id}", {"blueprint": json.dumps(HOOKED | {"name": "Newer"})})
    answer = await _replay(acme, place, old.id)
    assert answer.status == 202
    execution_id = answer.json()["executionId"]
    row = await place.one(
        "SELECT e.origin, e.blueprint_version, p.head, p.body, q.class FROM shard.executions e"
        " JOIN shard.payloads p ON p.retention = e.retention AND p.id = e.id JOIN shard.queue q ON q.id = e.id"
        " WHERE e.id = %s",
        execution_id,
    )
    assert (row["origin"], row["blueprint_version"], bytes(row["head"]), bytes(row["body"])) == (
        "manual",
        2,
        HEAD,
        BODY,
    )
    assert execution_id != old.id


async def test_a_tick_of_a_schedule_is_replayed_as_a_run_by_hand(acme, place):
    old = await _ended(place, origin="schedule", head=encode_head(CallHead(tick=TickNote(due="2026-01-01T00:00:00Z"))))
    execution_id = (await _replay(acme, place, old.id)).json()["executionId"]
    row = await place.one("SELECT head FROM shard.payloads WHERE id = %s", execution_id)
    assert bytes(row["head"]) == encode_head(CallHead(method="RUN", inputs={}))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"head": b"", "body": b""}, "payload_gone"),
        ({"head": b"v1.key.nonce.box", "body": b""}, "payload_gone"),
        ({"origin": "retry"}, "incomplete_execution"),
    ],
    ids=["erased", "sealed", "a retry"],
)
async def test_what_is_not_stored_any_more_is_not_replayed(acme, place, changes, code):
    old = await _ended(place, **changes)
    refusal(await _replay(acme, place, old.id), 409, code)


async def test_only_executions_of_the_scenario_are_replayed_and_only_while_it_is_on(acme, place):
    old = await _ended(place)
    other = json.dumps(HOOKED)
    body = {"teamId": acme.facts.team_id, "blueprint": other}
    made = (await acme.ask("POST", "/scenarios", body))["scenario"]
    target = f"/scenarios/{made['id']}/replay"
    refusal(await acme.send("POST", target, {"executionIds": [old.id]}), 404, "not_found")
    refusal(await _replay(acme, place, new_execution_id()), 404, "not_found")
    refusal(await _replay(acme, place, "nonsense"), 404, "not_found")
    nothing = await acme.send("POST", f"/scenarios/{place.scenario_id}/replay", {"executionIds": []})
    assert nothing.status == 422
    await acme.ask("POST", f"/scenarios/{place.scenario_id}/stop")
    refusal(await _replay(acme, place, old.id), 400, "not_activated")


async def test_what_each_scenario_used_this_month_is_told_of_a_team(acme, place):
    await _ended(place)
    await _ended(place)
    team = await acme.another_team("dana")
    answer = await acme.ask("GET", f"/scenarios/consumptions?teamId={acme.facts.team_id}")
    used = {"scenarioId": place.scenario_id, "operations": 6, "transfer": 10, "centicredits": 600}
    assert answer["scenarioConsumptions"] == [used]
    assert answer["lastReset"] == datetime.now(UTC).strftime("%Y-%m-01T00:00:00.000Z")
    both = f"teamId={team}&organizationId={acme.facts.organization_id}"
    assert (await acme.ask("GET", f"/scenarios/consumptions?{both}"))["scenarioConsumptions"] == []
    refusal(await acme.send("GET", "/scenarios/consumptions"), 400, "team_required")
    refusal(await acme.send("GET", f"/scenarios/consumptions?teamId={team}&organizationId=1"), 404, "not_found")
