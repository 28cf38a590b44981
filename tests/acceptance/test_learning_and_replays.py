"""What webhooks learn of their calls, and executions that are begun again, from the outside."""

import json

import pytest

from acceptance.test_incomplete_executions import make_scene
from support.network import send
from support.waiting import until

pytestmark = pytest.mark.timeout(300)
WITHIN = 20.0
ENOUGH = 10
ORDER = [{"name": "id", "type": "number"}, {"name": "buyer", "type": "collection", "spec": [
    {"name": "mail", "type": "text"}]}]  # fmt: skip


@pytest.fixture
def scene(product):
    return make_scene(product.integrator, product.shop)


@pytest.fixture
def free(scene):
    """A webhook that no scenario has."""
    body = {"name": "Orders", "teamId": scene.integrator.team_id, "typeName": "gateway-webhook"}
    return scene.ask("POST", "/hooks", body)["hook"]


def learned(scene, hook):
    return scene.ask("GET", f"/hooks/{hook['id']}")["hook"]["interface"]


def call(hook, order):
    return send("POST", hook["url"], json_body=order)


def test_a_webhook_learns_before_it_has_a_scenario_until_it_is_told_to_stop(scene, free):
    assert learned(scene, free) is None
    reply = call(free, {"id": 7})
    assert reply.status == 200
    assert b"Nothing was stored" in reply.body
    call(free, {"buyer": {"mail": "secret@shop.example"}})
    assert learned(scene, free) == ORDER
    assert "secret@" not in json.dumps(scene.ask("GET", f"/hooks/{free['id']}"))
    scene.ask("POST", f"/hooks/{free['id']}/learn-stop")
    assert call(free, {"later": 1}).status == 410
    assert learned(scene, free) == ORDER
    scene.ask("POST", f"/hooks/{free['id']}/learn-start")
    assert learned(scene, free) is None
    made = scene.ask("POST", "/data-structures", {"name": "Order", "teamId": scene.integrator.team_id, "spec": ORDER})
    assert made["dataStructure"]["spec"] == ORDER


def test_learning_ends_after_enough_calls_and_a_malformed_one_teaches_nothing(scene, free):
    assert send("POST", free["url"], headers={"Content-Type": "application/json"}, body=b"{").status == 400
    for number in range(ENOUGH):
        assert call(free, {f"n{number}": number}).status == 200
    assert scene.ask("GET", f"/hooks/{free['id']}/ping")["learning"] is False
    assert len(learned(scene, free)) == ENOUGH
    assert call(free, {"late": 1}).status == 410


def test_a_webhook_learns_while_its_scenario_runs_and_tells_its_callers_when_it_is_off(scene):
    hook = scene.ask("GET", f"/scenarios/{scene.id}/triggers")
    scene.ask("POST", f"/hooks/{hook['id']}/learn-start")
    scene.call({"order": "a-1"})
    until(lambda: scene.count("third") == 1, "the scenario ran", within=WITHIN)
    assert learned(scene, hook) == [{"name": "order", "type": "text"}]
    scene.ask("POST", f"/scenarios/{scene.id}/stop")
    assert call(hook, {"order": "a-2", "total": 2}).status == 409
    assert learned(scene, hook) == [{"name": "order", "type": "text"}, {"name": "total", "type": "number"}]
    assert scene.count("first") == 1


def test_what_a_confidential_scenario_is_sent_is_not_learned(product):
    scene = make_scene(product.integrator, product.shop, confidential=True)
    hook = scene.ask("GET", f"/scenarios/{scene.id}/triggers")
    scene.ask("POST", f"/hooks/{hook['id']}/learn-start")
    scene.call({"order": "a-1"})
    until(lambda: scene.count("third") == 1, "the scenario ran", within=WITHIN)
    scene.ask("POST", f"/scenarios/{scene.id}/stop")
    assert call(hook, {"order": "a-2"}).status == 409
    assert learned(scene, hook) is None
    scene.ask("POST", f"/scenarios/{scene.id}/start")
    [log] = scene.ask("GET", f"/hooks/{hook['id']}/logs")["hookLogs"]
    assert log["replayable"] is False
    reply = scene.api("POST", f"/scenarios/{scene.id}/replay", {"executionIds": [log["id"]]})
    assert (reply.status, reply.json()["code"]) == (409, "payload_gone")


def test_an_execution_is_replayed_with_what_it_was_called_with(scene):
    scene.call({"order": "a-17"})
    until(lambda: scene.count("third") == 1, "the scenario ran", within=WITHIN)
    [log] = scene.ask("GET", f"/scenarios/{scene.id}/logs")["scenarioLogs"]
    reply = scene.api("POST", f"/scenarios/{scene.id}/replay", {"executionIds": [log["id"]]})
    assert reply.status == 202
    until(lambda: scene.count("third") == 2, "the replay ran", within=WITHIN)
    bodies = [each.body for each in scene.shop.calls_to(scene.url("first"))]
    assert bodies[0] == bodies[1]
    logs = scene.ask("GET", f"/scenarios/{scene.id}/logs")["scenarioLogs"]
    assert [(each["type"], each["id"] == reply.json()["executionId"]) for each in logs] == [
        ("manual", True), ("auto", False)
    ]  # fmt: skip
